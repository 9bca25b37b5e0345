"""Voices behind a URL: what is asked, what is taken from a bad answer, what it may cost."""

from __future__ import annotations

import io
import itertools
import json
import struct
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bad_server
import wenfang as wf
from bad_server import Handler, Reply, Server, raw, status
from conftest import Call
from wenfang import config
from wenfang.backends import choosing
from wenfang.backends.endpoint.settings import EndpointSettings, parse_endpoint
from wenfang.backends.endpoint.transport import Clock
from wenfang.backends.speech.choosing import open_speaker
from wenfang.backends.speech.endpoint import OpenAiSpeaker
from wenfang.backends.speech.espeak import Espeak
from wenfang.backends.speech.hearing import BrokeOff, sound_of
from wenfang.backends.speech.phrasing import pieces_of
from wenfang.backends.speech.speaker import SpeechOptions, Spoken
from wenfang.errors import (
    BriefError,
    BudgetError,
    ConfigError,
    EndpointError,
    MediaError,
    NotFoundError,
)
from wenfang.media.audio import Sound, encode_sound
from wenfang.media.stretch import stretched

KEY = "sk-very-secret-0123456789"
VERSE = "春江潮水连海平，海上明月共潮生。"
RATE_HZ = 24_000


def tone(seconds: float = 1.5, rate_hz: int = RATE_HZ, hertz: float = 220.0) -> Sound:
    """What stands for a voice: a tone between 0.2 s of silence on either side."""
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    samples = 0.3 * np.sin(2 * np.pi * hertz * time_s)
    silence = np.zeros(round(0.2 * rate_hz))
    whole = np.concatenate((silence, samples, silence)).astype(np.float32)
    return Sound(samples=whole[:, None], sample_rate_hz=rate_hz)


def wav(seconds: float = 1.5, rate_hz: int = RATE_HZ) -> bytes:
    return encode_sound(tone(seconds, rate_hz), "audio/wav")


def told_sizes(data: bytes, claimed: int, riff: int | None = None) -> bytes:
    """A WAV of the same samples whose header claims another number of bytes."""
    changed = bytearray(data)
    changed[4:8] = struct.pack("<I", min(claimed + 36, 2**32 - 1) if riff is None else riff)
    changed[40:44] = struct.pack("<I", claimed)
    return bytes(changed)


def float_wav(values: np.ndarray, rate_hz: int = RATE_HZ, channels: int = 1) -> bytes:
    """32 bits of floating point, whatever they hold."""
    body = values.astype("<f4").tobytes()
    head = struct.pack("<HHIIHH", 3, channels, rate_hz, 4 * channels * rate_hz, 4 * channels, 32)
    chunks = b"fmt " + struct.pack("<I", 16) + head + b"data" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def says(data: bytes, kind: str = "audio/wav") -> Reply:
    return raw(data, kind=kind)


class FakeClock(Clock):
    """Waits are noted, not waited."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        super().__init__(sleep=self.waits.append)


@pytest.fixture
def server() -> Iterator[Server]:
    with bad_server.serving() as one:
        yield one


def voice(server: Server, clock: Clock | None = None, **changes: Any) -> OpenAiSpeaker:
    endpoint, _ = parse_endpoint(server.name, Path("/nowhere"))
    patience = {"read_s": 5.0, "connect_s": 5.0, "total_s": 20.0, **changes}
    return OpenAiSpeaker(endpoint, EndpointSettings(**patience), KEY, clock or FakeClock())


def heard(
    server: Server,
    *replies: Reply,
    text: str = VERSE,
    options: SpeechOptions | None = None,
    **changes: Any,
) -> Spoken:
    server.replies = list(replies)
    return voice(server, **changes).speak(text, options or SpeechOptions())


def test_each_phrase_is_asked_for_and_what_is_sent_is_what_was_asked(server: Server) -> None:
    heard(server, says(wav()), options=SpeechOptions(variant="af_heart", speed=0.8))
    assert server.paths == ["/v1/audio/speech"] * 2
    assert server.bodies == [
        {
            "model": "tester",
            "voice": "af_heart",
            "input": text,
            "response_format": "wav",
            "speed": 0.8,
        }
        for text in ("春江潮水连海平，", "海上明月共潮生。")
    ]
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert server.headers[0]["accept-encoding"] == "identity"


def test_phrases_pauses_and_words_have_their_times(server: Server) -> None:
    spoken = heard(server, says(wav(1.5)), says(wav(2.0)))
    first, second = spoken.phrases
    assert [first.text, second.text] == ["春江潮水连海平，", "海上明月共潮生。"]
    # The silence around what came is cut off but for a little; pauses are ours.
    assert first.start_s == 0
    assert first.end_s == pytest.approx(1.5, abs=0.06)
    assert second.start_s - first.end_s == pytest.approx(0.26, abs=1e-3)
    assert spoken.sound.duration_s == pytest.approx(second.end_s, abs=1e-3)
    assert second.end_s - second.start_s == pytest.approx(2.0, abs=0.06)
    assert [one.text for one in spoken.words] == list("春江潮水连海平海上明月共潮生")
    for before, after in itertools.pairwise(spoken.words):
        assert before.start_s < before.end_s <= after.start_s + 1e-9
    assert spoken.words[6].end_s == pytest.approx(first.end_s)
    assert spoken.words[7].start_s == pytest.approx(second.start_s)
    assert spoken.estimated
    assert not spoken.phonemes


def test_numbers_and_signs_are_said_and_every_phrase_ends_with_a_mark(server: Server) -> None:
    text = "票价¥25.50\n电话010-12345678？Tea at 9:05"
    heard(server, says(wav(4.0)), text=text)
    assert [body["input"] for body in server.bodies] == [
        "票价二十五元五角。",
        "电话零幺零幺二三四五六七八？",
        "Tea at 九点零五分。",
    ]


def test_long_words_take_longer(server: Server) -> None:
    spoken = heard(server, says(wav(2.0)), text="I remember the identification card")
    lengths = {one.text: one.end_s - one.start_s for one in spoken.words}
    assert [*lengths] == ["I", "remember", "the", "identification", "card"]
    assert lengths["identification"] > lengths["remember"] > lengths["card"] > lengths["I"]


def test_a_voice_is_named_by_the_brief_the_home_or_openai(server: Server) -> None:
    own: dict[str, Any] = {"voices": {"woman": "zf_xiaobei", "child": "kid"}}
    for changes, options, name in (
        ({}, SpeechOptions(), "nova"),
        ({}, SpeechOptions(voice="man"), "onyx"),
        (own, SpeechOptions(), "zf_xiaobei"),
        (own, SpeechOptions(voice="child"), "kid"),
        (own, SpeechOptions(variant="any"), "any"),
    ):
        parsed = config.from_dict(EndpointSettings, changes)
        heard(server, says(wav()), options=options, voices=parsed.voices)
        assert server.bodies[-1]["voice"] == name
    count = len(server.bodies)
    with pytest.raises(ConfigError, match=r"no voice for child.*variant"):
        heard(server, says(wav()), options=SpeechOptions(voice="child"))
    with pytest.raises(ConfigError, match="no name of a voice"):
        heard(server, says(wav()), options=SpeechOptions(variant="a\nb"))
    assert len(server.bodies) == count


def test_a_speed_that_is_left_out_and_a_pitch_are_made_here(server: Server) -> None:
    options = SpeechOptions(speed=0.5, pitch=12.0)
    spoken = heard(server, says(wav(1.5)), options=options, left_out=("speed",), text="海上明月")
    assert "speed" not in server.bodies[0]
    assert spoken.sound.duration_s == pytest.approx(3.0, abs=0.1)
    spectrum = np.abs(np.fft.rfft(spoken.sound.samples[:, 0]))
    hertz = spectrum.argmax() / spoken.sound.duration_s
    assert hertz == pytest.approx(440, rel=0.02)


FORMS: dict[str, tuple[bytes, str, str]] = {
    "wav": (wav(), "wav", "audio/wav"),
    "flac": (encode_sound(tone(), "audio/flac"), "flac", "audio/flac"),
    "pcm": (wav()[44:], "pcm", "application/octet-stream"),
    "wav though pcm was asked for": (wav(), "pcm", "audio/pcm"),
    "no type": (wav(), "wav", ""),
    "another chunk first": (
        wav()[:36] + b"LIST\x03\x00\x00\x00abc\x00" + wav()[36:], "wav", "audio/x-wav"
    ),
    "length unknown as OpenAI writes it": (told_sizes(wav(), 2**32 - 1), "wav", "audio/wav"),
    "length unknown, half of it": (told_sizes(wav(), 2**31 - 1), "wav", "audio/wav"),
    "length unknown, two billion": (told_sizes(wav(), 2_000_000_000), "wav", "audio/wav"),
    "length unknown, nothing": (told_sizes(wav(), 0, riff=0), "wav", "audio/wav"),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(FORMS))
def test_a_sound_is_understood_in_every_form(server: Server, name: str) -> None:
    data, form, kind = FORMS[name]
    spoken = heard(server, says(data, kind), text="海上明月", speech_format=form)
    assert spoken.sound.sample_rate_hz == RATE_HZ
    assert spoken.sound.duration_s == pytest.approx(1.5, abs=0.06)
    inside = spoken.sound.samples[2400:-2400, 0]
    assert np.sqrt((inside**2).mean()) == pytest.approx(0.3 / np.sqrt(2), rel=0.02)
    assert server.bodies[0]["response_format"] == form


def test_two_channels_and_other_rates_become_one_sound(server: Server) -> None:
    both = np.repeat(tone().samples, 2, axis=1)
    stereo = encode_sound(Sound(samples=both, sample_rate_hz=RATE_HZ), "audio/wav")
    spoken = heard(server, says(stereo), says(wav(1.5, 44_100)))
    assert spoken.sound.samples.shape[1] == 1
    assert spoken.sound.sample_rate_hz == RATE_HZ
    assert spoken.phrases[1].end_s - spoken.phrases[1].start_s == pytest.approx(1.5, abs=0.06)
    fine = heard(server, says(wav(1.5, 96_000)), text="海上明月")
    assert fine.sound.sample_rate_hz == 48_000


HOURS = 3 * 3600 * RATE_HZ * 2
BROKEN: dict[str, tuple[Reply, str]] = {
    "web page": (raw(b"<html>Welcome</html>", kind="text/html"), "the type text/html"),
    "web page as sound": (says(b"<html>Welcome</html>"), "not a sound that can be read"),
    "garbage": (says(bytes(range(256)) * 40), "not a sound that can be read"),
    "nothing": (says(b""), "not a sound that can be read"),
    "JSON": (raw(b"oops", kind="application/json"), "the type application/json"),
    "JSON error": (
        raw(b'{"error": {"message": "no such voice"}}', kind="application/json"),
        "says: no such voice",
    ),
    "xml": (raw(b"<x/>", kind="application/xml"), "the type application/xml"),
    "gzip": (raw(b"\x1f\x8b", kind="audio/wav", content_encoding="gzip"), "compressed"),
    "three hours claimed": (says(told_sizes(wav(), HOURS)), r"claims more than [\d.]+ s"),
    "three hours sent": (
        says(encode_sound(Sound(samples=np.full((3 * 3600 * 8000, 1), 0.1, np.float32),
                                sample_rate_hz=8000), "audio/flac")),
        r"claims more than [\d.]+ s",
    ),
    "a minute for seven syllables": (says(wav(60.0)), r"claims more than 16\.5 s"),
    "NaN": (says(float_wav(np.full(RATE_HZ, np.nan))), "values that are no numbers"),
    "infinite": (says(float_wav(np.full(RATE_HZ, np.inf))), "values that are no numbers"),
    "no samples": (says(wav()[:4] + struct.pack("<I", 36) + wav()[8:40] + b"\0\0\0\0"),
                   "nothing is heard"),
    "no samples, but a chunk after them": (
        says(
            b"RIFF" + struct.pack("<I", 4036) + wav()[8:40] + b"\0\0\0\0LIST"
            + struct.pack("<I", 3992) + b"\x55\xaa\x11\x99" * 998
        ),
        "nothing is heard",
    ),
    "silence": (says(float_wav(np.zeros(RATE_HZ))), "nothing is heard"),
    "a click": (says(float_wav(np.full(99, 0.5))), "nothing is heard"),
    "too short": (says(wav(0.1)), r"too short for 8 characters; does the voice know the language"),
    "rate too low": (says(float_wav(np.full(RATE_HZ, 0.1), 4_000)), "4000 Hz is no sample rate"),
    "rate too high": (says(float_wav(np.full(999, 0.1), 10**6)), "1000000 Hz is no sample rate"),
    "six channels": (says(float_wav(np.full(6 * 9999, 0.1), RATE_HZ, 6)), "6 channels"),
    "flac cut": (says(encode_sound(tone(), "audio/flac")[:5000]), "broken sound"),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_a_broken_answer_is_told_in_one_line_and_asked_for_once(server: Server, name: str) -> None:
    reply, message = BROKEN[name]
    with pytest.raises(EndpointError, match=message) as caught:
        heard(server, reply)
    assert str(caught.value).isprintable()
    assert len(server.bodies) == 1


def test_text_is_not_heard_as_samples(server: Server) -> None:
    for page in (b"<html>\n<body>Welcome to this server", b'{"detail": "Not here, sorry."}  '):
        with pytest.raises(EndpointError, match="text and no sound"):
            heard(server, says(page), speech_format="pcm")


def cut_off(data: bytes) -> Reply:
    """Fewer bytes than the length in the header of HTTP."""

    def reply(handler: Handler) -> None:
        handler.begin(200, "audio/wav", content_length=str(len(data) + 999))
        handler.wfile.write(data)

    return reply


PASSING: dict[str, Reply] = {
    "429": status(429, "slow down"),
    "500": status(500),
    "503": status(503),
    "truncated": says(wav()[:20_000]),
    "cut off": cut_off(wav()),
    "half a sample": says(wav()[44:-1]),
}


@pytest.mark.parametrize("name", sorted(PASSING))
def test_what_may_pass_is_asked_again_and_no_half_is_kept(server: Server, name: str) -> None:
    clock = FakeClock()
    form = "pcm" if name == "half a sample" else "wav"
    server.replies = [PASSING[name], PASSING[name], says(wav())]
    spoken = voice(server, clock, speech_format=form).speak("海上明月", SpeechOptions())
    assert spoken.sound.duration_s == pytest.approx(1.5, abs=0.06)
    assert len(clock.waits) == 2
    server.replies = [PASSING[name]]
    with pytest.raises(EndpointError, match="gave no answer in 3 attempts"):
        voice(server, clock, attempts=3, speech_format=form).speak("海上明月", SpeechOptions())


@pytest.mark.parametrize(
    ("code", "message"),
    [(400, "refuses the request: 400 no such voice"), (401, "refuses the key"),
     (404, "no such address or model"), (307, "send the request elsewhere")],
)  # fmt: skip
def test_what_will_not_pass_is_asked_once(server: Server, code: int, message: str) -> None:
    with pytest.raises(EndpointError, match=message):
        heard(server, status(code, "no such voice", location="http://127.0.0.1:9/"))
    assert len(server.bodies) == 1


def test_a_sound_that_drips_for_ever_ends_at_the_deadline(server: Server) -> None:
    def dripping(handler: Handler) -> None:
        handler.begin(200, "audio/wav")
        bad_server._drip(handler)

    with pytest.raises(EndpointError, match=r"still answering after 0\.3 s"):
        heard(server, dripping, total_s=0.3)


def test_a_huge_answer_is_given_up(server: Server) -> None:
    with pytest.raises(EndpointError, match="more than 67108864 bytes"):
        heard(server, raw(*[b"\0" * 2**20] * 70, kind="audio/wav"))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_whatever_bytes_come_are_a_sound_or_an_error(data: st.DataObject) -> None:
    whole = bytearray(wav(0.2))
    for _ in range(data.draw(st.integers(0, 6))):
        whole[data.draw(st.integers(0, 60))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    try:
        sound = sound_of(bytes(whole[:cut]), 9.0, raw=data.draw(st.booleans()))
    except (MediaError, BrokeOff):
        return
    assert np.isfinite(sound.samples).all()
    assert 0 < sound.duration_s <= 9
    assert np.abs(sound.samples).max() <= 1


def test_a_cap_of_characters_is_held_before_anything_is_sent(server: Server) -> None:
    server.replies = [says(wav())]
    asked = voice(server, characters_cap=40)
    asked.speak(VERSE, SpeechOptions())
    assert asked.facts() == {"answers": 2, "characters": 16, "cost": 0.0, "currency": "USD"}
    asked.speak(VERSE, SpeechOptions())
    with pytest.raises(BudgetError, match="48 characters, above the cap of 40"):
        asked.speak(VERSE, SpeechOptions())
    assert len(server.bodies) == 4


def test_a_cap_of_money_is_held_and_needs_the_price_of_characters(server: Server) -> None:
    server.replies = [says(wav())]
    asked = voice(server, character_price=1_000.0, spend_cap=0.02)
    asked.speak(VERSE, SpeechOptions())
    assert asked.facts()["cost"] == 0.016
    with pytest.raises(BudgetError, match=r"above the cap of 0\.0200"):
        asked.speak(VERSE, SpeechOptions())
    with pytest.raises(ConfigError, match="character_price for a voice"):
        voice(server, output_price=1.0, spend_cap=1.0)


def test_what_broke_off_is_paid_for(server: Server) -> None:
    server.replies = [says(wav()[:20_000]), status(500), says(wav())]
    asked = voice(server)
    asked.speak("海上明月", SpeechOptions())
    assert asked.facts()["characters"] == 2 * len("海上明月。")


@pytest.mark.usefixtures("home")
def test_a_cap_is_for_all_readings_of_a_program_run(
    server: Server, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "_RUN", {})
    (home / "endpoints.json").write_text(json.dumps({f"{server.url}/v1": {"characters_cap": 20}}))
    server.replies = [says(wav())]
    open_speaker(server.name).speak(VERSE, SpeechOptions())
    with pytest.raises(BudgetError, match="above the cap of 20"):
        open_speaker(server.name).speak(VERSE, SpeechOptions())


ECHOES: dict[str, Reply] = {
    "error page": status(400, f"no such key: {KEY}"),
    "wrong key": status(401, f"no such key: {KEY}"),
    "passing": status(429, f"no such key: {KEY}"),
    "JSON": raw(json.dumps({"error": f"no such key: {KEY}"}).encode(), kind="application/json"),
    "type": raw(b"", kind=f"text/{KEY}"),
}


@pytest.mark.parametrize("name", sorted(ECHOES))
def test_an_endpoint_that_repeats_the_key_does_not_make_us_do_so(server: Server, name: str) -> None:
    with pytest.raises(EndpointError) as caught:
        heard(server, ECHOES[name])
    assert KEY not in str(caught.value) + repr(caught.value.values)
    assert KEY not in repr(voice(server)) + repr(voice(server)._transport)


def test_what_cannot_be_read_is_refused_before_anything_is_sent(server: Server) -> None:
    for text, message in (
        ("。，！", "nothing to read"),
        ("×÷", "nothing to read"),
        ("海" * 2001, "2002 characters; this voice reads 2000 at once"),
    ):
        with pytest.raises(BriefError, match=message):
            heard(server, says(wav()), text=text)
    assert not server.bodies
    (piece,) = pieces_of("half \ud83c a \x1b[2J character", SpeechOptions())
    assert piece.text == "half a [2J character."


@pytest.mark.usefixtures("home")
def test_names_choose_who_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("", "espeak"):
        assert isinstance(open_speaker(name), Espeak)
    assert isinstance(open_speaker("openai:https://example.com/v1#m"), OpenAiSpeaker)
    for name in ("piper", "opnai:https://example.com/v1#m", "hub:folder"):
        with pytest.raises(NotFoundError, match="espeak, or one of these kinds: openai"):
            open_speaker(name)
    monkeypatch.setenv("WENFANG_OFFLINE", "1")
    with pytest.raises(ConfigError, match="WENFANG_OFFLINE forbids"):
        open_speaker("openai:https://example.com/v1#m")


@pytest.mark.parametrize("value", ["1", "true"])
def test_offline_is_a_hard_error_and_nothing_is_sent(
    server: Server, call: Call, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    server.replies = [says(wav())]
    monkeypatch.setenv("WENFANG_OFFLINE", value)
    done = call("generate", "speech", VERSE, "--set", f"engine={server.name}", "-o", "a.mp3")
    assert done.code == ConfigError.exit_code
    assert "WENFANG_OFFLINE" in done.error
    assert not Path("a.mp3").exists()
    assert not server.bodies


def test_a_reading_is_sealed_and_the_key_is_nowhere(
    server: Server, call: Call, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WENFANG_OPENAI_KEY", KEY)
    server.replies = [says(wav())]
    settings = ["--set", f"engine={server.name}", "--set", "variant=nova"]
    done = call("generate", "speech", VERSE, *settings, "-o", "a.flac", "--json")
    assert done.code == 0, done.err
    (told,) = done.json["generated"]
    assert told["words_estimated"] is True
    assert len(told["phrases"]) == 2
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert wf.verify(Path("a.flac"))[0].exit_code == 0
    assert "tester" in call("lineage", "a.flac", "--json").out
    manifest = json.loads(Path("a.flac.wenfang.json").read_text())
    assert server.name in json.dumps(manifest)
    written = [path for root in (home, Path(".")) for path in root.rglob("*") if path.is_file()]
    assert not [path for path in written if KEY.encode() in path.read_bytes()]
    assert KEY not in done.out + done.err


def test_a_replay_asks_no_endpoint_that_a_file_names(
    server: Server, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WENFANG_OPENAI_KEY", KEY)
    server.replies = [says(wav())]
    call("generate", "speech", "海上明月", "--set", f"engine={server.name}", "-o", "a.flac")
    count = len(server.bodies)
    for again in (wf.replay(Path("a.flac")), wf.replay(Path("a.flac"), model="speech")):
        assert [one.outcome for one in again] == ["cannot tell"]
        assert "asks no endpoint for a voice" in again[0].finding
    assert len(server.bodies) == count


def test_the_built_in_voice_is_recorded_as_before(call: Call) -> None:
    done = call("generate", "speech", "海", "-o", "a.flac", "--json")
    (told,) = done.json["generated"]
    assert told["words_estimated"] is False
    assert "engine" not in Path("a.flac.wenfang.json").read_text()


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([8_000, 24_000, 48_000]),
    st.floats(0.03, 3.0),
    st.floats(0.4, 3.0),
    st.floats(-12, 12),
)
def test_a_stretched_sound_has_its_length(
    rate_hz: int, seconds: float, speed: float, semitones: float
) -> None:
    sound = tone(seconds, rate_hz)
    changed = stretched(sound, speed, semitones)
    assert changed.duration_s == pytest.approx(sound.duration_s / speed, abs=2 / rate_hz)
    assert np.isfinite(changed.samples).all()


@pytest.mark.parametrize(("speed", "semitones"), [(0.5, 0.0), (1.0, 7.0), (2.0, -5.0)])
def test_a_stretched_sound_keeps_or_changes_its_pitch(speed: float, semitones: float) -> None:
    samples = tone(4.0, hertz=440.0).samples
    changed = stretched(Sound(samples=samples, sample_rate_hz=RATE_HZ), speed, semitones)
    spectrum = np.abs(np.fft.rfft(changed.samples[:, 0]))
    assert spectrum.argmax() / changed.duration_s == pytest.approx(
        440 * 2 ** (semitones / 12), rel=0.01
    )


def test_a_stretched_sound_is_heard_to_its_end() -> None:
    samples = tone(0.2).samples[4800:-4800]
    for speed, semitones in ((0.5, 0.0), (2.0, 0.0), (1.0, -7.0), (1.0, 7.0)):
        changed = stretched(Sound(samples=samples, sample_rate_hz=RATE_HZ), speed, semitones)
        last = changed.samples[-len(changed.samples) // 20 :]
        assert np.sqrt((last**2).mean()) > 0.1


def test_a_header_of_python_is_read_as_it_stands() -> None:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as target:
        target.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        target.writeframes((tone().samples[:, 0] * 32767).astype("<i2").tobytes())
    assert sound_of(buffer.getvalue(), 9.0).duration_s == pytest.approx(1.5, abs=0.06)
