"""The verb behind `wenfang generate`: assets of one model, published where that is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wenfang.backends.loading import is_sum
from wenfang.backends.shelf import find_bundle
from wenfang.backends.texts import OnText
from wenfang.engine.asset import Asset
from wenfang.engine.generating import PROGRAMS, Generated, load_model
from wenfang.engine.painting import PictureModel
from wenfang.errors import ConfigError

SUFFIX = re.compile(r"\.[a-z0-9]{1,8}")


@dataclass(frozen=True, kw_only=True)
class DrawRequest:
    """What is drawn, and where it goes.

    model     a name, or a bundle's folder
    output    a file for one asset; a folder for one or several; a file for several pictures
              becomes their contact sheet. None: texts are not published, all else goes here
    suffixes  as which files each one is published in a folder; empty: as it comes
    private   nothing is kept, and no prompt is published
    """

    model: str
    prompt: str = ""
    seeds: tuple[int, ...] = (0,)
    settings: Mapping[str, object]
    output: Path | None = None
    suffixes: tuple[str, ...] = ()
    private: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no suffix: it becomes part of a path."""
        check_suffixes(self.suffixes)


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """An asset, the (first) seed that it came of, and its published files."""

    asset: Asset
    seed: int
    paths: tuple[Path, ...]

    @property
    def path(self) -> Path | None:
        """The first of its files, if there is one."""
        return self.paths[0] if self.paths else None


def check_model(name: str) -> None:
    """NotFoundError for a name that `draw` would not know, without loading what it names."""
    if name not in PROGRAMS and not is_sum(name):
        find_bundle(name)


def check_suffixes(suffixes: Sequence[str]) -> None:
    """ConfigError where one is no suffix of a file."""
    for one in suffixes:
        if not SUFFIX.fullmatch(one):
            raise ConfigError(
                "{suffix} is no suffix; give for instance .mp3", suffix=repr(one)[:60]
            )


def draw(request: DrawRequest, on_text: OnText | None = None) -> list[Drawn]:
    """One asset for each seed, or one sheet of all; on_text hears a text as it comes."""
    maker = load_model(request.model)
    asked = request.prompt, request.seeds, request.settings
    several, output = len(request.seeds) > 1, request.output
    if several and isinstance(maker, PictureModel) and output and output.suffix:
        return [_published(maker.sheet(*asked), request.seeds[0], [output], request)]
    made = maker.draw(*asked, on_text)
    return [
        _published(one, seed, _places(request, seed, one), request)
        for one, seed in zip(made, request.seeds, strict=True)
    ]


def _published(asset: Asset, seed: int, places: list[Path], request: DrawRequest) -> Drawn:
    paths = tuple(asset.save(place, private=request.private).path for place in places)
    return Drawn(asset=asset, seed=seed, paths=paths)


def _places(request: DrawRequest, seed: int, asset: Asset) -> list[Path]:
    """Where it goes: as asked, by its seed in the folder asked for, or, of a picture, here."""
    if request.output is None:
        if isinstance(asset, Generated):
            return []
        return [Path(f"{Path(request.model).name}-{seed}{asset.suffix}")]
    if len(request.seeds) == 1 and request.output.suffix:
        return [request.output]
    suffixes = request.suffixes or (asset.suffix,)
    return [request.output / f"{seed:05d}{suffix}" for suffix in suffixes]
