"""A venue's facts become an ad: headline, body, social post and a poster (PNG, PDF); sealed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from wenfang import config
from wenfang.backends.choosing import open_writer, spent_by
from wenfang.backends.copywriter import Copywriter
from wenfang.backends.draughtsman import Finish
from wenfang.backends.loading import load_named
from wenfang.checks import Material, Report
from wenfang.checks.facts import Finding, read_facts
from wenfang.compose.poster import (
    Poster,
    PosterFact,
    PosterPicture,
    PosterText,
    compose_poster,
    require_letters,
)
from wenfang.device import environment
from wenfang.errors import BriefError, CheckError
from wenfang.media.image import encode_png, web_size
from wenfang.scenarios.picture import Drawn, draw_for
from wenfang.scenarios.piece import (
    Brief,
    Event,
    Piece,
    Studio,
    keep_brief,
    keep_piece,
    publish,
    request_facts,
)
from wenfang.scenarios.rights import require_commercial
from wenfang.scenarios.venue_brief import VenueAdBrief
from wenfang.scenarios.venue_copy import (
    POST_CHARACTERS,
    BundleDrafting,
    Desk,
    Drafting,
    Words,
    WriterDrafting,
)
from wenfang.scenarios.venue_report import VenueReport, render_venue_report
from wenfang.seal import Payload
from wenfang.store import Link, Manifest

STEPS = 4
PRINT_DPI, PICTURE_PX = 150.0, 512
# What a kitchen or a kind of venue is shown by.
DISHES = {
    "chinese": "steaming bowl",
    "english": "pie",
    "fast food": "hamburger",
    "french": "croissant",
    "indian": "curry rice",
    "italian": "spaghetti",
    "japanese": "sushi",
    "coffee shop": "hot beverage",
    "pub": "beer mug",
    "restaurant": "fork and knife with plate",
}
# How a fact is shown on the poster: its label, in the order of the cells.
LABELS = {
    "food": "Food",
    "priceRange": "Prices",
    "customer rating": "Rating",
    "area": "Where",
    "near": "Near",
    "familyFriendly": "Families",
}


def venue_ad(brief: VenueAdBrief, studio: Studio) -> Piece:
    """Write, check, typeset and seal; raises CheckError where no draft passes every check."""
    made_with, drafting, bundle = open_venue(studio.model or brief.writer, brief, studio)
    lineage = studio.store.lineage(bundle.id)
    if studio.commercial:
        require_commercial(lineage, made_with)
    facts = dict(brief.slots)
    require_letters("".join(facts.values()))
    # What is wrong with a picture should be told before anything is written.
    drawn = drawn_for_venue(brief, facts, studio)
    studio.on_event(Event(step="write", done=0, of=STEPS))
    words = venue_words(facts, brief, drafting, studio)
    studio.on_event(Event(step="typeset", done=1, of=STEPS))
    shown = poster_text(facts, words.line)
    checked = _checked(words, shown, facts, studio)
    palette = "" if brief.palette == "auto" else brief.palette
    own = brief.picture_ink == "own"
    picture = PosterPicture(image=drawn.image, own=own) if drawn else None
    poster = compose_poster(shown, brief.seed, palette, picture)
    found = {name: read_facts(text, facts) for name, text in texts(words, shown).items()}
    told: dict[str, Any] = {
        "made_with": made_with,
        **request_facts(studio, brief),
        "checks": [one.to_dict() for one in checked],
        "facts": {name: counts(one) for name, one in found.items()},
        "environment": environment(),
        **spent_on(drafting),
        **({"picture": drawn.facts} if drawn else {}),
    }
    studio.on_event(Event(step="seal", done=2, of=STEPS))
    inputs = inputs_of(brief, bundle, studio)
    if drawn:
        inputs = (*inputs, drawn.link)
    english = in_english(studio)
    files = [
        publish(english, name, payload, inputs, told) for name, payload in _payloads(words, poster)
    ]
    content = VenueReport(
        brief=None if studio.private else config.to_dict(brief),
        facts=facts,
        words=words,
        found=found,
        model=bundle,
        lineage=lineage,
        files=tuple(files),
    )
    page = Payload(media_type="text/html", data=render_venue_report(content))
    files.append(publish(studio, "report.html", page, inputs, told))
    studio.on_event(Event(step="done", done=STEPS, of=STEPS))
    return Piece(
        name=facts["name"],
        text="\n\n".join((words.headline, words.body, words.post)),
        files=tuple(files),
        manifest=keep_piece(brief, studio, files),
        facts={"headline": words.headline, "post": words.post, "facts": told["facts"]},
    )


def drawn_for_venue(brief: VenueAdBrief, facts: Mapping[str, str], studio: Studio) -> Drawn | None:
    """A picture for the poster, if one is asked for."""
    if not brief.picture:
        return None
    words = brief.picture_of or picture_words(facts)
    return draw_for(studio, brief.picture, words, brief.seed, Finish(side_px=PICTURE_PX))


def picture_words(facts: Mapping[str, str]) -> str:
    """What stands for a venue in a picture: a dish of its kitchen, or what is drunk there."""
    kind, food = facts.get("eatType", ""), facts.get("food", "")
    return DISHES.get(food.lower()) or DISHES.get(kind) or food or DISHES["restaurant"]


def open_venue(named: str, brief: VenueAdBrief, studio: Studio) -> tuple[str, Drafting, Manifest]:
    """Who writes, under which name, and its manifest in the store."""
    if writer := open_writer(named):
        adopted = studio.store.adopt(writer.made_from)[-1]
        return writer.name, WriterDrafting(writer, brief.tone), adopted
    loaded = load_named(named)
    if brief.tone:
        raise BriefError(
            "{name} is a bundle and has the tone it was trained on; leave out tone, or name a "
            "writer that follows instructions",
            name=loaded.name,
        )
    adopted = studio.store.adopt([*loaded.ancestors, loaded.manifest])[-1]
    return loaded.name, BundleDrafting(Copywriter(loaded)), adopted


def venue_words(
    facts: Mapping[str, str], brief: VenueAdBrief, drafting: Drafting, studio: Studio
) -> Words:
    """All words; the label's line is added to the post when it is published, and must fit, too."""
    room = POST_CHARACTERS - len(in_english(studio).sealer.label.line) - 2
    desk = Desk(drafting=drafting, judge=studio.judge, post_characters=room)
    return desk.write(facts, brief.drafts, brief.seed)


def in_english(studio: Studio) -> Studio:
    """The same studio; its labels are in the language of the copy."""
    label = replace(studio.sealer.label, language="en")
    return replace(studio, sealer=replace(studio.sealer, label=label))


def spent_on(drafting: Drafting) -> dict[str, Any]:
    """What a writer that costs has cost."""
    spent = spent_by(drafting.writer) if isinstance(drafting, WriterDrafting) else {}
    return {"spent": spent} if spent else {}


def inputs_of(brief: Brief, bundle: Manifest, studio: Studio) -> tuple[Link, ...]:
    """What a venue's piece is made from: the bundle that writes, and the brief."""
    made_from = Link(role="bundle", id=bundle.id)
    if studio.private:
        return (made_from,)
    return (made_from, Link(role="brief", id=keep_brief(brief, studio).id))


def poster_text(facts: Mapping[str, str], line: str) -> PosterText:
    """The words of the poster: name, kind, headline, and every other fact with its label."""
    cells = [
        PosterFact(slot=slot, label=label, value=_shown(slot, facts[slot]))
        for slot, label in LABELS.items()
        if slot in facts
    ]
    kind = facts.get("eatType", "")
    return PosterText(
        name=facts["name"],
        eyebrow=kind,
        line="" if line == facts["name"] else line,
        kind=kind,
        facts=tuple(cells),
    )


def _shown(slot: str, value: str) -> str:
    if slot == "familyFriendly":
        return "Family friendly" if value == "yes" else "Not family friendly"
    return value[:1].upper() + value[1:]


def poster_words(shown: PosterText) -> str:
    """The poster read aloud, for the check of its facts."""
    lines = [shown.name, shown.eyebrow, shown.line]
    for fact in shown.facts:
        own = fact.slot in ("familyFriendly", "area", "near")
        said = f"near {fact.value}" if fact.slot == "near" else fact.value
        lines.append(said if own else f"{fact.label}: {said}")
    return ". ".join(line for line in lines if line) + "."


def texts(words: Words, shown: PosterText) -> dict[str, str]:
    """Every text of the ad by its name in the report."""
    return {
        "headline": words.headline,
        "body": words.body,
        "post": words.post,
        "poster": poster_words(shown),
    }


def counts(found: list[Finding]) -> dict[str, int]:
    """How many facts are told, missing, wrong and invented."""
    return {
        outcome: sum(one.outcome == outcome for one in found)
        for outcome in ("realised", "missing", "wrong", "invented")
    }


def _checked(
    words: Words, shown: PosterText, facts: Mapping[str, str], studio: Studio
) -> list[Report]:
    """What the checks say of every text; CheckError where the poster's does not pass."""
    material = Material(text=poster_words(shown), facts=facts)
    report = studio.judge.ask(material, ("facts", "words", "personal"))
    if not report.verdict:
        raise CheckError(
            "the text {text} did not pass ({reasons}); change the facts or the policy",
            text=shown.name,
            reasons=report.verdict,
        )
    others = (words.headline, words.body, words.post)
    return [
        report,
        *(studio.judge.ask(Material(text=one), ("words", "personal")) for one in others),
    ]


def _payloads(words: Words, poster: Poster) -> list[tuple[str, Payload]]:
    """Every file of the piece but the report, before its label."""
    picture = poster.picture()
    headline, body, post = map(_plain, (words.headline, words.body, words.post))
    markdown = f"# {headline}\n\n{body}\n\n## Social post\n\n{post}\n"
    return [
        ("poster.png", Payload(media_type="image/png", data=encode_png(picture, PRINT_DPI))),
        ("poster-web.png", Payload(media_type="image/png", data=encode_png(web_size(picture)))),
        ("poster.pdf", Payload(media_type="application/pdf", data=poster.pdf())),
        ("ad.md", Payload(media_type="text/markdown", data=markdown)),
        ("social.txt", Payload(media_type="text/plain", data=words.post + "\n")),
    ]


def _plain(text: str) -> str:
    """Text that Markdown shows as it is: hashtags are no headings, names hold no emphasis."""
    return "".join(f"\\{one}" if one in "\\`*_#[]<>" else one for one in text)
