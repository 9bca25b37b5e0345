"""A worker: it claims jobs, hands each to a process of its own, and renews their leases."""

from __future__ import annotations

import os
import platform
import secrets
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from wenfang.errors import BusyError, DatabaseError, JobError, NotFoundError
from wenfang.jobs.hand import Hand
from wenfang.jobs.handler import GIVEN
from wenfang.jobs.job import Job, described, is_erased
from wenfang.jobs.queue import Queue
from wenfang.language import speaking
from wenfang.store import home

POLL_S = 0.5  # between two looks at an empty queue
LOOK_S = 2.0  # between two looks at whether the running job shall stop, at most
LOOK_SHARE = 0.25  # of a lease: it is renewed several times before it is over
ASK_AGAIN_S = 5.0
GRACE_S = 60.0  # for a running job to come to a safe point


def name_of_machine() -> str:
    """What devices and workers of this machine are called by."""
    return platform.node() or "localhost"


@dataclass(kw_only=True)
class Worker:
    """Does jobs one after the other, on one device that it owns.

    handlers  where the table of handlers lies, as `module:NAME`; imported by the hand alone
    kinds     that it claims: the names in that table
    device    "cpu:0", "cuda:1"; empty: the first of this machine's `devices` that is free
    follow    ends when this process does, by its id; 0: nobody
    on_job    hears a job when it begins, and again when it has ended
    """

    queue: Queue
    handlers: str
    kinds: tuple[str, ...]
    device: str = ""
    devices: tuple[str, ...] = ("cpu:0",)
    follow: int = 0
    grace_s: float = GRACE_S
    on_job: Callable[[Job], None] = field(default=lambda job: None)
    _leaving: bool = field(default=False, init=False)
    _hand: Hand | None = field(default=None, init=False)
    _device: str = field(default="", init=False)
    _owns: bool = field(default=False, init=False)
    _owned_at: float = field(default=float("-inf"), init=False)

    def __post_init__(self) -> None:
        """Take a name that no other worker has, ever."""
        self.name = f"{name_of_machine()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._look_s = min(LOOK_S, self.queue.lease_s * LOOK_SHARE)

    def run(self, *, until_empty: bool = False) -> int:
        """Do jobs until SIGTERM or Ctrl-C, or until none is left; how many were begun.

        On the way out the running job stops at a safe point and is queued again.
        raises BusyError where another worker owns the device
        """
        count = 0
        with self._leavable(), self._owning():
            self._forget_private()
            while not self._left():
                job = self._claim()
                if job is not None:
                    count += 1
                    self._attend(job)
                elif until_empty and self._empty():
                    break
                else:
                    time.sleep(POLL_S)
            if self._hand:
                self._hand.close()
        return count

    def _forget_private(self) -> None:
        """Remove what tells of private jobs that ended while nobody attended them."""
        for told in (home() / "jobs").glob(f"*/{GIVEN}"):
            with suppress(DatabaseError, NotFoundError):
                if is_erased(self.queue.job(told.parent.name).request):
                    shutil.rmtree(told, ignore_errors=True)

    def _left(self) -> bool:
        followed = not self.follow or os.getppid() == self.follow
        return self._leaving or not followed

    def _empty(self) -> bool:
        """Whether nothing waits, here or in a pause after a fault, and nobody works."""
        try:
            counts = self.queue.counts()
        except DatabaseError:
            return False
        return not counts.get("queued") and not counts.get("running")

    def _claim(self) -> Job | None:
        try:
            self._go_on_owning()
            # Where its lease ran out and another worker took the device, it may come back.
            return self.queue.claim(self.name, self.kinds) if self._owns else None
        except DatabaseError:
            return None

    def _attend(self, job: Job) -> None:
        """See one job through to its end, or to ours."""
        self.on_job(job)
        if self._hand is None or not self._hand.alive:
            self._hand = Hand.start(self.handlers, self.queue, self._device.rpartition("/")[2])
        started = time.monotonic()
        self._hand.begin(job)
        stopping = self._see_through(job, self._hand)
        seconds = time.monotonic() - started
        if stopping:
            self._patiently(lambda: self.queue.stopped(job, seconds))
        elif not self._hand.alive:
            self._bury(job, self._hand, seconds)
        with suppress(DatabaseError, NotFoundError):
            ended = self.queue.job(job.id)
            if is_erased(ended.request):
                shutil.rmtree(home() / "jobs" / job.id / GIVEN, ignore_errors=True)
            self.on_job(ended)

    def _see_through(self, job: Job, hand: Hand) -> bool:
        """Renew the lease until the job has ended; whether the hand died of being stopped."""
        stopping_since, asked_at = 0.0, float("-inf")
        while not hand.wait(self._look_s) and hand.alive:
            wish = self._renew(job)
            if wish is None:
                hand.kill()
                return False
            if not wish and not self._left() and self._owns:
                continue
            now = time.monotonic()
            stopping_since = stopping_since or now
            if now - stopping_since > self.grace_s:
                hand.kill()
                return True
            if now - asked_at > ASK_AGAIN_S:
                asked_at = now
                hand.stop()
        # One that was not ready yet to hear of it dies by the signal, and that is no fault.
        return bool(stopping_since) and not hand.alive

    def _renew(self, job: Job) -> str | None:
        """The job's wish; None where its lease is lost. A silent database changes nothing."""
        try:
            self._go_on_owning()
            return self.queue.renew(job)
        except DatabaseError:
            return ""

    def _go_on_owning(self) -> None:
        now = time.monotonic()
        if now - self._owned_at >= self._look_s:
            self._owns = self.queue.own(self._device, self.name)
            self._owned_at = now

    def _bury(self, job: Job, hand: Hand, seconds: float) -> None:
        """A hand that died in the middle of a job; what it had ended is not changed by this."""
        code = hand.exit_code
        cause = f"signal {-code}" if code < 0 else f"exit code {code}"
        error = JobError(
            "the process that did it ended ({cause}); memory may have run out", cause=cause
        )
        with speaking(job.language):
            told = described(error)
        self._patiently(lambda: self.queue.fail(job, told, seconds, transient=True))

    def _patiently(self, act: Callable[[], bool]) -> None:
        """Once the database answers again; not after the lease has run out anyway."""
        until = time.monotonic() + self.queue.lease_s
        while time.monotonic() < until:
            try:
                act()
            except DatabaseError:
                time.sleep(POLL_S)
            else:
                return

    @contextmanager
    def _owning(self) -> Iterator[None]:
        self._device = self._own_one()
        try:
            yield
        finally:
            with suppress(DatabaseError):
                self.queue.disown(self._device, self.name)

    def _own_one(self) -> str:
        """The first that is free; one whose owner was killed is, once that one's lease is over."""
        names = [
            f"{name_of_machine()}/{device}"
            for device in ((self.device,) if self.device else self.devices)
        ]
        before: dict[str, float] = {}
        while True:
            free = next((name for name in names if self.queue.own(name, self.name)), None)
            if free:
                return free
            leases = self.queue.leases()
            before = before or leases
            if self._left() or all(leases.get(name) != before.get(name) for name in names):
                raise BusyError(
                    "a worker owns {device} already; end it, or name another device with --device",
                    device=self.device or ", ".join(self.devices),
                )
            time.sleep(POLL_S)

    @contextmanager
    def _leavable(self) -> Iterator[None]:
        """SIGTERM and Ctrl-C let the running job come to a safe point first."""
        self._leaving = False

        def leave(number: int, frame: object) -> None:
            self._leaving = True

        previous = {one: signal.signal(one, leave) for one in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for one, handler in previous.items():
                signal.signal(one, handler)
            if self._hand and self._hand.alive:
                self._hand.kill()
