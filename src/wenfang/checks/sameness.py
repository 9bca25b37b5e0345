"""Do texts repeat each other: those of one batch, or a new one those that were made before?

What is made in mass turns uniform. Both checks count n-grams (2 to 4 units); two texts that say
the same in other words are different here.
"""

from __future__ import annotations

from wenfang.checks.check import NO_TEXT, Check, Evidence, Material, not_measured
from wenfang.metrics.text import distinct, self_bleu
from wenfang.metrics.vendi import SAMPLES, likeness, vendi

VERSION = "1"
# Of the number of texts. Fifty unrelated quatrains reach 1.00; five to ten people who put the
# same facts into one sentence 0.48 in 99 cases of 100; fifty copies of a quatrain with every
# tenth character changed 0.19, fifty equal texts 0.02 (benchmarks/checks.py).
LEAST_VENDI_RATIO = 0.5
# Cosine. The nearest of 500 unrelated quatrains reaches 0.08, a quatrain with every tenth
# character changed 0.74 in half and 0.53 in 9 of 10 cases. Sentences of one pattern are alike by
# nature: their policy should raise it.
LIKENESS_ALLOWED = 0.6

NO_BATCH = "there is no other text in the batch; sameness was not measured"
NOTHING_EARLIER = "there is no other or earlier text; sameness was not measured"


def batch_sameness(material: Material) -> Check:
    """The texts of a batch are as many different ones in effect as their number asks.

    The value is the Vendi score of the draft and its siblings over their number; it fails below
    the threshold, and the evidence adds distinct-2 and self-BLEU. Of more than 1,000 the first.
    """
    line = material.threshold("batch_sameness", LEAST_VENDI_RATIO)
    if not material.lines:
        return not_measured("batch_sameness", VERSION, line, NO_TEXT)
    if not material.siblings:
        return not_measured("batch_sameness", VERSION, line, NO_BATCH)
    batch = (material.text, *material.siblings)[:SAMPLES]
    measured = vendi(batch)
    evidence = Evidence(
        "{count} texts are worth {score:.1f} different ones "
        "(distinct-2 {distinct:.2f}, self-BLEU {bleu:.2f})",
        {
            "count": len(batch),
            "score": round(measured["vendi_score"], 4),
            "distinct": round(distinct(batch)["distinct_2_ratio"], 4),
            "bleu": round(self_bleu(batch)["self_bleu_4_ratio"], 4),
        },
    )
    return Check(
        name="batch_sameness",
        version=VERSION,
        value=round(measured["vendi_ratio"], 4),
        threshold=line,
        verdict="repair" if measured["vendi_ratio"] < line else "pass",
        evidence=(evidence,),
    )


def repeated_text(material: Material) -> Check:
    """The draft is not nearly the same as another of its batch or as an earlier piece.

    The value is the greatest cosine of n-gram counts with any of them.
    """
    allowed = material.threshold("repeated_text", LIKENESS_ALLOWED)
    others = (*material.siblings, *material.earlier)
    if not material.lines:
        return not_measured("repeated_text", VERSION, allowed, NO_TEXT)
    if not others:
        return not_measured("repeated_text", VERSION, allowed, NOTHING_EARLIER)
    measured = likeness(material.text, others)
    most = max(measured)
    place = measured.index(most)
    said = (
        "it is like text {number} of its batch ({likeness:.2f})"
        if place < len(material.siblings)
        else "it is like earlier piece {number} ({likeness:.2f})"
    )
    number = place + 1 if place < len(material.siblings) else place + 1 - len(material.siblings)
    evidence = Evidence(said, {"number": number, "likeness": round(most, 4)})
    return Check(
        name="repeated_text",
        version=VERSION,
        value=round(most, 4),
        threshold=allowed,
        verdict="repair" if most > allowed else "pass",
        evidence=(evidence,) if most > allowed else (),
    )
