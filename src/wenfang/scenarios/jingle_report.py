"""The report of a jingle: its variants to listen to, what differs, checks, rights and files.

Nothing that signing changes is in it, so that the same request gives the same page again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from html import escape
from typing import Any

from wenfang.checks import Check
from wenfang.language import keyed, t
from wenfang.media.piano_roll import piano_roll
from wenfang.scenarios.jingle_brief import JingleBrief
from wenfang.scenarios.jingle_music import LEAST_APART, Distance
from wenfang.scenarios.jingle_variant import Variant
from wenfang.scenarios.pages import files, page, rights, section, table
from wenfang.seal import SealedFile
from wenfang.store import Lineage, Manifest

ARRANGEMENT_NAMES = {
    "own": keyed("voices as they are written"),
    "choir": keyed("choir"),
    "strings": keyed("strings"),
    "piano": keyed("piano"),
    "music-box": keyed("music box"),
    "organ": keyed("organ"),
    "winds": keyed("winds"),
    "zither": keyed("flute and zither"),
    "harp": keyed("harp"),
}
MOOD_NAMES = {
    "calm": keyed("calm"),
    "joyful": keyed("joyful"),
    "sad": keyed("sad"),
    "solemn": keyed("solemn"),
    "dark": keyed("dark"),
    "tender": keyed("tender"),
    "longing": keyed("longing"),
    "playful": keyed("playful"),
    "bright": keyed("bright"),
}
OUTCOMES = {
    "pass": keyed("passed"),
    "note": keyed("noted"),
    "warn": keyed("warned of"),
    "repair": keyed("to repair"),
    "block": keyed("blocked"),
}
STYLE = """
header h1 { letter-spacing: .02em; margin-bottom: .3rem; }
header p { margin: 0 0 .4rem; }
.variant { margin: 0 0 2.4rem; }
.variant h3 { font-size: 1.1rem; margin: 0 0 .5rem; }
.variant audio { width: 100%; height: 2.4rem; }
.variant svg { display: block; max-width: 100%; height: auto; margin-top: .8rem; }
.time { position: relative; height: 1.7rem; margin: .5rem 0 .2rem; background: #efe6d5;
  border-radius: 4px; overflow: hidden; }
.time b { position: absolute; top: 0; bottom: 0; background: #dcb1a3; }
.time span { position: absolute; top: 0; bottom: 0; background: var(--red); color: #fff;
  font-size: .78rem; line-height: 1.7rem; padding: 0 .3rem; white-space: nowrap;
  overflow: hidden; }
.time i { position: absolute; top: 0; bottom: 0; width: 3px; background: #4f7a5b; }
"""


@dataclass(frozen=True, kw_only=True)
class JingleReport:
    """Everything that the report tells; `brief` is None where the piece is private.

    apart  how far two variants lie apart, by their numbers
    files  those sealed before the report itself
    """

    brief: dict[str, Any] | None
    asked: JingleBrief
    variants: tuple[Variant, ...]
    apart: Mapping[tuple[int, int], Distance]
    model: Manifest
    lineage: Lineage
    files: tuple[SealedFile, ...]


def render_jingle_report(content: JingleReport) -> str:
    """The page as HTML; it plays the sounds beside it and refers to nothing else."""
    sections = [
        _head(content),
        *(_variant(content, one) for one in content.variants),
        section(t("What differs"), _differences(content)),
        section(t("To be played round and round"), _looping(content)),
        section(t("Checks"), _checks(content)),
        section(t("How it was made"), _making(content)),
        section(t("Rights"), rights(content.lineage)),
        section(t("Files"), files(content.files)),
    ]
    if content.brief is not None:
        told = json.dumps(content.brief, ensure_ascii=False, indent=2)
        sections.append(section(t("The brief"), f"<pre>{escape(told)}</pre>"))
    return page(f"{content.asked.brand} · {t('report')}", "\n".join(sections), STYLE)


def _head(content: JingleReport) -> str:
    asked = content.asked
    slogan = f"<p>{escape(asked.slogan)}</p>\n" if asked.slogan else ""
    told = t(
        "{count} variants of {seconds} s to choose from; the music is {mood}.",
        count=len(content.variants),
        seconds=f"{asked.seconds:g}",
        mood=t(MOOD_NAMES[asked.felt]),
    )
    return (
        f"<header>\n<div>\n<h1>{escape(asked.brand)}</h1>\n{slogan}"
        f'<p class="soft">{escape(told)}</p>\n</div>\n</header>'
    )


def _variant(content: JingleReport, one: Variant) -> str:
    """A player, when the name is heard, and the notes."""
    number = one.style.number
    bed = t("the bed without the voice")
    return section(
        t("Variant {number}", number=number),
        f'<div class="variant">\n<audio controls src="jingle-{number}.mp3"></audio>\n'
        f"{_timeline(content.asked, one)}\n"
        f'<p class="soft">{escape(_told(one))} <a href="bed-{number}.wav">{escape(bed)}</a> · '
        f'<a href="music-{number}.mid">MIDI</a></p>\n{_notes(one)}</div>',
    )


def _notes(one: Variant) -> str:
    """A picture of the music; parts go by their initials, for which few bars leave room."""
    score = one.jingle.score
    parts = tuple(replace(part, name=part.name[:1]) for part in score.parts)
    return piano_roll(replace(score, parts=parts, title=""))


def _timeline(asked: JingleBrief, one: Variant) -> str:
    """A bar as long as the jingle: all that is said, the name in it, and the signature."""
    made = one.jingle

    def place(start_s: float, end_s: float) -> str:
        left, width = (100 * part / asked.seconds for part in (start_s, end_s - start_s))
        return f'style="left: {left:.2f}%; width: {width:.2f}%"'

    signature = ""
    if made.signature_s is not None:
        signature = f'<i style="left: {100 * made.signature_s / asked.seconds:.2f}%"></i>'
    return (
        f'<div class="time"><b {place(made.voice_start_s, made.voice_end_s)}></b>'
        f"<span {place(made.name_start_s, made.name_end_s)}>{escape(asked.brand)}</span>"
        f"{signature}</div>"
    )


def _told(one: Variant) -> str:
    return t(
        "{players}, {key}, {bpm} beats a minute; the name is heard from {start} to {end} s.",
        players=t(ARRANGEMENT_NAMES[one.style.arrangement]),
        key=one.style.key,
        bpm=f"{one.bpm:.0f}",
        start=f"{one.jingle.name_start_s:.1f}",
        end=f"{one.jingle.name_end_s:.1f}",
    )


def _differences(content: JingleReport) -> str:
    """A row for each property, a column for each variant, and how far two of them lie apart."""
    head = ("", *(str(one.style.number) for one in content.variants))
    rows = [
        (escape(name), *(escape(value) for value in values))
        for name, values in _properties(content.variants)
    ]
    note = t(
        "Distances are shares of time, or of the melody's notes, in which two pieces differ: 0 is "
        "the same music in any key. Two variants have {least} at least in the mean.",
        least=LEAST_APART,
    )
    pairs = [
        (f"{one} – {other}", *(f"{value:.2f}" for value in (*found, found.mean)))
        for (one, other), found in content.apart.items()
    ]
    between = (t("variants"), t("melody"), t("bass"), t("rhythm"), t("mean"))
    apart = f'\n<p class="soft">{escape(note)}</p>\n{table(pairs, between)}' if pairs else ""
    return table(rows, head) + apart


def _properties(variants: tuple[Variant, ...]) -> Iterator[tuple[str, list[str]]]:
    places = {True: t("at the end, before the last chord"), False: t("soon after the beginning")}
    yield t("who plays"), [t(ARRANGEMENT_NAMES[one.style.arrangement]) for one in variants]
    yield t("key"), [str(one.style.key) for one in variants]
    yield t("bars"), [f"{one.style.filling.bars} × {one.style.filling.beats}/4" for one in variants]
    yield t("beats a minute"), [f"{one.bpm:g}" for one in variants]
    yield t("place of the name"), [places[one.style.late] for one in variants]
    yield (
        t("name, s"),
        [f"{one.jingle.name_start_s:.2f} – {one.jingle.name_end_s:.2f}" for one in variants],
    )
    yield (
        t("signature, s"),
        [
            "–" if one.jingle.signature_s is None else f"{one.jingle.signature_s:.2f}"
            for one in variants
        ],
    )
    yield t("clearness of the cadence, of 3"), [str(one.jingle.tune.cadence) for one in variants]
    yield t("pieces drawn"), [str(one.drawn) for one in variants]


def _looping(content: JingleReport) -> str:
    seconds = content.asked.seconds
    if not content.asked.loop:
        notes = [t("These jingles end; ask for loop: true where one is to be played round.")]
    else:
        values = {"seconds": f"{seconds:g}", "frames": round(seconds * 48_000)}
        notes = [
            t(
                "As it was made, the end of each bed and jingle leads into its beginning without "
                "a seam. A sealed sound also carries its audible label, four soft tones behind "
                "the music (before it, where label.json says so), and these would be heard in "
                "every round.",
            ),
            t(
                "So play bed-N.wav or jingle-N.wav from 0 to {seconds} s, that is its first "
                "{frames} frames (with the label in front: its last ones). What is cut out "
                "this way has no audible label any more; where you publish it, label it yourself.",
                **values,
            ),
            t(
                "An MP3 begins and ends with silence of its encoder: it is for listening, not for "
                "loops. music-N.mid lasts {seconds} s to the bar line; the label's notes stand "
                "behind it on a track of their own.",
                **values,
            ),
        ]
    return "\n".join(f"<p>{escape(note)}</p>" for note in notes)


def _checks(content: JingleReport) -> str:
    """A row for each check, a column for each variant."""
    head = (t("check"), t("threshold"), *(str(one.style.number) for one in content.variants))
    columns = [one.report.checks for one in content.variants]
    rows = [
        (f"<code>{escape(row[0].name)}</code>", _number(row[0].threshold), *map(_outcome, row))
        for row in zip(*columns, strict=True)
    ]
    return table(rows, head)


def _outcome(check: Check) -> str:
    told = "; ".join(map(str, check.evidence))
    value = "" if check.value is None else f" ({_number(check.value)})"
    said = f"{t(OUTCOMES[check.verdict])}{value}" + (f": {told}" if told else "")
    return f'<span class="{check.verdict}">{escape(said)}</span>'


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _making(content: JingleReport) -> str:
    facts, asked = content.model.facts, content.asked
    rows = [
        (t("model"), f"{content.model.name} · {facts.get('parameters', '–')} {t('parameters')}"),
        (t("model id"), content.model.id),
        (t("voice"), f"espeak-ng · {asked.voice} · × {content.variants[0].jingle.speed:g}"),
        *([(t("seed"), str(asked.seed))] if content.brief else []),
    ]
    return table((escape(name), escape(value)) for name, value in rows)
