"""/v1/audio by OpenAI's client in strict mode: read aloud, said by a model, not listened to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest

from serving import Served, serving
from tiny_sounds import dataset, recipe
from wenfang.atomic import write_json
from wenfang.engine.generating import load_model
from wenfang.engine.keeping import verify_files
from wenfang.engine.sounding import SoundAsset
from wenfang.errors import EndpointError
from wenfang.media.audio import Sound, decode_sound, encode_sound
from wenfang.recipes.train import TrainRequest, train

VERSE = "春江潮水连海平。"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A model that says words is on the shelf."""
    folder = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WENFANG_HOME", str(folder / "home"))
        wanted = folder / "recipe.json"
        write_json(wanted, recipe("spoken-digits", steps=8).to_dict())
        data = dataset(folder / "words").folder
        run = folder / "home" / "runs" / "words"
        train(TrainRequest(recipe=str(wanted), run=run, data=data, measured=False))
    with serving(folder / "home") as served:
        yield served


def read(server: Served, **asked: Any) -> bytes:
    body: dict[str, Any] = {"model": "speech", "voice": "woman", "input": VERSE, **asked}
    return server.client().audio.speech.create(**body).content


def require_sealed(
    content: bytes, name: str, folder: Path, server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WENFANG_HOME", str(server.home))
    path = folder / name
    path.write_bytes(content)
    [verdict] = verify_files([path])
    assert verdict.layer("metadata").status == "good", verdict
    assert verdict.outcome != "tampered", verdict


@pytest.mark.parametrize(
    ("kind", "suffix", "media_type"),
    [
        ("mp3", ".mp3", "audio/mpeg"),
        ("opus", ".opus", "audio/opus"),
        ("aac", ".m4a", "audio/mp4"),
        ("flac", ".flac", "audio/flac"),
        ("wav", ".wav", "audio/wav"),
    ],
)
def test_a_text_is_read_in_every_format(
    server: Served, kind: Any, suffix: str, media_type: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    answer = server.client().audio.speech.with_raw_response.create(
        model="speech", voice="woman", input=VERSE, response_format=kind
    )
    assert answer.headers["content-type"] == media_type
    assert answer.headers["x-aigc-label"] == "AI-generated"
    assert len(answer.headers["x-wenfang-manifest"]) == 64
    content = answer.parse().content
    assert 1 < decode_sound(content).duration_s < 20
    require_sealed(content, f"x{suffix}", tmp_path, server, monkeypatch)


def test_speed_and_voice_are_heard(server: Served) -> None:
    plain, fast = (
        decode_sound(read(server, response_format="wav", speed=speed)).duration_s
        for speed in (1.0, 2.0)
    )
    assert fast < plain * 0.8
    woman, man, higher = (
        decode_sound(read(server, input="Hello.", response_format="wav", **asked)).samples
        for asked in ({}, {"voice": {"id": "man"}}, {"extra_body": {"settings": {"pitch": 6}}})
    )
    assert not np.array_equal(woman, man)
    assert not np.array_equal(woman, higher)


def test_a_sound_is_streamed_as_bytes(server: Served) -> None:
    with server.client().audio.speech.with_streaming_response.create(
        model="speech", voice="child", input="Hello there.", stream_format="audio"
    ) as answer:
        assert decode_sound(b"".join(answer.iter_bytes())).duration_s > 0.3


def test_a_model_of_words_says_them(server: Served) -> None:
    few = {"settings": {"paint": {"denoising": {"steps": 2}}, "rounds": 2}}
    body: dict[str, Any] = {"model": "words", "input": "1", "response_format": "wav"}
    for voice in ("default", "high"):
        found = server.client().audio.speech.create(**body, voice=voice, extra_body=few)
        assert decode_sound(found.content).sample_rate_hz >= 8000
    with pytest.raises(openai.BadRequestError, match="there are: default, high, low"):
        server.client().audio.speech.create(**body, voice="woman")
    with pytest.raises(openai.UnprocessableEntityError, match="does not say seven"):
        server.client().audio.speech.create(**{**body, "input": "seven"}, voice="default")


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({"model": "tts-1"}, 404, "model_not_found", "model"),
        ({"model": "verse"}, 404, "model_not_found", "model"),
        ({"voice": "alloy"}, 400, "invalid_value", "voice"),
        ({"voice": {"id": "alloy"}}, 400, "invalid_value", "voice"),
        ({"input": ""}, 400, "invalid_value", "input"),
        ({"input": "。。。"}, 422, "brief", None),
        ({"input": "x" * 4097}, 400, "invalid_value", "input"),
        ({"speed": 9}, 400, "invalid_value", "speed"),
        ({"speed": 0.3}, 400, "invalid_value", "speed"),
        ({"response_format": "pcm"}, 400, "unsupported_parameter", "response_format"),
        ({"response_format": "midi"}, 400, "invalid_value", "response_format"),
        ({"instructions": "whisper"}, 400, "unsupported_parameter", "instructions"),
        ({"stream_format": "sse"}, 400, "unsupported_parameter", "stream_format"),
        ({"loud": True}, 400, "unknown_parameter", "loud"),
        ({"settings": {"engine": "openai:http://10.0.0.1#tts"}}, 400, "invalid_value",
         "settings.engine"),
        ({"settings": {"speed": 2}}, 400, "invalid_value", "settings.speed"),
        ({"settings": {"variant": "../../etc/passwd"}}, 422, "config", None),
    ],
)  # fmt: skip
def test_bad_requests_have_one_line(
    server: Served, body: dict[str, Any], status: int, code: str, param: str | None
) -> None:
    whole = {"model": "speech", "voice": "woman", "input": "Hello.", **body}
    answer = server.http().post("/v1/audio/speech", json=whole)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param), error
    assert "\n" not in error["message"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_nothing_listens(server: Served) -> None:
    silence = Sound(samples=np.zeros((8000, 1), np.float32), sample_rate_hz=8000)
    sound = ("a.wav", encode_sound(silence, "audio/wav"))
    for ask in (
        server.client().audio.transcriptions.create,
        server.client().audio.translations.create,
    ):
        with pytest.raises(openai.NotFoundError, match="no such model 'whisper-1'") as caught:
            ask(model="whisper-1", file=sound)
        assert caught.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        server.client().audio.transcriptions.create(
            model="whisper-1",
            file=sound,
            response_format="verbose_json",
            timestamp_granularities=["word", "segment"],
        )


def test_what_nothing_listens_to_must_be_a_request(server: Served) -> None:
    def asked(path: str, **body: Any) -> httpx.Response:
        return server.http().post(f"/v1/audio/{path}", **body)

    sound = {"file": ("a.wav", b"RIFF")}
    for path in ("transcriptions", "translations"):
        assert asked(path, files=sound).json()["error"]["param"] == "model"
        assert asked(path, files={"x": ("x", b"x")}, data={"model": "m"}).status_code == 400
        nothing = asked(path, files={"model": (None, "m")})
        assert (nothing.status_code, nothing.json()["error"]["param"]) == (400, "file")
        hot = asked(path, files=sound, data={"model": "m", "temperature": "7"})
        assert (hot.status_code, hot.json()["error"]["param"]) == (400, "temperature")


@pytest.mark.parametrize("form", ["wav", "flac", "pcm"])
def test_another_home_reads_by_this_server(
    server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """The client of endpoints against a whole server, with nothing put in the place of either."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("WENFANG_HOME", str(home))
    monkeypatch.setenv("WENFANG_OPENAI_KEY", "none")
    url = f"{server.url}/v1"
    told = {"speech_format": form, "voices": {"woman": "woman"}}
    write_json(home / "endpoints.json", {url: told})
    text, maker = "今天下午3点见。See you at noon.", load_model("speech")
    asked = {"engine": f"openai:{url}#speech"}
    if form == "pcm":
        with pytest.raises(EndpointError, match="pcm has no room for a label"):
            maker.draw(text, (0,), asked)
        return
    made, own = (maker.draw(text, (0,), settings)[0] for settings in (asked, {}))
    assert isinstance(made, SoundAsset)
    assert isinstance(own, SoundAsset)
    # Each of the two phrases comes with the label that is heard before it.
    longer_s = made.audio.duration_s - own.audio.duration_s
    assert 2.0 < longer_s < 8.0
    assert 0.5 < made.audio.samples.std() / own.audio.samples.std() < 2
