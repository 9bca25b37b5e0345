"""Durable work: long verbs as rows of a database, done by whoever claims them.

A job is claimed under a lease that its worker renews. A worker that dies loses the lease, and the
job goes on with another one; only the holder of the lease can end it, so it ends once. What the
kinds of jobs do is told by a table of handlers, which comes from above.
"""

from wenfang.jobs.estimate import Estimate, estimate
from wenfang.jobs.handler import Handler, Task
from wenfang.jobs.job import ENDED, STATES, Happening, Job, State, Submission
from wenfang.jobs.queue import Queue
from wenfang.jobs.worker import Worker

__all__ = [
    "ENDED",
    "STATES",
    "Estimate",
    "Handler",
    "Happening",
    "Job",
    "Queue",
    "State",
    "Submission",
    "Task",
    "Worker",
    "estimate",
]
