"""Variants of a jingle: for each, the first of its candidates that passes every check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wenfang.backends.composer import Composer, PartSampling
from wenfang.checks import SOUND, Check, Evidence, Material, Report, gate
from wenfang.checks.judging import Judge
from wenfang.errors import CheckError
from wenfang.scenarios.jingle_brief import JingleBrief
from wenfang.scenarios.jingle_music import Distance, Style, Tune, distance, ranked, tunes
from wenfang.scenarios.jingle_sound import Jingle, Said, heard

# Of a loop's seam: 18 loops of nine arrangements had up to 0.16; music that is merely cut, to 0.8.
ROUGHEST = 0.5
MICROSECONDS_A_MINUTE = 60_000_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Variant:
    """A jingle that passed.

    drawn  how many pieces were drawn for it
    tried  how many of them were heard until one passed
    """

    jingle: Jingle
    report: Report
    drawn: int
    tried: int

    @property
    def style(self) -> Style:
        """What it was to be."""
        return self.jingle.tune.style

    @property
    def bpm(self) -> float:
        """Beats a minute, as they are written."""
        return round(MICROSECONDS_A_MINUTE / self.jingle.score.tempos[0][1], 2)

    def facts(self) -> dict[str, Any]:
        """What manifests tell of it."""
        style, jingle = self.style, self.jingle
        return {
            "number": style.number,
            "key": str(style.key),
            "metre": f"{style.filling.beats}/4",
            "bars": style.filling.bars,
            "bpm": self.bpm,
            "arrangement": style.arrangement,
            "cadence": jingle.tune.cadence,
            "copied_intervals": jingle.tune.copied,
            "name_s": [jingle.name_start_s, jingle.name_end_s],
            "voice_s": [jingle.voice_start_s, jingle.voice_end_s],
            "signature_s": jingle.signature_s,
            "speed": jingle.speed,
            "drawn": self.drawn,
            "tried": self.tried,
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class Workshop:
    """What every variant of a brief is made with."""

    brief: JingleBrief
    composer: Composer
    judge: Judge

    def variant(self, style: Style, words: Said, chosen: Sequence[Tune]) -> Variant:
        """One that passes and is far enough from every chosen tune; CheckError if there is none."""
        drawn = tunes(self.composer, style, self.brief.seed, PartSampling())
        candidates = ranked(drawn, chosen, self.brief.seconds)
        if not candidates:
            raise CheckError(
                "variant {number}: all {count} pieces are too much like another variant; ask for "
                "fewer variants or more seconds, or try another seed",
                number=style.number,
                count=len(drawn),
            )
        for tried, tune in enumerate(candidates, 1):
            # A melody is judged before it is played, which takes a hundred times as long.
            report = self._melody(tune)
            if report.verdict:
                one = heard(self.brief, tune, words)
                report = joined(report, self._sound(one))
                if report.verdict:
                    return Variant(jingle=one, report=report, drawn=len(drawn), tried=tried)
        raise CheckError(
            "variant {number}: none of {count} pieces passes ({reasons}); try another seed",
            number=style.number,
            count=len(candidates),
            reasons=report.verdict,
        )

    def _melody(self, tune: Tune) -> Report:
        notes = tuple(tune.score(self.brief.seconds).notes())
        material = Material(melody=notes, melodies=self.composer.melodies)
        return self.judge.ask(material, ("melody_copy",))

    def _sound(self, one: Jingle) -> Report:
        """Of its sound, and of the point where a loop's end meets its start."""
        found = self.judge.ask(Material(sound=one.sound), SOUND)
        if one.seams is None:
            return found
        seam = _seam(max(one.seams))
        return joined(found, Report(checks=(seam,), verdict=gate((seam,))))


def joined(one: Report, other: Report) -> Report:
    """Both together."""
    checks = (*one.checks, *other.checks)
    return Report(checks=checks, verdict=gate(checks))


def _seam(value: float) -> Check:
    """The value is the sharpest bend where end and start meet, beside the sharpest elsewhere."""
    rough = value > ROUGHEST
    evidence = Evidence("the end does not lead into the beginning without a click")
    return Check(
        name="loop_seam",
        version="1",
        value=value,
        threshold=ROUGHEST,
        verdict="repair" if rough else "pass",
        evidence=(evidence,) if rough else (),
    )


def distances(variants: Sequence[Variant], seconds: float) -> Mapping[tuple[int, int], Distance]:
    """How far every two variants lie apart, by their numbers."""
    outlines = {one.style.number: one.jingle.tune.heard(seconds) for one in variants}
    return {
        (one, other): distance(outlines[one], outlines[other])
        for one in outlines
        for other in outlines
        if one < other
    }
