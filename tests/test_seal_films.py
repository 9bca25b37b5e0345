"""Films: labelled on their opening pictures, encoded once, and found again by other readers."""

from __future__ import annotations

import dataclasses
import io
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from wenfang.errors import MediaError, WenfangError
from wenfang.media import video
from wenfang.media.audio import Sound
from wenfang.media.video import Film, decode, first_frames
from wenfang.media.video_encoding import encode
from wenfang.seal.credential import Claim, read_credential, sign_detached, sign_embedded
from wenfang.seal.formats import Format, Marking, boxes, film_label, matroska, xmp
from wenfang.seal.formats.film import measure_film
from wenfang.seal.formats.film_label import film_label as label_of
from wenfang.seal.formats.mp4 import MP4
from wenfang.seal.formats.webm import WEBM
from wenfang.seal.identity import Identity
from wenfang.seal.label import LabelSettings, new_label

MARKING = Marking(settings=LabelSettings(), pointer="0123456789ab")
LABEL = new_label(MARKING.settings, "5a" * 32)
FORMATS = (MP4, WEBM)
EITHER = pytest.mark.parametrize("chosen", FORMATS, ids=lambda one: str(one.name))
FPS = 8


@dataclass(frozen=True)
class Drifting:
    """Soft colours that move, and a busy strip on the right if asked."""

    count: int = 40
    width: int = 320
    height: int = 240
    busy_right: bool = False

    def __iter__(self) -> Iterator[video.Frame]:
        y, x = np.mgrid[: self.height, : self.width]
        for number in range(self.count):
            shades = [(x // 4 + number * 2) % 90, (y // 4 + number) % 90, (x + y) // 9 % 90]
            frame = (np.stack(shades, 2) + 80).astype(np.uint8)
            if self.busy_right:
                frame[:, self.width // 2 :] = ((x + y + number) % 2 * 255)[
                    :, self.width // 2 :, None
                ]
            yield frame


def tone(seconds: float) -> Sound:
    time = np.arange(round(48_000 * seconds)) / 48_000
    samples = (0.2 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    return Sound(samples=samples[:, None], sample_rate_hz=48_000)


def film(count: int = 40, sound: bool = True, **kind: Any) -> Film:
    heard = tone(count / FPS) if sound else None
    return Film(frames=Drifting(count=count, **kind), fps=Fraction(FPS), sound=heard)


@lru_cache
def sealed(chosen: Format) -> tuple[bytes, dict[str, Any]]:
    """A labelled film and the facts as they come back from a manifest."""
    return seal(chosen, film())


def seal(chosen: Format, content: bytes | Film) -> tuple[bytes, dict[str, Any]]:
    assert chosen.write is not None
    drawn = chosen.draw(content, MARKING)
    assert drawn.inserted is None
    return chosen.write(drawn, LABEL).data, json.loads(json.dumps(dict(drawn.visible)))


@lru_cache
def made_elsewhere(
    kind: str, codec: str = "libx264", pixels: str = "yuv420p", size: tuple[int, int] = (320, 240),
    times: tuple[int, ...] = tuple(range(0, 40 * 125, 125)), tags: tuple[tuple[str, str], ...] = (),
) -> bytes:  # fmt: skip
    """A film encoded with PyAV alone; times in milliseconds."""
    buffer = io.BytesIO()
    options = {"movflags": "use_metadata_tags"} if kind == "mp4" else {}
    with av.open(buffer, "w", format=kind, container_options=options) as container:
        container.metadata.update(dict(tags))
        stream: Any = container.add_stream(codec, FPS)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        stream.codec_context.time_base = Fraction(1, 1000)
        sound: Any = container.add_stream("aac" if kind == "mp4" else "libopus", 48_000)
        sound.layout = "mono"
        for time, frame in zip(times, Drifting(len(times), *size), strict=True):
            picture = av.VideoFrame.from_ndarray(frame, "rgb24")
            picture.pts, picture.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(picture))
        for start in range(0, times[-1] * 48, 960):
            samples = tone(0.02).samples.T.copy()
            heard = av.AudioFrame.from_ndarray(samples, "fltp", "mono")
            heard.sample_rate, heard.pts, heard.time_base = 48_000, start, Fraction(1, 48_000)
            container.mux(sound.encode(heard))
        container.mux(stream.encode(None))
        container.mux(sound.encode(None))
    return buffer.getvalue()


def tags(data: bytes) -> dict[str, str]:
    with av.open(io.BytesIO(data), "r") as container:
        return dict(container.metadata)


def frames(data: bytes) -> list[tuple[float, np.ndarray[Any, Any]]]:
    """Every frame by PyAV alone."""
    with av.open(io.BytesIO(data), "r") as container:
        return [(one.time, one.to_ndarray(format="rgb24")) for one in container.decode(video=0)]


def packets(data: bytes, kind: str) -> list[bytes]:
    with av.open(io.BytesIO(data), "r") as container:
        stream = next(one for one in container.streams if one.type == kind)
        return [bytes(one) for one in container.demux(stream) if one.size]


# --- a film that was made here


@EITHER
def test_another_reader_finds_the_one_label(chosen: Format) -> None:
    data, _ = sealed(chosen)
    assert chosen.labels(data) == [LABEL]
    assert json.loads(tags(data)["AIGC"]) == LABEL
    assert chosen.starts is not None
    assert chosen.starts(data)


@EITHER
def test_a_sealed_film_plays_with_its_sound(chosen: Format) -> None:
    data, _ = sealed(chosen)
    seen = frames(data)
    assert [time for time, _ in seen] == pytest.approx([one / FPS for one in range(40)], abs=2e-3)
    heard = decode(data).sound
    assert heard is not None
    assert heard.duration_s == pytest.approx(5.0, abs=0.05)
    middle = heard.samples[48_000:96_000, 0]
    assert np.sqrt((middle**2).mean()) == pytest.approx(0.2 / np.sqrt(2), rel=0.1)


@EITHER
def test_the_same_film_gives_the_same_bytes(chosen: Format) -> None:
    assert chosen.draw(film(), MARKING).data == chosen.draw(film(), MARKING).data


@EITHER
def test_the_label_is_measured_on_the_pixels(chosen: Format) -> None:
    data, visible = sealed(chosen)
    layer = chosen.measure(data, visible)
    assert layer.status == "good"
    assert layer.facts["seconds"] == 2.0
    share, contrast = layer.facts["glyph_share"], layer.facts["contrast"]
    assert isinstance(share, float)
    assert isinstance(contrast, float)
    assert share >= 0.05
    assert contrast >= 4.5


@EITHER
def test_the_label_stands_for_three_seconds_and_touches_nothing_else(chosen: Format) -> None:
    data, visible = sealed(chosen)
    left, top, right, bottom = visible["box"]
    for (time, seen), drawn in zip(frames(data), Drifting(), strict=True):
        apart = np.abs(seen.astype(int) - drawn)
        inside = apart[top:bottom, left:right].mean()
        assert inside > 40 if time < 2.99 else inside < 8
        apart[top:bottom, left:right] = 0
        assert apart.mean() < 8


@EITHER
def test_a_film_under_four_seconds_has_the_label_throughout(chosen: Format) -> None:
    for count in (1, 9, 30):
        data, visible = seal(chosen, film(count))
        left, top, right, bottom = visible["box"]
        last = frames(data)[-1][1][top:bottom, left:right]
        assert (
            np.abs(last.astype(int) - list(Drifting(count))[-1][top:bottom, left:right]).mean() > 40
        )
        layer = chosen.measure(data, visible)
        assert layer.status == "good"
        # A film of a single picture says nothing of how long that is shown.
        assert layer.facts["seconds"] == pytest.approx(
            0 if count == 1 else min(2, count / FPS), abs=0.01
        )


def test_the_label_goes_where_the_opening_is_calm() -> None:
    _, calm = label_of(film(busy_right=False), ("AI生成",))
    _, busy = label_of(film(busy_right=True), ("AI生成",))
    assert calm["box"][0] > 160  # type: ignore[index]
    assert busy["box"][2] < 160  # type: ignore[index]


@EITHER
def test_a_film_too_small_for_words_gets_a_footer(chosen: Format) -> None:
    data, visible = seal(chosen, film(count=24, width=64, height=48, sound=False))
    assert visible["form"] == "footer"
    seen = frames(data)[0][1]
    assert seen.shape[0] > 48
    assert seen.shape[0] % 2 == seen.shape[1] % 2 == 0
    left = (seen.shape[1] - 64) // 2
    picture = seen[:48, left - left % 2 :][:, :64]
    assert np.abs(picture.astype(int) - next(iter(Drifting(1, 64, 48)))).mean() < 8
    assert chosen.measure(data, visible).status == "good"


@EITHER
def test_odd_sides_become_even_by_repeating_the_last_pixels(chosen: Format) -> None:
    odd = Film(frames=Drifting(10, 321, 241), fps=Fraction(FPS))
    assert frames(chosen.draw(odd, MARKING).data)[0][1].shape == (242, 322, 3)


@EITHER
def test_the_sound_of_a_film_made_here_carries_the_pointer(chosen: Format) -> None:
    random = np.random.Generator(np.random.Philox(key=5))
    rustle = np.convolve(random.standard_normal(48_000 * 10), np.ones(8) / 8, "same") * 0.1
    sound = Sound(samples=rustle.astype(np.float32)[:, None], sample_rate_hz=48_000)
    shown = Film(frames=Drifting(80, 160, 120), fps=Fraction(FPS), sound=sound)
    drawn = chosen.draw(shown, MARKING)
    assert drawn.watermark["pointer"] == MARKING.pointer
    assert chosen.trace is not None
    found = chosen.trace(drawn.data, False)
    assert found.pointer == MARKING.pointer
    assert found.p_value < 1e-6
    silent = chosen.draw(film(sound=False), MARKING)
    assert "none" in silent.watermark
    for unmarked in (silent.data, b"", drawn.data[:500], made_elsewhere("mp4")):
        assert chosen.trace(unmarked, False).pointer is None


# --- faults


def test_a_label_of_1_9_seconds_is_too_short() -> None:
    shown = Film(frames=Drifting(100), fps=Fraction(20))
    patch, visible = label_of(shown, MARKING.settings.words)
    for until_s, status in ((1.9, "unlabelled"), (0.0, "unlabelled"), (2.0, "good")):
        short = dataclasses.replace(patch, until_s=until_s)
        layer = measure_film(encode(shown, "mp4", short.lay), visible)
        assert layer.status == status, until_s
        assert layer.facts["seconds"] == until_s


@EITHER
def test_glyphs_of_4_9_percent_are_too_small(
    chosen: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(film_label, "DRAWN_PX", 1)
    monkeypatch.setattr(film_label, "DRAWN_SHARE", 0.0475)
    data, visible = seal(chosen, film(count=17, width=480, height=400))
    layer = chosen.measure(data, visible)
    assert layer.facts["glyph_height_px"] == 19
    assert layer.status == "unlabelled"


@EITHER
def test_a_film_without_the_recorded_label_is_unlabelled(chosen: Format) -> None:
    _, visible = sealed(chosen)
    bare = encode(film(), "mp4" if chosen is MP4 else "webm")
    assert chosen.measure(bare, visible).status == "unlabelled"
    assert chosen.measure(bare, None).status == "unknown"
    assert chosen.measure(bare, {"colour": [0, 0], "box": "?"}).status == "unknown"


def remuxed(data: bytes, kind: str, flags: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with av.open(io.BytesIO(data), "r") as source, av.open(
        buffer, "w", format=kind, container_options=flags
    ) as target:  # fmt: skip
        target.metadata.update(source.metadata)
        streams = {one.index: target.add_stream_from_template(one) for one in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream_index]
                target.mux(packet)
    return buffer.getvalue()


def test_a_remux_drops_the_label_unless_it_is_told_not_to() -> None:
    data, visible = sealed(MP4)
    plain = remuxed(data, "mp4", {})
    assert MP4.labels(plain) == []
    assert MP4.measure(plain, visible).status == "good"  # the words stay
    assert MP4.labels(remuxed(data, "mp4", {"movflags": "use_metadata_tags"})) == [LABEL]
    assert WEBM.labels(remuxed(sealed(WEBM)[0], "webm", {})) == [LABEL]


def test_two_labels_are_seen_as_two() -> None:
    packet = b"\xbe\x7a\xcf\xcb\x97\xa9\x42\xe8\x9c\x71\x99\x94\x91\xe3\xaf\xac" + xmp.xmp_packet(
        LABEL
    )
    assert MP4.labels(sealed(MP4)[0] + boxes.box(b"uuid", packet)) == [LABEL, LABEL]
    assert WEBM.labels(matroska.with_label(sealed(WEBM)[0], "second")) == [LABEL, "second"]


@EITHER
def test_broken_files_give_no_label_and_no_traceback(chosen: Format) -> None:
    data, visible = sealed(chosen)
    cut = [data[:length] for length in (0, 4, 11, 40, 700, len(data) // 2, len(data) - 9)]
    for broken in (*cut, b"\0" * 500, data[:8] + b"\xff" * 500, data[:60] + b"\xff" * 9000):
        assert all(one == LABEL for one in chosen.labels(broken))
        assert chosen.measure(broken, visible).status in ("unknown", "good", "unlabelled")
    for broken in (b"", b"words", data[:40], data[:60] + b"\xff" * 9000):
        with pytest.raises(WenfangError):
            chosen.draw(broken, MARKING)


@EITHER
def test_mutated_films_are_read_without_a_traceback(chosen: Format) -> None:
    data, visible = seal(chosen, film(count=3))
    random = np.random.Generator(np.random.Philox(key=7))
    for _ in range(60):
        changed = np.frombuffer(data, np.uint8).copy()
        places = random.integers(0, len(data) if random.random() < 0.5 else 1500, 6)
        changed[places] = random.integers(0, 256, 6)
        chosen.labels(changed.tobytes())
        chosen.measure(changed.tobytes(), visible)
        chosen.trace(changed.tobytes(), False)  # type: ignore[misc]


def test_a_claim_of_a_billion_samples_is_refused_before_it_is_believed() -> None:
    data = bytearray(sealed(MP4)[0])
    place = data.index(b"stsz") + 8
    data[place : place + 8] = struct.pack(">II", 1, 1 << 30)
    with pytest.raises(MediaError, match="claims too many samples"):
        list(first_frames(bytes(data), 1.0))


def test_films_past_the_bounds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data, visible = sealed(MP4)
    for name, limit, message in (
        ("LIMIT_BYTES", 1000, "bytes"),
        ("LIMIT_PIXELS", 320 * 240 - 1, "320 x 240 pixels"),
        ("LIMIT_DURATION_S", 4, "longer than 4 s"),
        ("LIMIT_FRAMES", 39, "longer than"),
        ("LIMIT_PACKETS", 30, "small parts"),
        ("LIMIT_OPENING_PIXELS", 320 * 240 * 9, "too many frames"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(video, name, limit)
            assert message in MP4.measure(data, visible).finding
    with pytest.raises(MediaError, match="frames a second"):
        Film(frames=[], fps=Fraction(1000))
    with pytest.raises(MediaError, match="without a frame"):
        MP4.draw(Film(frames=[], fps=Fraction(8)), MARKING)
    with pytest.raises(MediaError, match="8-bit RGB"):
        MP4.draw(Film(frames=[np.zeros((4, 4, 4), np.uint8)], fps=Fraction(8)), MARKING)


# --- Matroska's structure


def test_the_index_of_a_labelled_webm_points_to_what_it_names() -> None:
    bare = WEBM.draw(film(), MARKING).data
    data = matroska.with_label(bare, "x" * 700)
    reading = matroska.Reading(data)
    segment = next(one for one in reading.children(0, len(data)) if one.kind == matroska.SEGMENT)
    assert segment.end == len(data)
    inside = {
        one.start - segment.body: one.kind for one in reading.children(segment.body, segment.end)
    }
    head = next(reading.inside(segment, matroska.SEEK_HEAD))
    named = []
    for entry in reading.inside(head, matroska.SEEK):
        what, where = (data[one.body : one.end] for one in reading.children(entry.body, entry.end))
        assert inside[int.from_bytes(where, "big")] == int.from_bytes(what, "big")
        named.append(int.from_bytes(what, "big"))
    assert named.count(matroska.TAGS) == 2
    assert tags(data)["AIGC"] == "x" * 700
    with av.open(io.BytesIO(data), "r") as container:
        container.seek(4_000_000)
        assert next(container.decode(video=0)).time <= 4.0


def test_every_simple_tag_called_aigc_counts_however_deep() -> None:
    def tag(name: str, text: str, inside: bytes = b"") -> bytes:
        content = matroska.element(matroska.TAG_NAME, name.encode())
        content += matroska.element(matroska.TAG_STRING, text.encode())
        return matroska.element(matroska.SIMPLE_TAG, content + inside)

    nested = tag("OUTER", "-", tag("aigc", "inner")) + tag("AIGC", "outer")
    whole = matroska.element(matroska.TAGS, matroska.element(matroska.TAG, nested))
    bomb = tag("AIGC", "0")
    for _ in range(300):
        bomb = tag("OUTER", "", bomb)
    deep = matroska.element(matroska.TAGS, matroska.element(matroska.TAG, bomb))
    assert matroska.labels(matroska.element(matroska.SEGMENT, whole)) == ["inner", "outer"]
    assert matroska.labels(matroska.element(matroska.SEGMENT, deep)) == []
    unknown = bytes.fromhex("18538067 01ffffffffffffff 1f43b675 01ffffffffffffff a3 81 00")
    assert matroska.labels(unknown + whole) == ["inner", "outer"]
    assert matroska.labels(bytes.fromhex("18538067 01ffffffffffffff") + b"\xec\x80" * 300_000) == []


# --- films made elsewhere


@EITHER
def test_sound_times_and_title_of_another_maker_are_kept_and_nothing_else(chosen: Format) -> None:
    times = (0, 40, 90, 400, 410, 1000, 1700, 1950, 2400, 3100, 3500, 4400, 4700)
    kept = {
        "title": "清明 · a film",
        "comment": "private",
        "location": "+31.2+121.4/",
        "AIGC": "{}",
    }
    kind, codec = ("mp4", "libx264") if chosen is MP4 else ("webm", "libvpx-vp9")
    source = made_elsewhere(kind, codec, times=times, tags=tuple(kept.items()))
    data, visible = seal(chosen, source)
    assert packets(data, "audio") == packets(source, "audio")
    assert [time for time, _ in frames(data)] == pytest.approx([one / 1000 for one in times])
    found = tags(data)
    assert found["title"] == kept["title"]
    assert "private" not in str(found)
    assert b"+31.2" not in data
    assert chosen.labels(data) == [LABEL]
    assert chosen.measure(data, visible).status == "good"
    assert seal(chosen, source)[0] == data


@pytest.mark.parametrize("pixels", ["yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv420p10le"])
def test_every_pixel_format_is_labelled_in_its_own_colours(pixels: str) -> None:
    source = made_elsewhere("mp4", pixels=pixels)
    data, visible = seal(MP4, source)
    assert MP4.measure(data, visible).status == "good"
    one, other = frames(source)[30][1], frames(data)[30][1]
    assert np.abs(one.astype(int) - other).mean() < 3


@pytest.mark.parametrize(("turn", "matrix"), [
    (1, (0, 1, -1, 0)), (2, (-1, 0, 0, -1)), (3, (0, -1, 1, 0)),
])  # fmt: skip
def test_a_turned_film_is_labelled_upright(turn: int, matrix: tuple[int, ...]) -> None:
    source = bytearray(made_elsewhere("mp4"))
    a, b, c, d = (value << 16 for value in matrix)
    place = source.index(b"tkhd") + 44
    source[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    data, visible = seal(MP4, bytes(source))
    seen = frames(data)[30][1]
    stored = frames(made_elsewhere("mp4"))[30][1]
    clockwise = np.rot90(stored, -turn)
    assert seen.shape == clockwise.shape
    assert np.abs(seen.astype(int) - clockwise).mean() < 4
    assert MP4.measure(data, visible).status == "good"


def test_sound_that_the_container_cannot_carry_is_encoded_again() -> None:
    data = encode(made_elsewhere("mp4"), "webm")
    with av.open(io.BytesIO(data), "r") as container:
        assert container.streams.audio[0].codec_context.name.endswith("opus")
    heard = decode(data).sound
    assert heard is not None
    assert heard.duration_s == pytest.approx(4.9, abs=0.1)


# --- credentials


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return Identity.open_or_create(tmp_path_factory.mktemp("home"))


def claim(visible: dict[str, Any]) -> Claim:
    claims = {"manifest_sha256": "5a" * 32, "label": LABEL, "visible": visible}
    return Claim(title="film", version="0", assertion=claims)


def test_an_mp4_holds_its_credential_and_keeps_its_label(identity: Identity) -> None:
    data, visible = sealed(MP4)
    signed = sign_embedded(data, "video/mp4", claim(visible), identity)
    found = read_credential(signed, "video/mp4", None, (identity.root,))
    assert found.state == "trusted"
    assert MP4.labels(signed) == [LABEL]
    assert found.claims is not None
    assert MP4.measure(signed, found.claims["visible"]).status == "good"
    assert len(frames(signed)) == 40
    assert len(signed) - len(data) < 6000
    for changed in (
        _flipped(signed, len(signed) // 2),
        _flipped(signed, signed.index(b"ProduceID") + 15),
        signed + b"more",
        signed[:-1],
    ):
        assert read_credential(changed, "video/mp4", None, (identity.root,)).state == "tampered"


def test_a_webm_has_its_credential_beside_it(identity: Identity) -> None:
    data, visible = sealed(WEBM)
    detached = sign_detached(data, claim(visible), identity)
    assert read_credential(data, "", detached, (identity.root,)).state == "trusted"
    for changed in (_flipped(data, len(data) // 2), data + b"more"):
        assert read_credential(changed, "", detached, (identity.root,)).state == "tampered"


def _flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def test_the_opening_is_looked_at_sparsely_and_to_its_end() -> None:
    data, _ = sealed(MP4)
    shown = list(first_frames(data, 2.0, 0.5))
    assert [one.start_s for one in shown] == pytest.approx([0, 0.5, 1.0, 1.5, 1.875])
    assert [one.end_s for one in shown] == pytest.approx([0.125, 0.625, 1.125, 1.625, 2.0])
    assert [one.end_s for one in first_frames(data, 9.0, 9.0)] == pytest.approx([0.125, 5.0])
    assert Image.fromarray(next(first_frames(data, 1.0)).pixels).size == (320, 240)


def test_a_films_frames_can_be_gone_through_twice(tmp_path: Path) -> None:
    again = decode(sealed(MP4)[0])
    assert again.fps == FPS
    assert sum(1 for _ in again.frames) == sum(1 for _ in again.frames) == 40
