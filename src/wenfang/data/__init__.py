"""Sources become clean data sets; n-grams and personal-data patterns live here too.

`batches` is not imported here: it alone needs torch.
"""

from wenfang.data.dataset import Dataset
from wenfang.data.named import NAMED, prepare_named
from wenfang.data.named_source import NamedSource
from wenfang.data.prepare import prepare
from wenfang.data.request import (
    Duplicates,
    Event,
    PrepareRequest,
    Reading,
    Source,
    request_for,
)
from wenfang.data.rules import ChineseRules, EnglishRules, NoRules, VerseRules
from wenfang.data.split import SPLITS, Split

__all__ = [
    "NAMED",
    "SPLITS",
    "ChineseRules",
    "Dataset",
    "Duplicates",
    "EnglishRules",
    "Event",
    "NamedSource",
    "NoRules",
    "PrepareRequest",
    "Reading",
    "Source",
    "Split",
    "VerseRules",
    "prepare",
    "prepare_named",
    "request_for",
]
