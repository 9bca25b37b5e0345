"""A brand name becomes a jingle: music composed for it, the name said in it, variants; all sealed.

Each variant has a piece of music of its own, chosen from many that were drawn so that it is far
from the others, and differs in who plays, in key, in tempo or in where the name stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wenfang import config
from wenfang.backends.composer import Composer
from wenfang.backends.loading import load_named
from wenfang.backends.speech.speaker import Speaker
from wenfang.checks import Material
from wenfang.device import environment
from wenfang.errors import CheckError
from wenfang.media.score import write_score
from wenfang.scenarios.jingle_brief import JingleBrief
from wenfang.scenarios.jingle_music import styles
from wenfang.scenarios.jingle_report import JingleReport, render_jingle_report
from wenfang.scenarios.jingle_sound import said
from wenfang.scenarios.jingle_variant import Variant, Workshop, distances
from wenfang.scenarios.performers import voice_for, voice_spent
from wenfang.scenarios.piece import (
    Event,
    Piece,
    Studio,
    keep_brief,
    keep_piece,
    publish,
    request_facts,
)
from wenfang.scenarios.rights import require_commercial
from wenfang.seal import Payload, SealedFile
from wenfang.store import Link


def jingle(brief: JingleBrief, studio: Studio) -> Piece:
    """Say, compose, check, mix and seal; raises CheckError where no piece of a variant passes."""
    loaded = load_named(studio.model or brief.music)
    bundle = studio.store.adopt([*loaded.ancestors, loaded.manifest])[-1]
    lineage = studio.store.lineage(bundle.id)
    if studio.commercial:
        require_commercial(lineage, loaded.name)
    work = Workshop(brief=brief, composer=Composer(loaded), judge=studio.judge)
    speaker, spoken_by = voice_for(brief.engine, studio)
    _require_words(brief, studio)
    variants = _variants(work, studio, speaker)
    made_from: tuple[Link, ...] = (Link(role="bundle", id=bundle.id), *spoken_by)
    if not studio.private:
        made_from = (*made_from, Link(role="brief", id=keep_brief(brief, studio).id))
    apart = distances(variants, brief.seconds)
    facts: dict[str, Any] = {
        "made_with": loaded.name,
        **request_facts(studio, brief),
        "variants": [one.facts() for one in variants],
        "distances": {f"{one}-{other}": found._asdict() for (one, other), found in apart.items()},
        "checks": [one.report.to_dict() for one in variants],
        "environment": environment(),
        **voice_spent(speaker),
    }
    studio.on_event(Event(step="seal", done=len(variants) + 1, of=len(variants) + 2))
    files: list[SealedFile] = [
        publish(studio, name, payload, made_from, facts)
        for one in variants
        for name, payload in _payloads(one)
    ]
    content = JingleReport(
        brief=None if studio.private else config.to_dict(brief),
        asked=brief,
        variants=tuple(variants),
        apart=apart,
        model=bundle,
        lineage=lineage,
        files=tuple(files),
    )
    page = Payload(media_type="text/html", data=render_jingle_report(content))
    files.append(publish(studio, "report.html", page, made_from, facts))
    studio.on_event(Event(step="done", done=len(variants) + 2, of=len(variants) + 2))
    return Piece(
        name=brief.brand,
        text="\n".join(one for one in (brief.brand, brief.slogan) if one),
        files=tuple(files),
        manifest=keep_piece(brief, studio, files),
        facts={name: facts[name] for name in ("variants", "distances", "checks")},
    )


def _require_words(brief: JingleBrief, studio: Studio) -> None:
    text = "\n".join(one for one in (brief.brand, brief.slogan) if one)
    report = studio.judge.ask(Material(text=text), ("words",))
    if not report.verdict:
        raise CheckError(
            "what is to be said did not pass ({reasons}); change brand or slogan, or the policy",
            reasons=report.verdict,
        )


def _variants(work: Workshop, studio: Studio, speaker: Speaker) -> list[Variant]:
    """As many as are asked for; what cannot be said is told before anything is composed."""
    asked = styles(work.brief)
    studio.on_event(Event(step="read", done=0, of=len(asked) + 2))
    lates = sorted({style.late for style in asked})
    words = {late: said(work.brief, late, speaker) for late in lates}
    found: list[Variant] = []
    for style in asked:
        studio.on_event(Event(step="write", done=style.number, of=len(asked) + 2))
        tunes = [one.jingle.tune for one in found]
        found.append(work.variant(style, words[style.late], tunes))
    return found


def _payloads(one: Variant) -> Iterator[tuple[str, Payload]]:
    number, made = one.style.number, one.jingle
    yield f"jingle-{number}.wav", Payload(media_type="audio/wav", data=made.sound)
    yield f"jingle-{number}.mp3", Payload(media_type="audio/mpeg", data=made.sound)
    yield f"bed-{number}.wav", Payload(media_type="audio/wav", data=made.bed)
    yield f"music-{number}.mid", Payload(media_type="audio/midi", data=write_score(made.score))
