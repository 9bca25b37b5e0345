"""/v1/videos by OpenAI's client in strict mode: queued, polled, seen, deleted, refused."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from PIL import Image

from other_project import other_key
from serving import Served, serving
from wenfang.compose.film import Screen
from wenfang.compose.prompt_shots import MOST_CHARACTERS, ambience_of, theme_of_prompt, written
from wenfang.engine.filming import FilmOptions, check_film
from wenfang.engine.keeping import verify_files
from wenfang.errors import BriefError, ConfigError
from wenfang.media.video import open_film

pytestmark = pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")
RIVER = "Rain on the river at night, a lone boat"
QUICK = {"settings": {"fps": 12, "music": False}}
MADE_S = 400.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One without a worker: films wait until one is started."""
    with serving(tmp_path_factory.mktemp("served")) as served:
        yield served


def worked(server: Served) -> None:
    """Do what waits in the queue, as `wenfang jobs work` does."""
    command = [sys.executable, "-m", "wenfang", "jobs", "work", "--drain"]
    environment = {**os.environ, "WENFANG_HOME": str(server.home), "WENFANG_OFFLINE": "1"}
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=MADE_S)


def content(server: Served, name: str, variant: Any) -> bytes:
    return server.client().videos.download_content(name, variant=variant).content


def test_a_film_is_queued_made_seen_and_deleted(
    server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = server.client().videos
    raw = videos.with_raw_response.create(prompt=RIVER, model="film", extra_body=QUICK)
    waiting = raw.parse()
    assert raw.headers["openai-poll-after-ms"] == "1000"
    assert (waiting.status, waiting.progress, waiting.prompt) == ("queued", 0, RIVER)
    assert (waiting.seconds, waiting.size, waiting.error) == ("4", "720x1280", None)
    told = (waiting.model_extra or {})["wenfang"]
    assert "no video model" in told["note"]
    assert told["label"] == "AI生成 · AI GENERATED"
    with pytest.raises(openai.ConflictError, match="queued; there is nothing to see yet"):
        content(server, waiting.id, "video")
    with pytest.raises(openai.BadRequestError, match="cannot be remixed"):
        videos.remix(waiting.id, prompt="more rain")

    worked(server)
    made = videos.poll(waiting.id)
    assert (made.status, made.progress) == ("completed", 100)
    assert made.completed_at
    assert made.completed_at >= made.created_at
    assert len((made.model_extra or {})["wenfang"]["manifests"]) == 1
    require_film(content(server, made.id, "video"))
    still = Image.open(io.BytesIO(content(server, made.id, "thumbnail")))
    assert (still.format, still.size) == ("WEBP", (720, 1280))
    sheet = Image.open(io.BytesIO(content(server, made.id, "spritesheet")))
    assert sheet.format == "JPEG"
    monkeypatch.setenv("WENFANG_HOME", str(server.home))
    for variant, name in (("video", "x.mp4"), ("thumbnail", "x.webp"), ("spritesheet", "x.jpg")):
        (tmp_path / name).write_bytes(content(server, made.id, variant))
        [verdict] = verify_files([tmp_path / name])
        assert verdict.layer("metadata").status == "good", verdict
        assert verdict.layer("credential").status == "good", verdict
    part = server.http().get(f"/v1/videos/{made.id}/content", headers={"range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, b"ftyp")

    gone = videos.delete(made.id)
    assert (gone.id, gone.deleted) == (made.id, True)
    with pytest.raises(openai.NotFoundError):
        videos.retrieve(made.id)
    assert not list((server.home / "jobs").iterdir())


def require_film(data: bytes) -> None:
    """Four seconds of 720 x 1280, with sound in them."""
    with open_film(data, "the film") as (container, picture):
        assert (picture.codec_context.width, picture.codec_context.height) == (720, 1280)
        assert container.duration == pytest.approx(4_000_000, abs=50_000)
        assert picture.frames == 48
        assert len(container.streams.audio) == 1


def test_films_are_listed_by_pages_for_their_project(server: Served) -> None:
    videos = server.client().videos
    # One second of the clock may hold several: they are told apart by their ids.
    made = [
        videos.create(prompt=f"{number} clouds", seconds="12", size="1792x1024").id
        for number in range(3)
    ]
    assert [one.id for one in videos.list()] == made[::-1]
    assert [one.id for one in videos.list(limit=1, order="asc")] == made
    page = videos.list(limit=2)
    assert ([one.id for one in page.data], page.has_more, page.last_id) == (
        made[:0:-1], True, made[1],
    )  # fmt: skip
    assert [one.id for one in videos.list(after=made[1])] == made[:1]

    stranger = server.client(other_key(server)).videos
    assert list(stranger.list()) == []
    for ask in (stranger.retrieve, stranger.delete, stranger.download_content):
        with pytest.raises(openai.NotFoundError):
            ask(made[0])
    for name in made:
        assert videos.delete(name).deleted
    assert list(videos.list()) == []


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({"prompt": ""}, 400, "invalid_value", "prompt"),
        ({"prompt": "x" * (MOST_CHARACTERS + 1)}, 422, "brief", None),
        ({"prompt": "\U0001f9ff" * 3}, 422, "brief", None),
        ({"model": "sora-2"}, 404, "model_not_found", "model"),
        ({"seconds": "5"}, 400, "invalid_value", "seconds"),
        ({"size": "100x100"}, 400, "invalid_value", "size"),
        ({"input_reference": "x"}, 400, "unsupported_parameter", "input_reference"),
        ({"settings": {"seconds": 8}}, 400, "invalid_value", "settings.seconds"),
        ({"settings": {"fps": 1}}, 422, "config", None),
        ({"cameras": 2}, 400, "unknown_parameter", "cameras"),
    ],
)
def test_bad_requests_have_one_line(
    server: Served, body: dict[str, Any], status: int, code: str, param: str | None
) -> None:
    for way in ("json", "form"):
        whole = {"prompt": RIVER, **body}
        form = {name: (None, json.dumps(one) if isinstance(one, dict) else str(one))
                for name, one in whole.items()}  # fmt: skip
        sent: dict[str, Any] = {"json": whole} if way == "json" else {"files": form}
        answer = server.http().post("/v1/videos", **sent)
        error = answer.json()["error"]
        if way == "form" and body.keys() == {"input_reference"}:
            assert answer.status_code == 400
            continue
        assert (answer.status_code, error["code"], error["param"]) == (status, code, param), error
        assert "\n" not in error["message"]


def test_other_bad_requests_are_refused(server: Served) -> None:
    def ask(method: str, path: str, **more: Any) -> httpx.Response:
        return server.http().request(method, path, **more)

    with pytest.raises(openai.BadRequestError, match="begin with words alone"):
        server.client().videos.create(prompt=RIVER, input_reference=("a.png", b"x"))
    typed = {"content-type": "application/json"}
    for body in (b"{", b"[]", b'{"a":' * 100_000):
        assert ask("POST", "/v1/videos", content=body, headers=typed).status_code == 400
    assert ask("POST", "/v1/videos", data={"prompt": RIVER}).status_code == 400
    absent = "video_" + "0" * 20
    for method, path, status in (
        ("GET", f"/v1/videos/{absent}", 404),
        ("DELETE", f"/v1/videos/{absent}", 404),
        ("GET", f"/v1/videos/{absent}/content", 404),
        ("GET", f"/v1/videos/{absent}/content?variant=gif", 400),
        ("POST", f"/v1/videos/{absent}/remix", 404),
        ("GET", "/v1/videos/..%2F..%2Fetc", 404),
        ("GET", "/v1/videos/video_x", 400),
        ("GET", f"/v1/videos?after={absent}", 400),
        ("GET", "/v1/videos?limit=1000", 400),
        ("GET", "/v1/videos?order=up", 400),
    ):
        answer = ask(method, path)
        assert answer.status_code == status, (path, answer.text)
        assert answer.json()["error"]["message"]


def test_words_choose_what_is_seen_and_heard() -> None:
    river = theme_of_prompt(RIVER)
    assert (river.hour, river.weather, river.water) == ("night", "rain", True)
    assert ambience_of(river) == "rain"
    assert theme_of_prompt("Snowy mountains").hour == theme_of_prompt("雪山").hour == "winter"
    assert theme_of_prompt("A cup of tea").hour == "day"
    assert ambience_of(theme_of_prompt("A cup of tea")) == ""


def test_words_stand_where_they_are_few_and_chinese() -> None:
    wide, tall = Screen(), Screen(width_px=720, height_px=1280)
    poem = written("千山鸟飞绝，万径人踪灭", wide)
    assert (poem.standing, poem.lines) == (True, ("千山鸟飞绝", "万径人踪灭"))
    for screen in (wide, tall):
        line = written(RIVER, screen)
        assert not line.standing
        assert "".join(line.lines).replace(" ", "") == RIVER.replace(" ", "")
        long = written("word " * 70, screen)
        assert long.lettering.size_px < line.lettering.size_px
    for text in (
        "",
        " \n",
        "字" * (MOST_CHARACTERS + 1),
        "\U0001f9ff",
        "w" * 300,
        "a\0b",
        "\u202e",
    ):
        with pytest.raises(BriefError):
            written(text, wide)


def test_settings_of_a_film_are_checked_before_it_waits() -> None:
    assert check_film("雪", {"size": "1024x1792"}).screen.size == (1024, 1792)
    for settings in ({"size": "1x1"}, {"seconds": 5}, {"scenery": {"hour": "noon"}}, {"fsp": 12}):
        with pytest.raises((ConfigError, BriefError)):
            check_film("雪", settings)
    assert FilmOptions().screen.fps == 25
