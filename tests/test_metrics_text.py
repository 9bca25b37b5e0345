"""Laws of the text metrics: identities with answers worked out by hand."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest

from wenfang.data.units import units
from wenfang.errors import DataError
from wenfang.metrics import text as metrics

CHINESE = "春眠不覺曉，處處聞啼鳥。"


class Index:
    """An index that knows its answers."""

    def contains(self, line: str) -> bool:
        return line == "白日依山盡"

    def longest_copy(self, text: str) -> tuple[int, str]:
        return (5, "白日依山盡") if "白日依山盡" in text else (2, text[:2])


def test_chinese_counts_by_character_and_english_by_word() -> None:
    assert units(CHINESE) == list("春眠不覺曉處處聞啼鳥")
    assert units("The poet's well-worn ink, 3 jars.") == [
        "the", "poet's", "well-worn", "ink", "3", "jars",
    ]  # fmt: skip
    assert units("用AI寫詩 v2") == ["用", "ai", "寫", "詩", "v2"]
    assert units("𠀀〇かな") == ["𠀀", "〇", "か", "な"]
    assert units("，。 —— \n") == []


def test_one_bit_a_byte_is_ln_two_nats_a_byte() -> None:
    assert metrics.bits_per_byte(8 * math.log(2), 8) == pytest.approx(1.0)
    measured = metrics.compression(math.log(2) * 30, ["春江", "花月夜"])
    assert measured == {
        "bits_per_byte": pytest.approx(2.0),
        "bits_per_character": pytest.approx(6.0),
    }


@pytest.mark.parametrize("nats", [math.nan, math.inf, -0.1])
def test_a_sum_that_is_no_likelihood_is_refused(nats: float) -> None:
    with pytest.raises(DataError, match="finite"):
        metrics.bits_per_character(nats, 10)


def test_bits_over_nothing_are_refused() -> None:
    with pytest.raises(DataError, match="nothing was scored"):
        metrics.compression(1.0, [""])


def test_distinct_counts_different_over_all() -> None:
    # 春 春 江 | 春 江: units 5, different 2; pairs 春春 春江 春江, different 2; triples 1.
    assert metrics.distinct(["春春江", "春江"]) == {
        "distinct_1_ratio": pytest.approx(2 / 5),
        "distinct_2_ratio": pytest.approx(2 / 3),
        "distinct_3_ratio": 1.0,
    }


def test_distinct_lines_see_through_punctuation() -> None:
    measured = metrics.distinct_lines(["白日依山盡，\n黃河入海流。", "白日依山盡\n\n欲窮千里目"])
    assert measured == {"distinct_lines_ratio": pytest.approx(3 / 4)}


def test_self_bleu_is_one_for_copies_and_near_zero_for_strangers() -> None:
    assert metrics.self_bleu(["a b c d e", "a b c d e"])["self_bleu_4_ratio"] == pytest.approx(1)
    strangers = metrics.self_bleu(["甲乙丙丁戊", "子丑寅卯辰", "東西南北中"])
    assert strangers["self_bleu_4_ratio"] < 0.06


def test_self_bleu_equals_the_value_worked_out_by_hand() -> None:
    # Each against the other: 1-grams 4/5, 2-grams 3/4, 3-grams 2/3, 4-grams 1/2; equal lengths.
    expected = (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25
    measured = metrics.self_bleu(["a b c d e", "a b c d f"])["self_bleu_4_ratio"]
    assert measured == pytest.approx(expected)


def test_self_bleu_clips_by_the_others_and_never_by_the_sample_itself() -> None:
    # "a a a a": two other samples hold "a" at most once, so one of four 1-grams matches.
    samples = ["a a a a", "a x y z", "a u v w"]
    own = [metrics.grams(units(samples[0]), n) for n in (1, 2, 3, 4)]
    counted = [[metrics.grams(units(sample), n) for sample in samples] for n in (1, 2, 3, 4)]
    others = [metrics._two_largest(order) for order in counted]
    expected = (1 / 4 * 0.1 / 3 * 0.1 / 2 * 0.1 / 1) ** 0.25
    assert metrics._bleu(own, others, 0, 4) == pytest.approx(expected)


def test_self_bleu_of_fewer_than_two_samples_is_zero() -> None:
    assert metrics.self_bleu([]) == metrics.self_bleu(["一二三"]) == {"self_bleu_4_ratio": 0.0}


def test_repetition_is_what_the_sample_says_again() -> None:
    loop = "一二三四" * 4  # 13 runs of four, four of them different
    assert metrics.repetition([loop])["seq_rep_4_ratio"] == pytest.approx(1 - 4 / 13)
    assert metrics.repetition(["一二三四五"]) == {
        "rep_2_ratio": 0.0,
        "rep_3_ratio": 0.0,
        "seq_rep_4_ratio": 0.0,
    }


def test_texts_too_short_to_repeat_do_not_dilute_the_mean() -> None:
    loop = "一二三四" * 4
    alone, diluted = metrics.repetition([loop]), metrics.repetition([loop, "一"])
    assert alone == diluted


def test_copying_reports_the_worst_the_mean_and_whole_lines() -> None:
    measured = metrics.copying(["白日依山盡\n春江", "花月"], Index())
    assert measured == {
        "longest_copy_max_units": 5.0,
        "longest_copy_mean_units": 3.5,
        "copied_lines_ratio": pytest.approx(1 / 3),
    }


def test_describe_holds_every_metric_and_nothing_fails_on_nothing() -> None:
    assert set(metrics.describe([], Index())) > set(metrics.describe([]))
    assert all(math.isfinite(value) for value in metrics.describe(["", "。"], Index()).values())


def test_the_text_metrics_do_not_import_torch() -> None:
    code = (
        "import sys, wenfang.metrics.text, wenfang.metrics.kneser_ney, wenfang.checks;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
