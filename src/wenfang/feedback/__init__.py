"""What people think of what was made: an append-only record of their choices.

A vote tells what was shown, in which order, what was chosen, and who chose. Nothing is changed or
removed afterwards; the newest decision on a piece is the one that holds.
"""

from wenfang.feedback.votes import DECISIONS, KINDS, Kind, Vote, Votes

__all__ = ["DECISIONS", "KINDS", "Kind", "Vote", "Votes"]
