"""A picture that a piece carries: drawn by a bundle from words, kept in the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PIL import Image

from wenfang import config
from wenfang.backends.draughtsman import PLAIN, Draughtsman, Finish
from wenfang.backends.loading import load_named
from wenfang.device import environment
from wenfang.media.image import encode_png
from wenfang.scenarios.piece import Studio
from wenfang.scenarios.rights import require_commercial
from wenfang.store import Link, Manifest


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A picture for a piece.

    link   to its asset in the store
    facts  what a manifest tells of it: who drew it, and, unless the piece is private, from what
    """

    image: Image.Image
    link: Link
    facts: dict[str, Any]


def draw_for(studio: Studio, bundle: str, words: str, seed: int, finish: Finish) -> Drawn:
    """A picture of `words` by `bundle`, the same for the same seed.

    raises BriefError for words that the bundle does not know, RightsError where a commercial piece
    may not be made with it
    """
    draughtsman = Draughtsman(load_named(bundle))
    loaded, finish = draughtsman.loaded, draughtsman.settled(finish)
    links = []
    for one in (loaded, *draughtsman.beside(finish)):
        adopted = studio.store.adopt([*one.ancestors, one.manifest])[-1]
        if studio.commercial:
            require_commercial(studio.store.lineage(adopted.id), one.name)
        links.append(Link(role="bundle", id=adopted.id))
    asked = draughtsman.painter.asked(words)
    image = draughtsman.draw([asked], [(seed, "picture")], finish)[0]
    told: dict[str, Any] = {"made_with": loaded.name, "finish": config.to_dict(finish)}
    if not studio.private:
        told |= {"prompt": words, "seed": seed}
        if (read_as := draughtsman.painter.read_as(words, PLAIN)) != words:
            told["read_as"] = read_as
    manifest = Manifest(
        kind="asset",
        name="picture" if studio.private else words,
        media_type="image/png",
        inputs=tuple(links),
        facts={**told, "environment": environment()},
    )
    kept = studio.store.put(encode_png(image), manifest)
    return Drawn(image=image, link=Link(role="picture", id=kept.id), facts=told)
