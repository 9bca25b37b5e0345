"""/v1/images by OpenAI's client in strict mode: drawn, edited, varied, watched, refused."""

from __future__ import annotations

import base64
import io
import shutil
import struct
import zlib
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
from openai.types import ImageEditCompletedEvent, ImageEditPartialImageEvent
from PIL import Image, ImageDraw

from other_project import other_key
from serving import Served, serving
from tiny_latents import shapes, tiny, trained
from wenfang.engine.keeping import verify_files
from wenfang.engine.serving_drawing import VERBS
from wenfang.errors import StoppedError

SIDE_PX = 256
FEW = {"settings": {"paint": {"denoising": {"steps": 8}}}}
BOMB_SIDE_PX = 60_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    shelf = folder / "home" / "bundles"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WENFANG_HOME", str(folder / "home"))
        data = shapes(folder)
        found = trained(tiny("pictogram-latents"), data, folder / "latents")
        shutil.copytree(found, shelf / "pictogram-latents")
        shutil.copytree(trained(tiny("emblem"), data, folder / "drawer"), shelf / "emblem")
    with serving(folder / "home") as served:
        yield served


def file_of(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def ring() -> bytes:
    image = Image.new("RGBA", (SIDE_PX, SIDE_PX), (0, 0, 0, 0))
    ImageDraw.Draw(image).ellipse((30, 30, 226, 226), outline=(200, 30, 40, 255), width=30)
    return file_of(image)


def mask(side_px: int = SIDE_PX) -> bytes:
    """The right half is to be changed."""
    image = Image.new("RGBA", (side_px, side_px), (0, 0, 0, 255))
    image.paste((0, 0, 0, 0), (side_px // 2, 0, side_px, side_px))
    return file_of(image)


def bomb() -> bytes:
    """A PNG of a few bytes that claims gigapixels."""
    head = struct.pack(">IIBBBBB", BOMB_SIDE_PX, BOMB_SIDE_PX, 8, 6, 0, 0, 0)
    chunk = (
        struct.pack(">I", len(head))
        + b"IHDR"
        + head
        + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    )
    return b"\x89PNG\r\n\x1a\n" + chunk


def picture(content: str | None) -> Image.Image:
    assert content
    return Image.open(io.BytesIO(base64.b64decode(content)))


def pixels(content: str | None) -> np.ndarray:
    return upon_white(picture(content))


def upon_white(image: Image.Image) -> np.ndarray:
    """What is seen: colours under what is transparent do not count."""
    white = Image.new("RGBA", image.size, "white")
    return np.asarray(Image.alpha_composite(white, image.convert("RGBA"))).astype(int)


def manifests(answer: Any) -> list[str]:
    found: list[str] = answer.model_extra["wenfang"]["manifests"]
    return found


def require_sealed(
    content: bytes, suffix: str, tmp_path: Path, server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WENFANG_HOME", str(server.home))
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    [verdict] = verify_files([path])
    assert verdict.layer("metadata").status == "good", verdict
    assert verdict.layer("credential").status == "good", verdict
    assert verdict.layer("visible").status in ("good", "unknown"), verdict


def test_models_say_what_pictures_they_make(server: Served) -> None:
    serves = {one.id: (one.model_extra or {})["endpoints"] for one in server.client().models.list()}
    every = [f"/v1/images/{name}" for name in ("generations", "edits", "variations")]
    assert serves["emblem"] == every
    assert serves["digits-gan"] == every[:1]
    assert serves["pictogram-latents"] == every[1:]
    assert serves["upscaler"] == every[1:2]


def test_pictures_of_words_are_sealed_and_repeatable(
    server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = server.client().images.with_raw_response.generate(
        model="emblem", prompt="ring", n=2, extra_body={"seed": 5, **FEW}
    )
    made = raw.parse()
    assert raw.headers["x-aigc-label"] == "AI-generated"
    assert (made.size, made.background, made.output_format) == ("256x256", "transparent", "png")
    assert made.usage
    assert made.data
    assert len(manifests(made)) == len(made.data) == 2
    for one in made.data:
        content = base64.b64decode(one.b64_json or "")
        require_sealed(content, ".png", tmp_path, server, monkeypatch)
    again = server.client().images.generate(
        model="emblem", prompt="ring", extra_body={"seed": 6, **FEW}
    )
    assert manifests(again) == manifests(made)[1:]
    other = server.client().images.generate(
        model="emblem", prompt="圆环", extra_body={"seed": 6, **FEW}
    )
    assert manifests(other) != manifests(again)
    assert made.data[0].revised_prompt is None
    unknown = server.client().images.generate(
        model="emblem", prompt="a ring, round", extra_body={"seed": 6, **FEW}
    )
    assert unknown.data
    assert unknown.data[0].revised_prompt == "ring"
    assert not list((server.home / "served").rglob("*.png"))


def test_a_picture_is_foreseen_while_it_is_drawn(
    server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {"model": "emblem", "prompt": "down", "extra_body": {"seed": 1, **FEW}}
    whole = server.client().images.generate(**asked)
    events = list(server.client().images.generate(**asked, stream=True, partial_images=3))
    assert [one.type for one in events] == [
        *("image_generation.partial_image",) * 3,
        "image_generation.completed",
    ]
    assert [one.partial_image_index for one in events[:3]] == [0, 1, 2]
    assert {one.size for one in events} == {"256x256"}
    last = pixels(events[-1].b64_json)
    assert manifests(events[-1]) == manifests(whole)
    assert np.array_equal(last, pixels(whole.data[0].b64_json if whole.data else None))
    far = [np.abs(pixels(one.b64_json) - last).mean() for one in events[:3]]
    assert far[0] > far[2]
    for one in events:
        content = base64.b64decode(one.b64_json)
        require_sealed(content, ".png", tmp_path, server, monkeypatch)
    # At one stroke there is nothing to foresee.
    [only] = server.client().images.generate(
        model="digits-gan", prompt="7", stream=True, partial_images=3
    )
    assert only.type == "image_generation.completed"


def test_a_mask_says_what_is_painted_anew(server: Served) -> None:
    def edited(seed: int) -> np.ndarray:
        made = server.client().images.edit(
            model="emblem",
            image=("ring.png", ring()),
            mask=("mask.png", mask()),
            prompt="ring",
            extra_body={"seed": seed, "settings": {"enlarged": "squares", **FEW["settings"]}},
        )
        assert made.data
        return pixels(made.data[0].b64_json)

    one, other = edited(1), edited(2)
    top = slice(0, 160)  # the label stands below
    # An invisible mark that names each picture's manifest moves values by one or two.
    assert np.abs(one[top, :96] - other[top, :96]).mean() < 0.5
    assert np.abs(one[top, 160:] - other[top, 160:]).mean() > 2
    given = upon_white(Image.open(io.BytesIO(ring())))
    assert np.abs(one[top, :96] - given[top, :96]).mean() < 40


def test_an_edit_without_a_mask_is_watched_and_follows_its_strength(server: Served) -> None:
    def edited(strength: float) -> list[Any]:
        events = server.client().images.edit(
            model="emblem",
            image=[("ring.png", ring())],
            prompt="across",
            stream=True,
            partial_images=1,
            n=2,
            extra_body={"settings": {"strength": strength, **FEW["settings"]}},
        )
        return list(events)

    little, much = edited(0.1), edited(1.0)
    kinds = [ImageEditPartialImageEvent, ImageEditCompletedEvent] * 2
    assert [type(one) for one in little] == kinds
    given = upon_white(Image.open(io.BytesIO(ring())))
    near, far = (np.abs(pixels(one[1].b64_json) - given).mean() for one in (little, much))
    assert near < far
    assert not list((server.home / "served" / "given").iterdir())


def test_work_ends_where_nobody_waits_for_it(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WENFANG_HOME", str(server.home))
    asked = {
        "model": "emblem",
        "prompt": "ring",
        "seeds": [1, 2],
        "settings": {"paint": {"denoising": {"steps": 200}}},
        "suffix": ".png",
        "partials": 3,
    }
    seen: list[Any] = []
    asks = count()  # it asks at each of its 200 steps
    answers = VERBS["picture"].run(asked, lambda: next(asks) > 120)
    with pytest.raises(StoppedError):
        seen.extend(answers)
    assert "foreseen" in seen[0]
    assert not [one for one in seen if "made" in one]


@pytest.mark.parametrize("model", ["pictogram-latents", "emblem"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_variations_are_like_their_picture(server: Served, model: str) -> None:
    made = server.client().images.create_variation(
        model=model, image=("ring.png", ring()), n=2, extra_body={"output_format": "webp"}
    )
    assert made.data
    assert made.output_format == "webp"
    one, other = (pixels(each.b64_json) for each in made.data)
    assert not np.array_equal(one, other)
    assert picture(made.data[0].b64_json).format == "WEBP"


def test_an_upscaler_makes_a_picture_as_large_as_asked(server: Served) -> None:
    small = file_of(Image.open(io.BytesIO(ring())).resize((96, 64)))
    made = server.client().images.edit(
        model="upscaler", image=("a.png", small), prompt="", size="384x256"
    )
    assert made.data
    assert picture(made.data[0].b64_json).size == (384, 256)
    with pytest.raises(openai.UnprocessableEntityError, match="384 x 256 pixels, not 384 x 384"):
        server.client().images.edit(
            model="upscaler", image=("a.png", small), prompt="", size="384x384"
        )


@pytest.mark.parametrize(
    ("kind", "suffix", "background"),
    [("jpeg", ".jpg", "opaque"), ("webp", ".webp", "transparent"), ("svg", ".svg", "transparent")],
)
def test_a_url_serves_every_format_to_its_project(
    server: Served, kind: Any, suffix: str, background: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    made = server.client().images.generate(
        model="emblem",
        prompt="ring",
        response_format="url",
        output_format=kind,
        size="512x512",
        extra_body=FEW,
    )
    assert made.data
    assert made.background == background
    url = made.data[0].url or ""
    assert url.startswith(f"{server.url}/v1/images/files/")
    assert url.endswith(suffix)
    found = server.http().get(url)
    assert found.headers["content-type"].startswith("image/")
    assert "sandbox" in found.headers["content-security-policy"]
    require_sealed(found.content, suffix, tmp_path, server, monkeypatch)


def test_another_project_sees_no_picture_of_ours(server: Served) -> None:
    made = server.client().images.generate(
        model="digits-gan", prompt="3", response_format="url", output_format="jpeg"
    )
    assert made.data
    url = made.data[0].url or ""
    assert server.http().get(url).status_code == 200
    assert server.http(other_key(server)).get(url).status_code == 404
    for name in ("0" * 32 + ".png", "..%2F..%2Flabel.json", "x.png"):
        answer = server.http().get(f"/v1/images/files/{name}")
        assert answer.status_code in (400, 404), name
        assert answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({"model": "nobody"}, 404, "model_not_found", "model"),
        ({"model": "verse"}, 404, "model_not_found", "model"),
        ({"model": "pictogram-latents"}, 404, "model_not_found", "model"),
        ({"prompt": "x" * 32_001}, 400, "invalid_value", "prompt"),
        ({"prompt": "Ждать"}, 422, "brief", None),
        ({"size": "300x300"}, 400, "invalid_value", "size"),
        ({"size": "256x512"}, 400, "invalid_value", "size"),
        ({"size": "99999x99999"}, 400, "invalid_value", "size"),
        ({"size": "512x512", "settings": {"side_px": 256}}, 400, "invalid_value", "size"),
        ({"n": 11}, 400, "invalid_value", "n"),
        ({"quality": "high"}, 400, "invalid_value", "quality"),
        ({"style": "vivid"}, 400, "unknown_parameter", "style"),
        ({"background": "opaque"}, 400, "invalid_value", "background"),
        ({"background": "transparent", "output_format": "jpeg"}, 400, "invalid_value",
         "background"),
        ({"output_format": "gif"}, 400, "invalid_value", "output_format"),
        ({"output_format": "svg", "stream": True}, 400, "invalid_value", "output_format"),
        ({"response_format": "url", "stream": True}, 400, "invalid_value", "response_format"),
        ({"partial_images": 2}, 400, "invalid_value", "partial_images"),
        ({"partial_images": 4, "stream": True}, 400, "invalid_value", "partial_images"),
        ({"settings": {"start": "/etc/passwd"}}, 400, "invalid_value", "settings.start"),
        ({"settings": {"strenght": 1}}, 422, "config", None),
        ({"settings": {"paint": {"denoising": {"steps": 10**9}}}}, 422, "config", None),
    ],
)  # fmt: skip
def test_bad_requests_have_one_line(
    server: Served, body: dict[str, Any], status: int, code: str, param: str | None
) -> None:
    answer = server.http().post(
        "/v1/images/generations", json={"model": "emblem", "prompt": "ring", **body}
    )
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param), error
    assert "\n" not in error["message"]


File = tuple[str, bytes]
BAD_FILES: dict[str, tuple[list[tuple[str, File]], dict[str, str], int]] = {
    "no image": ([("mask", ("m.png", mask()))], {}, 400),
    "an empty image": ([("image", ("a.png", b""))], {}, 400),
    "two images": ([("image[]", ("a.png", ring())), ("image[]", ("b.png", ring()))], {}, 400),
    "a file nobody asked for": ([("image", ("a.png", ring())), ("x", ("x", b"x"))], {}, 400),
    "no picture": ([("image", ("a.png", b"not a picture"))], {}, 415),
    "a bomb": ([("image", ("a.png", bomb()))], {}, 415),
    "a bomb as mask": ([("image", ("a.png", ring())), ("mask", ("m.png", bomb()))], {}, 415),
    "a mask of another size": (
        [("image", ("a.png", ring())), ("mask", ("m.png", mask(64)))], {}, 422,
    ),
    "a mask that changes nothing": (
        [("image", ("a.png", ring())),
         ("mask", ("m.png", file_of(Image.new("RGBA", (SIDE_PX, SIDE_PX), "white"))))], {}, 422,
    ),
    "a mask without transparency": (
        [("image", ("a.png", ring())),
         ("mask", ("m.jpg", file_of(Image.new("RGB", (SIDE_PX, SIDE_PX)), "JPEG")))], {}, 422,
    ),
    "a mask for an autoencoder": (
        [("image", ("a.png", ring())), ("mask", ("m.png", mask()))],
        {"model": "pictogram-latents", "prompt": ""}, 422,
    ),
    "words for an autoencoder": (
        [("image", ("a.png", ring()))], {"model": "pictogram-latents"}, 422,
    ),
    "a game's generator": ([("image", ("a.png", ring()))], {"model": "digits-gan"}, 404),
    "an unknown field": ([("image", ("a.png", ring()))], {"input_fidelity": "high"}, 400),
    "settings that are none": ([("image", ("a.png", ring()))], {"settings": "{"}, 400),
    "a file of the server": (
        [("image", ("a.png", ring()))], {"settings[mask]": "/etc/passwd"}, 400,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files_are_refused(server: Served, case: str) -> None:
    files, fields, status = BAD_FILES[case]
    data = {"model": "emblem", "prompt": "ring", **fields}
    answer = server.http().post("/v1/images/edits", files=files, data=data)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["message"]
    assert str(server.home) not in error["message"]
    assert not list((server.home / "served" / "given").iterdir())


def test_a_form_must_be_one(server: Served) -> None:
    http = server.http()
    form = {"content-type": "multipart/form-data; boundary=x"}
    for content, headers in (
        (b"{}", {"content-type": "application/json"}),
        (b"--x\r\n", form),
        (b'--x\r\ncontent-disposition: form-data; name="model"\r\n\r\nemblem', form),
        (b"nothing", {}),
    ):
        answer = http.post("/v1/images/variations", content=content, headers=headers)
        assert answer.status_code == 400, answer.text
