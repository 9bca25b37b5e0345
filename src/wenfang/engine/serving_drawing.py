"""Pictures and sounds for a server: drawn or read, sealed, and given back as bytes of a file."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from PIL import Image

from wenfang import config
from wenfang.atomic import TEMPORARY_PREFIX, disk_errors
from wenfang.backends.shelf import find_bundle
from wenfang.checkpoint import CONFIG
from wenfang.engine.asset import Asset, Maker
from wenfang.engine.enlarging import EnlargingModel
from wenfang.engine.generating import PROGRAMS, load_model
from wenfang.engine.painting import Painted, PictureModel, Watching
from wenfang.engine.picture_options import PictureOptions, given_file
from wenfang.engine.sounding import SoundAsset
from wenfang.engine.verb import Stopped, Verb, require_wanted
from wenfang.errors import BriefError, ConfigError, NotFoundError
from wenfang.media.image import decode_image, encode_png
from wenfang.store import home

STEPS_MOST = 250
GIVEN_BYTES, GIVEN_PIXELS = 50 * 2**20, 25_000_000
SEEN_THROUGH = 128  # of a mask: below, the picture is to be changed there
MODELS_HELD = 4


def _describe(content: Mapping[str, Any], stopped: Stopped) -> Iterator[Any]:
    """What a model draws or says, by its bundle's config: family, sides, channels, classes."""
    found = json.loads((find_bundle(str(content["model"])) / CONFIG).read_text("utf-8"))
    painting = found.get("painting") or {}
    yield {
        "family": found.get("family", ""),
        "side_px": painting.get("side_px", 0),
        "channels": painting.get("channels", 0),
        "classes": painting.get("classes", ()),
    }


def _picture(content: Mapping[str, Any], stopped: Stopped) -> Iterator[Any]:
    """Pictures, one for each seed, as files; before each, how it was foreseen on the way.

    model, prompt, seeds, suffix; settings as of `generate`, of which `start` and `mask` are files
    that came with the request, the mask as OpenAI has it; partials: how often each is shown;
    size: what it must have become, where that depends on the picture that was given
    """
    maker = _maker(str(content["model"]))
    settings = dict(content["settings"])
    suffix, prompt = str(content["suffix"]), str(content["prompt"])
    _require_pictures(settings)
    for seed in content["seeds"]:
        require_wanted(stopped)
        if isinstance(maker, EnlargingModel):
            made = maker.draw(prompt, (seed,), settings)[0]
            _require_size(made, content.get("size"))
            yield {"made": _filed(made, suffix)}
            continue
        if not isinstance(maker, PictureModel):
            raise NotFoundError(
                "{model} makes no pictures; wenfang models lists them", model=maker.name
            )
        yield from _drawn(maker, content, settings, seed, stopped)


def _drawn(
    maker: PictureModel,
    content: Mapping[str, Any],
    settings: Mapping[str, Any],
    seed: int,
    stopped: Stopped,
) -> Iterator[Any]:
    options = config.from_dict(PictureOptions, settings, where="settings")
    if options.paint.denoising.steps > STEPS_MOST:
        raise ConfigError(
            "denoising.steps is {value}; a server takes at most {most}",
            value=options.paint.denoising.steps,
            most=STEPS_MOST,
        )
    foreseen: SimpleQueue[Painted | None] = SimpleQueue()

    def on_step() -> None:
        require_wanted(stopped)

    def draw() -> Painted:
        try:
            return maker.draw_watched(str(content["prompt"]), seed, settings, watching)
        finally:
            foreseen.put(None)

    count, suffix = int(content.get("partials", 0)), str(content["suffix"])
    watching = Watching(count=count, show=foreseen.put, on_step=on_step)
    with ThreadPoolExecutor(1, "drawing") as beside:
        made = beside.submit(draw)
        while (one := foreseen.get()) is not None:
            # Labelled and signed as the last one is; the store keeps only that.
            yield {"foreseen": _filed(one, suffix, private=True)}
        yield {"made": _filed(made.result(), suffix)}


@lru_cache(maxsize=MODELS_HELD)
def _held(name: str, changed_ns: int) -> Maker:
    return load_model(name)


def _maker(name: str) -> Maker:
    """A model, loaded once as long as its bundle does not change."""
    if name in PROGRAMS:
        return _held(name, 0)
    return _held(name, (find_bundle(name) / CONFIG).stat().st_mtime_ns)


def _require_pictures(settings: dict[str, Any]) -> None:
    """Refuse pictures that are none before a model sees them, and make a mask one of ours."""
    if "start" not in settings:
        return
    start = _decoded(str(settings["start"]), "image")
    if "mask" not in settings:
        return
    mask = _decoded(str(settings["mask"]), "mask")
    if mask.size != start.size:
        raise BriefError(
            "the mask is {own[0]} x {own[1]} pixels, the image {other[0]} x {other[1]}; a mask has "
            "the size of its picture",
            own=mask.size,
            other=start.size,
        )
    if mask.mode != "RGBA":
        raise BriefError(
            "the mask has no transparency; make transparent what is to be changed, and save it as "
            "PNG"
        )
    fresh = mask.getchannel("A").point(lambda level: 255 if level < SEEN_THROUGH else 0)
    if fresh.getbbox() is None:
        raise BriefError("nothing of the mask is transparent, so nothing would be changed")
    path = given_file(str(settings["mask"])).with_name("fresh.png")
    path.write_bytes(encode_png(fresh))
    settings["mask"] = str(Path(settings["mask"]).with_name("fresh.png"))


def _decoded(place: str, name: str) -> Image.Image:
    path = given_file(place)
    return decode_image(path.read_bytes(), name, GIVEN_BYTES, GIVEN_PIXELS)


def _require_size(made: Painted, size: Any) -> None:
    if size is not None and made.image.size != tuple(size):
        raise BriefError(
            "the image becomes {own[0]} x {own[1]} pixels, not {asked[0]} x {asked[1]}; ask for "
            "the proportions that it has",
            own=made.image.size,
            asked=size,
        )


def _speech(content: Mapping[str, Any], stopped: Stopped) -> Iterator[Any]:
    """A text read aloud, or what a model of log-mels says, as a file: model, text, settings,
    seed, suffix.
    """
    maker = _maker(str(content["model"]))
    made = maker.draw(str(content["text"]), (int(content["seed"]),), content["settings"])[0]
    if not isinstance(made, SoundAsset):
        raise NotFoundError("{model} says nothing; wenfang models lists them", model=maker.name)
    require_wanted(stopped)
    yield {"made": _filed(made, str(content["suffix"]))}


def _filed(asset: Asset, suffix: str, *, private: bool = False) -> dict[str, Any]:
    """A published file's bytes; the file itself is nobody's and goes."""
    place = home() / "served"
    with disk_errors(place):
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX, dir=place) as folder:
            sealed = asset.save(Path(folder) / f"{asset.role}{suffix}", private=private)
            data = sealed.path.read_bytes()
    return {
        "data": data,
        "media_type": sealed.manifest.media_type,
        "manifest": sealed.manifest.id,
        "facts": asset.record(),
    }


VERBS: Mapping[str, Verb] = {
    "describe": Verb(run=_describe, line="quick"),
    "picture": Verb(run=_picture, line="slow"),
    "speech": Verb(run=_speech, line="slow"),
}
