"""Make: one thing by one model; with seeds, variations, and more like this."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from wenfang.atomic import sha256_bytes, write_bytes
from wenfang.config import nested
from wenfang.engine.queueing import files_of
from wenfang.errors import ConfigError, WenfangError
from wenfang.language import speaking, t
from wenfang.media.image import encode_png
from wenfang.server.faults import Fault
from wenfang.server.models import EDITS, PICTURES, known_models
from wenfang.store import home
from wenfang.studio.create import made
from wenfang.studio.desk import Desk, plain
from wenfang.studio.look import SEAL, empty, failed, html

COUNT_MOST = 16
STRENGTH = 0.6
OF_START = ("start", "mask", "strength")  # settings of a picture to begin with
FIRST = "verse"
HEARD = (".mp3", ".svg", ".mid")  # files of music: to hear, to look at, to go on with


@dataclass(frozen=True, kw_only=True)
class _Page:
    """What the page holds: the seven things that are asked, two buttons, and what is shown.

    begun  the fold about a picture to begin with
    """

    asked: tuple[Any, ...]
    begun: Any
    button: Any
    more: Any
    shown: Any


def _drawn() -> _Page:
    """The page's controls."""
    with gr.Row():
        with gr.Column(scale=5):
            model = gr.Dropdown([], label=t("Model"))
            prompt = gr.Textbox(label=t("What"), lines=2, info=_hint("verse"))
            with gr.Row():
                seed = gr.Number(value=0, precision=0, label=t("Seed"))
                count = gr.Slider(1, COUNT_MOST, value=1, step=1, label=t("How many"))
            with gr.Accordion(t("Begin with a picture"), open=False, visible=False) as begun:
                gr.HTML(html(f"<p>{escape(t('Paint over what shall be drawn anew.'))}</p>"))
                start = gr.ImageEditor(
                    label=t("A picture"),
                    type="pil",
                    transforms=("crop",),
                    layers=False,
                    placeholder=t("Drop a picture here, or click to choose one"),
                    brush=gr.Brush(colors=[SEAL], color_mode="fixed", default_size=24),
                )
                strength = gr.Slider(
                    0.05, 1, value=STRENGTH, step=0.05, label=t("How much of it may change")
                )
            with gr.Accordion(t("Settings"), open=False):
                settings = gr.Textbox(
                    label=t("One a line: name = value"),
                    info=_settings_hint("verse"),
                    lines=4,
                )
            with gr.Row():
                button = gr.Button(t("Make it"), variant="primary")
                more = gr.Button(t("More like this"))
        with gr.Column(scale=6):
            shown = gr.HTML(
                empty(
                    t("One model, one thing"),
                    t("Choose a model and say what it shall make. The same seed gives the same "
                      "again; another seed gives another."),
                )
            )  # fmt: skip
    asked = (model, prompt, seed, count, start, strength, settings)
    return _Page(asked=asked, begun=begun, button=button, more=more, shown=shown)


def _hint(makes: str) -> str:
    """What is written for a model of that kind."""
    return {
        "verse": t("A title, or a few words of Chinese."),
        "picture": t("What is to be seen: smiling cat, 红苹果; of digits, one from 0 to 9."),
        "music": t("A mood and a key: calm, G minor. It may be left empty."),
        "speech": t("The words that are said, in Chinese or English."),
        "sound": t("Which sound: rain, wind, sea, fire, bell, chime, applause ..."),
        "film": t("What it is about; its words stand in the film."),
    }.get(makes, t("A subject, words to go on from, or a caption."))


def _settings_hint(makes: str) -> str:
    """An example of a setting that such a model has."""
    example = {
        "picture": "paint.steps = 30",
        "music": "bars = 12",
        "speech": "speed = 0.9",
        "sound": "seconds = 20",
        "film": "seconds = 8",
    }.get(makes, "sampling.temperature = 0.8")
    return t("As in wenfang generate --set, for instance {example}", example=example)


def make_page(desk: Desk) -> None:
    """The page."""
    last = gr.State({})
    page = _drawn()

    async def load(chosen: str | None) -> Any:
        with speaking(desk.language):
            names = [
                (f"{one.id} · {t(str(one.facts['summary']))}", one.id)
                for one in (await known_models(desk.place)).values()
                if one.makes and (one.makes != "picture" or PICTURES in one.endpoints)
            ]
            return gr.update(choices=names, value=chosen or FIRST)

    async def fit(chosen: str | None) -> tuple[Any, Any, Any]:
        with speaking(desk.language):
            one = (await known_models(desk.place)).get(chosen or "")
            makes, drawn = (one.makes, EDITS in one.endpoints) if one else ("", False)
            told = gr.update(info=_settings_hint(makes))
            return gr.update(info=_hint(makes)), gr.update(visible=drawn), told

    @desk.speaks
    async def make(
        name: str,
        words: str,
        first: float,
        number: float,
        picture: Any,
        much: float,
        lines: str,
        request: gr.Request,
    ) -> AsyncIterator[tuple[str, Any]]:
        try:
            own = _settings(lines)
            desk.require_names({"model": name, "settings": own}, desk.caller(request))
            known = (await known_models(desk.place)).get(name)
            begun = picture if known and EDITS in known.endpoints else None
            asked = {
                "model": name,
                "prompt": words or "",
                "seeds": [int(first or 0) + index for index in range(int(number))],
                "settings": own | await asyncio.to_thread(_begun, begun, much),
                "suffixes": HEARD if known and known.makes == "music" else (),
            }
        except (Fault, WenfangError) as error:
            yield failed(plain(error)), gr.skip()
            return
        async for one in _kept_made(desk, asked, request):
            yield one

    @desk.speaks
    async def again(
        before: Mapping[str, Any], request: gr.Request
    ) -> AsyncIterator[tuple[str, Any]]:
        if not before:
            yield failed(t("make something first; then there can be more like it")), gr.skip()
            return
        asked = {key: value for key, value in before.items() if key != "job"}
        asked["seeds"] = [seed + len(asked["seeds"]) for seed in asked["seeds"]]
        try:
            job = await desk.job(str(before["job"]), desk.caller(request))
        except (Fault, WenfangError) as error:
            yield failed(plain(error)), gr.skip()
            return
        pictures = [path for path in files_of(job) if path.suffix in (".png", ".webp")]
        if pictures:
            begun = {"start": str(pictures[0]), "strength": STRENGTH}
            kept = {name: one for name, one in asked["settings"].items() if name not in OF_START}
            asked["settings"] = kept | begun
        async for one in _kept_made(desk, asked, request):
            yield one

    model, prompt, settings = page.asked[0], page.asked[1], page.asked[-1]
    model.change(fit, model, [prompt, page.begun, settings], show_progress="hidden")
    outputs = [page.shown, last]
    page.button.click(make, list(page.asked), outputs, show_progress="hidden")
    page.more.click(again, last, outputs, show_progress="hidden")
    desk.on_load(load, model, model)
    desk.on_turn(load, model, model)


async def _kept_made(
    desk: Desk, asked: Mapping[str, Any], request: gr.Request
) -> AsyncIterator[tuple[str, Any]]:
    """What comes of a request; at its end the request too, so that there can be more like it."""
    async for page, job in made(desk, "generate", asked, desk.caller(request)):
        done = job is not None and job.state == "done"
        yield page, {**asked, "job": job.id} if job is not None and done else gr.skip()


def _settings(lines: str | None) -> dict[str, Any]:
    """Lines `a.b = value` as nested settings, their values as JSON where they are that."""
    rows = [line.partition("=") for line in (lines or "").splitlines() if line.strip()]
    for left, mark, _ in rows:
        if not mark or not left.strip():
            raise ConfigError("a line of settings is name = value; {line} is none",
                              line=(left + mark).strip()[:60])  # fmt: skip
    return nested(f"{left.strip()}={right.strip()}" for left, _, right in rows)


def _begun(editor: Mapping[str, Any] | None, strength: float) -> dict[str, Any]:
    """Settings of a picture to begin with, and of what was painted over it."""
    if not editor or editor.get("background") is None:
        return {}
    folder = home() / "studio" / "starts"
    folder.mkdir(parents=True, exist_ok=True)
    picture: Image.Image = editor["background"].convert("RGBA")
    found: dict[str, Any] = {"start": _kept(picture, folder), "strength": float(strength)}
    layers = [one for one in editor.get("layers") or () if one is not None]
    painted = Image.new("L", picture.size, 0)
    for layer in layers:
        strokes = layer.convert("RGBA").getchannel("A")
        painted.paste(255, mask=strokes.point(lambda alpha: 255 * (alpha > 0)))
    if painted.getbbox():
        found["mask"] = _kept(painted, folder)
        del found["strength"]
    return found


def _kept(picture: Image.Image, folder: Path) -> str:
    """A picture as a file that is named by what it shows."""
    content = encode_png(picture)
    path = folder / f"{sha256_bytes(content)[:24]}.png"
    if not path.exists():
        write_bytes(path, content)
    return str(path)
