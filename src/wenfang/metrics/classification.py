"""How often a yes-or-no judgement is right: error rates at a threshold, and over all of them.

scores  (n,) higher means "yes"; labels  (n,) bool, True for yes. A score above the threshold is a
yes. Wilson's interval: Wilson 1927, "Probable inference"; the area under the ROC curve is the
chance that a yes scores above a no (Hanley and McNeil 1982), ties counted half.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating]
Labels = NDArray[np.bool_]
DEVIATIONS_95 = 1.959964


def wilson_interval(right: int, count: int) -> tuple[float, float]:
    """95 % confidence interval of a share; the whole of 0..1 where nothing was counted."""
    if not count:
        return 0.0, 1.0
    share, square = right / count, DEVIATIONS_95**2
    middle = share + square / (2 * count)
    spread = DEVIATIONS_95 * math.sqrt(share * (1 - share) / count + square / (4 * count**2))
    scale = 1 + square / count
    return (middle - spread) / scale, (middle + spread) / scale


def roc_area(scores: Scores, labels: Labels) -> float:
    """Area under the ROC curve; 0.5 where one class is empty."""
    yes, no = scores[labels], np.sort(scores[~labels])
    if not len(yes) or not len(no):
        return 0.5
    below = np.searchsorted(no, yes, "left") + np.searchsorted(no, yes, "right")
    return float(below.sum() / 2 / len(yes) / len(no))


def threshold_at(scores: Scores, labels: Labels, false_alarms: float) -> float:
    """The lowest threshold at which at most `false_alarms` (a share) of the no are above it."""
    no = np.sort(scores[~labels])[::-1]
    allowed = math.floor(false_alarms * len(no))
    return float(no[allowed]) if allowed < len(no) else float(no[-1])


def error_rates(scores: Scores, labels: Labels, threshold: float) -> dict[str, float]:
    """Accuracy with its interval, precision and recall of both classes, false alarms."""
    found = scores > threshold
    right = found == labels
    low, high = wilson_interval(int(right.sum()), len(right))
    return {
        "accuracy_share": _share(right),
        "accuracy_low_95_share": low,
        "accuracy_high_95_share": high,
        "precision_yes_share": _share(labels[found]),
        "recall_yes_share": _share(found[labels]),
        "precision_no_share": _share(~labels[~found]),
        "recall_no_share": _share(~found[~labels]),
        "false_alarm_share": _share(found[~labels]),
        "missed_share": _share(~found[labels]),
    }


def _share(marks: Labels) -> float:
    return float(marks.mean()) if len(marks) else 0.0
