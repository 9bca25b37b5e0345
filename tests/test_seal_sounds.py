"""Sealed sounds: heard by the rhythm, labelled once, read by libraries of others."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import mido
import mutagen
import mutagen.id3
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from wenfang.errors import MediaError, SealError
from wenfang.media.audio import Part, Sound, SoundLimits, decode_sound, encode_sound
from wenfang.media.loudness import loudness_lufs
from wenfang.seal.credential import Claim, read_credential, sign_embedded
from wenfang.seal.formats import boxes, id3
from wenfang.seal.formats.contract import Format, Marking, first_starting, without
from wenfang.seal.formats.flac import FLAC
from wenfang.seal.formats.m4a import M4A
from wenfang.seal.formats.midi import MIDI
from wenfang.seal.formats.mp3 import MP3
from wenfang.seal.formats.ogg import OGG, OPUS
from wenfang.seal.formats.vorbis_comment import Comment
from wenfang.seal.formats.wav import WAV, riff
from wenfang.seal.formats.wav import chunks as riff_chunks
from wenfang.seal.identity import Identity
from wenfang.seal.label import LabelSettings, bare_json, new_label
from wenfang.seal.rhythm import PITCH_HZ, UNIT_S, find_rhythm, motif, with_rhythm

SOUNDS = (WAV, FLAC, MP3, OGG, OPUS, M4A)
EVERY = (*SOUNDS, MIDI)
PLAIN = LabelSettings(watermark=False)
LABEL = new_label(PLAIN, "ab" * 32)
MARKING = Marking(settings=PLAIN, pointer="0123456789ab")
AT_START = Marking(settings=LabelSettings(watermark=False, position="start"), pointer="0" * 12)
each_sound = pytest.mark.parametrize("format_", SOUNDS, ids=lambda one: one.name)
each_format = pytest.mark.parametrize("format_", EVERY, ids=lambda one: one.name)


@cache
def music(rate_hz: int = 44_100, seconds: float = 3.0, channels: int = 2) -> Sound:
    """Plucked tones, some at the rhythm's own pitch, with a little noise."""
    draw, time = np.random.default_rng(3), np.arange(int(rate_hz * seconds)) / rate_hz
    wave = 0.003 * draw.standard_normal(len(time))
    for number, pitch in enumerate((440.0, 880.0, 554.4, 659.3, 880.0, 330.0) * 3):
        start = number * 0.25
        decay = np.where(time >= start, np.exp(-5 * np.clip(time - start, 0, None)), 0)
        wave += 0.2 * decay * np.sin(2 * np.pi * pitch * (time - start))
    samples = np.repeat(wave[:, None], channels, axis=1) * np.linspace(1, 0.7, channels)
    return Sound(samples=samples.astype(np.float32), sample_rate_hz=rate_hz)


@cache
def song(kind: int, spare_channel: bool = True) -> bytes:
    """A MIDI file of format 0 or 1, with running status, by mido."""
    file = mido.MidiFile(type=kind, ticks_per_beat=480)
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=600_000, time=0)])
    file.tracks.append(track)
    if kind:
        track = mido.MidiTrack()
        file.tracks.append(track)
    for channel in range(1 if spare_channel else 16):
        for number in range(6):
            note: dict[str, Any] = {"note": 60 + number, "channel": channel}
            track.append(mido.Message("note_on", velocity=70, time=20, **note))
            track.append(mido.Message("note_on", velocity=0, time=300, **note))
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


@cache
def sealed(format_: Format) -> tuple[bytes, Mapping[str, object]]:
    """Content drawn and written; the file and its facts."""
    drawn = format_.draw(song(1) if format_ is MIDI else music(), MARKING)
    written = drawn if format_.write is None else format_.write(drawn, LABEL)
    return written.data, written.visible


def decoded(data: bytes) -> NDArray[np.float32]:
    """(N, C) samples by PyAV, whatever the container."""
    with av.open(io.BytesIO(data), "r") as container:
        frames = [
            frame.to_ndarray() if frame.format.is_planar
            else frame.to_ndarray().reshape(-1, frame.layout.nb_channels).T
            for frame in container.decode(audio=0)
        ]  # fmt: skip
    samples = np.concatenate(frames, axis=1).T
    scale = {"i": 2.0 ** (8 * samples.dtype.itemsize - 1), "f": 1.0}[samples.dtype.kind]
    return np.asarray(samples, np.float32) / np.float32(scale)


def tone_runs(data: bytes, rate_hz: int, seconds: float) -> list[float]:
    """Lengths in s of the loud and silent stretches of the last seconds, by short-time energy."""
    samples = decoded(data)[-int(seconds * rate_hz) :, 0]
    step = rate_hz // 100
    energy = np.array([np.abs(samples[at : at + step]).max()
                       for at in range(0, len(samples) - step, step)])  # fmt: skip
    edges = np.flatnonzero(np.diff((energy > energy.max() / 4).astype(int)))
    return [round(float(gap) / 100, 2) for gap in np.diff(edges)]


def outside_label(name: str, data: bytes, path: Path) -> list[str]:
    """The AIGC field as mutagen, FFmpeg or plain search finds it."""
    path.write_bytes(data)
    if name == "wav":
        return [data[at + 8 : data.index(b"}", at) + 1].decode()
                for at in range(len(data)) if data[at : at + 4] == b"AIGC"]  # fmt: skip
    if name == "m4a":
        with av.open(str(path)) as container:
            return [container.metadata["AIGC"]]
    file = mutagen.File(path)
    assert file is not None
    if name == "mp3":
        return [text for frame in file.tags.getall("TXXX:AIGC") for text in frame.text]
    return list(file.tags["AIGC"])


@each_sound
def test_a_reader_of_others_finds_exactly_one_label(format_: Format, tmp_path: Path) -> None:
    data, _ = sealed(format_)
    found = outside_label(format_.name, data, tmp_path / f"a{format_.suffixes[0]}")
    assert [json.loads(one) for one in found] == [LABEL]
    assert format_.labels(data) == [LABEL]


@each_sound
def test_the_rhythm_is_in_the_samples_at_short_and_long_as_one_to_three(format_: Format) -> None:
    data, facts = sealed(format_)
    rate = 48_000 if format_ is OPUS else 44_100
    runs = tone_runs(data, rate, 1.9)
    assert len(runs) >= 7
    for run, units in zip(runs[-7:], (1, 1, 3, 3, 1, 1, 1), strict=True):
        assert run / UNIT_S == pytest.approx(units, abs=0.45)
    layer = format_.measure(data, facts)
    assert layer.status == "good"
    assert layer.facts["position"] == "end"


@each_sound
def test_the_rhythm_can_stand_at_the_start(format_: Format) -> None:
    drawn = format_.draw(music(), AT_START)
    assert drawn.visible["start_s"] == 0
    layer = format_.measure(drawn.data, drawn.visible)
    assert (layer.status, layer.facts["position"]) == ("good", "start")
    assert format_.measure(drawn.data, {**drawn.visible, "position": "end"}).status != "good"


@each_sound
def test_without_the_rhythm_a_sound_is_unlabelled(format_: Format) -> None:
    _, facts = sealed(format_)
    bare = encode_sound(music(), format_.media_type)
    assert format_.measure(bare, facts).status == "unlabelled"
    assert format_.measure(bare, None).status == "unknown"


@each_sound
def test_the_rhythm_is_found_without_a_record(format_: Format) -> None:
    assert format_.measure(sealed(format_)[0], None).status == "good"


@each_sound
def test_a_sealed_file_lasts_as_long_as_content_and_rhythm(format_: Format) -> None:
    samples = decode_sound(sealed(format_)[0])
    before, behind, _ = with_rhythm(music(), "end")
    extra = (len(before) + len(behind)) / 44_100
    assert samples.duration_s == pytest.approx(music().duration_s + extra, abs=0.06)
    assert 1.5 < extra < 2.5


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("marking", [MARKING, AT_START], ids=["end", "start"])
def test_a_wav_keeps_every_sample_beside_the_rhythm(subtype: str, marking: Marking) -> None:
    bits_equal(WAV, subtype, marking)


@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_16", "PCM_24"])
@pytest.mark.parametrize("marking", [MARKING, AT_START], ids=["end", "start"])
def test_a_flac_keeps_every_sample_beside_the_rhythm(subtype: str, marking: Marking) -> None:
    bits_equal(FLAC, subtype, marking)


def bits_equal(format_: Format, subtype: str, marking: Marking) -> None:
    """The law for lossless bytes; soundfile reads both files."""
    kind: Any = "float64" if subtype in ("FLOAT", "DOUBLE") else "int32"
    content = encode_sound(music(), format_.media_type, subtype=subtype)
    drawn = format_.draw(content, marking)
    before, rate = soundfile.read(io.BytesIO(content), dtype=kind)
    source = soundfile.SoundFile(io.BytesIO(format_.write(drawn, LABEL).data))  # type: ignore[misc]
    after = source.read(dtype=kind)
    assert (source.subtype, source.samplerate) == (subtype, rate)
    kept = after[-len(before) :] if marking is AT_START else after[: len(before)]
    np.testing.assert_array_equal(kept, before)
    assert format_.measure(drawn.data, drawn.visible).status == "good"


def test_the_rhythm_is_about_as_loud_as_the_sound_and_never_clips() -> None:
    for gain in (0.2, 1.0, 4.0):
        samples = np.clip(music().samples * gain, -1, 1)
        sound = Sound(samples=samples, sample_rate_hz=44_100)
        tones = motif(sound)
        apart = loudness_lufs(tones, 44_100) - loudness_lufs(sound.samples, 44_100)
        assert np.abs(tones).max() <= 0.5
        assert -7 <= apart <= 0
    faint = Sound(samples=music().samples * 0.01, sample_rate_hz=44_100)
    assert loudness_lufs(motif(faint), 44_100) == pytest.approx(-36, abs=0.5)
    silence = Sound(samples=np.zeros((44_100, 1), np.float32), sample_rate_hz=44_100)
    assert loudness_lufs(motif(silence), 44_100) == pytest.approx(-23, abs=0.5)


def test_the_rhythm_does_not_click() -> None:
    tones = np.concatenate([np.zeros(4_410), motif(music())[:, 0], np.zeros(4_410)])
    spectrum = np.abs(np.fft.rfft(tones)) ** 2
    frequency = np.fft.rfftfreq(len(tones), 1 / 44_100)
    assert spectrum[frequency > 3_000].sum() < 1e-6 * spectrum.sum()


def test_loudness_is_that_of_the_standard() -> None:
    time = np.arange(48_000 * 3) / 48_000
    full = np.sin(2 * np.pi * 997 * time)[:, None].astype(np.float32)
    assert loudness_lufs(full, 48_000) == pytest.approx(-3.01, abs=0.1)
    assert loudness_lufs(np.repeat(full, 2, 1) * np.float32(0.1), 48_000) == pytest.approx(
        -20, abs=0.1
    )


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 1, 3, 3, 1), (3, 1, 1, 3, 1, 1, 1),
                                   (1, 1, 1, 1, 1, 1, 1), (1, 1, 3, 1, 1, 1, 1)])  # fmt: skip
def test_another_rhythm_is_not_taken_for_the_label(shape: tuple[int, ...]) -> None:
    time = np.arange(int(2 * 8_000 * UNIT_S)) / 8_000
    tone = 0.3 * np.sin(2 * np.pi * PITCH_HZ * time)
    unit = int(8_000 * UNIT_S)
    parts = [np.resize(tone, units * unit) * (index % 2 == 0) for index, units in enumerate(shape)]
    samples = np.concatenate([np.zeros(4_000), *parts, np.zeros(4_000)])[:, None]
    sound = Sound(samples=samples.astype(np.float32), sample_rate_hz=8_000)
    assert find_rhythm(sound, UNIT_S, PITCH_HZ) is None


def test_a_rhythm_under_loud_noise_is_not_heard() -> None:
    _, behind, _ = with_rhythm(music(), "end")
    noise = 0.5 * np.random.default_rng(1).standard_normal(behind.shape).astype(np.float32)
    assert find_rhythm(Sound(samples=behind, sample_rate_hz=44_100), UNIT_S, PITCH_HZ) is not None
    masked = Sound(samples=np.clip(behind + noise, -1, 1), sample_rate_hz=44_100)
    assert find_rhythm(masked, UNIT_S, PITCH_HZ) is None


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 48_000, 96_000])
@each_sound
def test_every_sample_rate_is_sealed(format_: Format, rate_hz: int) -> None:
    drawn = format_.draw(music(rate_hz, 2.0, 1), MARKING)
    assert format_.measure(drawn.data, drawn.visible).status == "good"


@pytest.mark.parametrize("bit_rate", [32_000, 64_000])
def test_the_rhythm_survives_low_bit_rates(bit_rate: int) -> None:
    before, behind, facts = with_rhythm(music(), "end")
    samples = np.concatenate([before, music().samples, behind])
    for format_ in (MP3, OPUS, M4A):
        data = encode_sound(Sound(samples=samples, sample_rate_hz=44_100), format_.media_type,
                            bit_rate)  # fmt: skip
        assert format_.measure(data, facts).status == "good", format_.name


@each_sound
def test_content_made_elsewhere_is_coded_again_at_no_lower_rate(format_: Format) -> None:
    content = encode_sound(music(), format_.media_type, 256_000)
    drawn = format_.draw(content, MARKING)
    if format_ in (WAV, FLAC):
        assert "encoded_again_bits_per_s" not in drawn.visible
        return
    mean = 8 * len(content) / music().duration_s
    assert drawn.visible["encoded_again_bits_per_s"] >= round(mean)  # type: ignore[operator]


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return Identity.open_or_create(tmp_path_factory.mktemp("home"))


@pytest.mark.parametrize("format_", [WAV, FLAC, MP3, M4A], ids=lambda one: one.name)
def test_a_credential_inside_leaves_the_label_alone_and_tells_a_flipped_bit(
    format_: Format, identity: Identity
) -> None:
    data, facts = sealed(format_)
    claim = Claim(title="a", version="1", assertion={"manifest_sha256": "ab" * 32})
    signed = sign_embedded(data, format_.media_type, claim, identity)
    assert read_credential(signed, format_.media_type, None, (identity.root,)).state == "trusted"
    assert format_.labels(signed) == [LABEL]
    assert format_.measure(signed, facts).status == "good"
    assert first_starting(EVERY, signed) is format_
    np.testing.assert_array_equal(decode_sound(signed).samples, decode_sound(data).samples)
    flipped = bytearray(signed)
    flipped[len(signed) * 3 // 4] ^= 1
    state = read_credential(bytes(flipped), format_.media_type, None, (identity.root,)).state
    assert state == "tampered"


@each_format
def test_the_first_bytes_tell_the_format(format_: Format) -> None:
    assert first_starting(EVERY, sealed(format_)[0]) is format_


@each_format
def test_broken_files_give_no_exception_and_no_good_verdict(format_: Format) -> None:
    data, facts = sealed(format_)
    for broken in (b"", b"\0" * 99, data[:12], data[:37], data[: len(data) // 2], data[7:]):
        assert isinstance(format_.labels(broken), list)
        assert format_.measure(broken, facts).status != "good"
        assert format_.measure(broken, {"unit_s": "x"}).status != "good"
    for place in range(0, 400, 8):
        hostile = data[:place] + b"\xff\xff\xff\x7f" + data[place + 4 :]
        assert isinstance(format_.labels(hostile), list)
        format_.measure(hostile, facts)


@each_format
def test_what_is_no_sound_cannot_be_drawn(format_: Format) -> None:
    for content in (b"", b"no sound at all", sealed(format_)[0][:60]):
        with pytest.raises((SealError, MediaError)):
            format_.draw(content, MARKING)


@each_sound
def test_a_file_sealed_again_has_one_label_and_two_labels_are_seen_as_two(format_: Format) -> None:
    assert format_.write is not None
    data, _ = sealed(format_)
    again = format_.write(format_.draw(data, MARKING), LABEL)
    assert format_.labels(again.data) == [LABEL]
    assert format_.labels(doubled(format_, data)) == [LABEL, LABEL]


def doubled(format_: Format, data: bytes) -> bytes:
    """The file with its label a second time, as a careless program would add it."""
    text = bare_json(LABEL)
    if format_ is WAV:
        return riff([*riff_chunks(data), (b"AIGC", text.encode())])
    if format_ is MP3:
        return id3.Tag().with_label(text).render() + data
    field = b"AIGC=" + text.encode()
    twice = Comment(fields=(field, field)).render()
    if format_ is FLAC:
        from wenfang.seal.formats.flac import COMMENT, _with_blocks, blocks

        return _with_blocks(
            data, [(kind, twice if kind == COMMENT else one) for kind, one, _ in blocks(data)]
        )
    if format_ in (OGG, OPUS):
        from wenfang.seal.formats.ogg import OPUS_CODEC, VORBIS_CODEC, with_comment

        codec = OPUS_CODEC if format_ is OPUS else VORBIS_CODEC
        return with_comment(data, codec, Comment(fields=(field, field)))
    packet = boxes.box(b"uuid", boxes.XMP_ID + _xmp(text))
    return data + packet


def _xmp(text: str) -> bytes:
    from wenfang.seal.formats.xmp import xmp_packet

    return xmp_packet(json.loads(text))


def test_tags_of_an_mp3_stay_and_its_old_label_goes(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(encode_sound(music(), "audio/mpeg"))
    for version in (3, 4):
        tags = mutagen.id3.ID3()
        tags.add(mutagen.id3.TIT2(encoding=1, text="月夜"))
        tags.add(mutagen.id3.TXXX(encoding=1, desc="AIGC", text='{"old":1}'))
        tags.add(mutagen.id3.APIC(mime="image/png", data=b"\xff\xe0" * 500))
        tags.save(path, v2_version=version)
        assert MP3.labels(path.read_bytes()) == [{"old": 1}]
        data = MP3.write(MP3.draw(path.read_bytes(), MARKING), LABEL).data  # type: ignore[misc]
        sealed_path = tmp_path / "b.mp3"
        sealed_path.write_bytes(data)
        read = mutagen.id3.ID3(sealed_path)
        assert read["TIT2"].text == ["月夜"]
        assert read.getall("APIC")[0].data == b"\xff\xe0" * 500
        assert [json.loads(one.text[0]) for one in read.getall("TXXX:AIGC")] == [LABEL]
        path.write_bytes(encode_sound(music(), "audio/mpeg"))


def test_an_unsynchronised_tag_with_an_extended_header_is_read() -> None:
    content = b"\0AIGC\0" + b'{"a":"\xff\x00x"}'
    frame = b"TXXX" + len(b'\0AIGC\0{"a":"\xffx"}').to_bytes(4, "big") + bytes(2) + content
    body = (6).to_bytes(4, "big") + bytes(6) + frame
    tag = b"ID3" + bytes((3, 0, 0xC0)) + bytes((0, 0, 0, len(body))) + body
    assert MP3.labels(tag) == [{"a": "ÿx"}]


@pytest.mark.parametrize("format_", [FLAC, OGG, OPUS], ids=lambda one: one.name)
def test_comments_of_others_stay(format_: Format, tmp_path: Path) -> None:
    path = tmp_path / f"a{format_.suffixes[0]}"
    path.write_bytes(encode_sound(music(), format_.media_type))
    file = mutagen.File(path)
    assert file is not None
    file["title"], file["aigc"] = "月夜", '{"old":1}'
    file["lyrics"] = "山" * 30_000  # makes the comment longer than a page of Ogg
    file.save()
    content = path.read_bytes()
    assert format_.labels(content) == [{"old": 1}]
    path.write_bytes(format_.write(format_.draw(content, MARKING), LABEL).data)  # type: ignore[misc]
    tags = mutagen.File(path)
    assert tags is not None
    assert tags["title"] == ["月夜"]
    assert tags["lyrics"] == ["山" * 30_000]
    assert [json.loads(one) for one in tags["aigc"]] == [LABEL]
    assert len(decoded(path.read_bytes())) > 44_100 * 4


def test_a_wav_of_another_kind_is_refused_and_its_info_stays() -> None:
    content = encode_sound(music(), "audio/wav")
    info = b"INFOINAM" + (4).to_bytes(4, "little") + b"moon"
    data = WAV.draw(riff([*riff_chunks(content), (b"LIST", info)]), MARKING).data
    assert (b"LIST", info) in list(riff_chunks(data))
    with pytest.raises(SealError, match="RF64"):
        WAV.draw(b"RF64" + content[4:], MARKING)
    with pytest.raises(MediaError, match="channels"):
        WAV.draw(six_channels(), MARKING)


def six_channels() -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros((8_000, 6)), 8_000, format="WAV")
    return buffer.getvalue()


@pytest.mark.parametrize("index_first", [True, False])
def test_an_m4a_plays_the_same_with_its_label_wherever_the_index_lies(
    index_first: bool, tmp_path: Path
) -> None:
    path = tmp_path / "a.m4a"
    options = {"movflags": "+faststart"} if index_first else {}
    with av.open(str(path), "w", format="ipod", options=options) as container:
        stream = container.add_stream("aac", rate=44_100, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(music().samples.T),
                                           format="fltp", layout="stereo")  # fmt: skip
        frame.sample_rate, frame.pts, frame.time_base = 44_100, 0, Fraction(1, 44_100)
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    data = path.read_bytes()
    labelled = boxes.with_label(boxes.with_label(data, '{"old":1}'), bare_json(LABEL))
    np.testing.assert_array_equal(decoded(labelled), decoded(data))
    assert boxes.labels(labelled) == [bare_json(LABEL)]
    moved = boxes.moov_first(labelled)
    np.testing.assert_array_equal(decoded(moved), decoded(data))
    assert moved.index(b"moov") < moved.index(b"mdat")
    assert boxes.moov_first(moved) == moved


def test_labels_of_other_makers_are_seen_in_an_m4a() -> None:
    data, _ = sealed(M4A)
    name = boxes.box(b"name", bytes(4) + b"AIGC")
    value = boxes.box(b"data", bytes(8) + b'{"a":1}')
    item = boxes.box(b"ilst", boxes.box(b"----", name + value))
    assert M4A.labels(data + boxes.box(b"meta", bytes(4) + item)) == [LABEL, {"a": 1}]


def test_a_claim_of_more_samples_than_bytes_is_not_believed() -> None:
    data, facts = sealed(M4A)
    place = data.index(b"stsz")
    hostile = data[: place + 8] + b"\0\0\0\1\x7f\xff\xff\xff" + data[place + 16 :]
    assert boxes.believable(data)
    assert not boxes.believable(hostile)
    assert M4A.measure(hostile, facts).status == "unknown"


def test_limits_hold_before_anything_is_decoded() -> None:
    data = encode_sound(music(), "audio/flac")
    with pytest.raises(MediaError, match="bytes"):
        decode_sound(data, limits=SoundLimits(size_bytes=99))
    for format_ in SOUNDS:
        with pytest.raises(MediaError, match="claims more than 1 s"):
            decode_sound(encode_sound(music(), format_.media_type),
                         limits=SoundLimits(duration_s=1))  # fmt: skip


@each_sound
def test_a_part_of_a_sound_is_that_part(format_: Format) -> None:
    data = encode_sound(music(), format_.media_type)
    whole = decode_sound(data)
    part = decode_sound(data, part=Part(start_s=1.0, seconds=1.0))
    rate = whole.sample_rate_hz
    assert len(part.samples) == rate
    shifts = range(-rate // 10, rate // 10) if format_ is MP3 else (0,)
    quarter, begin = part.samples[rate // 4 : rate // 2, 0], rate + rate // 4
    apart = (np.abs(quarter - whole.samples[begin + shift :][: len(quarter), 0]).mean()
             for shift in shifts)  # fmt: skip
    assert min(apart) < 0.01
    last = decode_sound(data, part=Part(start_s=-0.5))
    assert last.duration_s == pytest.approx(0.5, abs=0.06)


@each_sound
def test_a_watermark_is_put_in_and_found_behind_the_rhythm(format_: Format) -> None:
    noise = np.random.default_rng(2).standard_normal((44_100 * 12, 1)) * 0.05
    samples = (noise + np.resize(music(channels=1).samples, noise.shape)).astype(np.float32)
    content = encode_sound(Sound(samples=samples, sample_rate_hz=44_100), format_.media_type)
    marking = Marking(settings=LabelSettings(position="start"), pointer="0123456789ab")
    drawn = format_.draw(content, marking)
    assert drawn.watermark["pointer"] == "0123456789ab"
    assert format_.trace is not None
    assert format_.trace(drawn.data, False).pointer == "0123456789ab"
    assert format_.trace(content, False).pointer is None
    assert format_.trace(b"no sound", True).pointer is None


@pytest.mark.parametrize("kind", [0, 1])
def test_every_event_of_the_music_stays_in_time(kind: int) -> None:
    drawn = MIDI.draw(song(kind), MARKING)
    before = [event for event in timed(song(kind)) if event[1] != "end_of_track"]
    after = list(timed(drawn.data))
    assert [event for event in before if event not in after] == []
    assert drawn.inserted is not None
    spans = [span.to_json() for span in drawn.inserted]
    assert without(drawn.data, spans) == song(kind)
    assert MIDI.measure(drawn.data, drawn.visible).status == "good"
    assert MIDI.measure(song(kind), drawn.visible).status == "unlabelled"


def timed(data: bytes) -> list[tuple[int, str, str]]:
    """(tick, kind, all) of every event, by mido."""
    found = []
    for track in mido.MidiFile(file=io.BytesIO(data)).tracks:
        tick = 0
        for message in track:
            tick += message.time
            found.append((tick, message.type, str(message.copy(time=0))))
    return found


@pytest.mark.parametrize("kind", [0, 1])
def test_a_midi_says_the_words_and_ends_with_the_rhythm(kind: int) -> None:
    data = MIDI.draw(song(kind), MARKING).data
    file = mido.MidiFile(file=io.BytesIO(data), charset="utf-8")
    texts = [one.text for track in file.tracks for one in track if one.type == "text"]
    assert texts == [PLAIN.line]
    last = [one for one in file.tracks[-1] if one.type in ("note_on", "note_off")][-8:]
    unit = last[1].time
    assert [one.time // unit for one in last[1:]] == [1, 1, 3, 3, 1, 1, 1]
    assert {one.channel for one in last} == {1}
    seconds = unit / 480 * 0.6
    assert seconds == pytest.approx(UNIT_S, abs=0.01)
    assert file.length - mido.MidiFile(file=io.BytesIO(song(kind))).length < 2.5


def test_music_that_uses_every_channel_gets_the_rhythm_too() -> None:
    drawn = MIDI.draw(song(1, spare_channel=False), MARKING)
    assert MIDI.measure(drawn.data, drawn.visible).status == "good"


def test_labels_that_a_midi_brings_are_seen_and_taken_out_in_time() -> None:
    file = mido.MidiFile(file=io.BytesIO(song(0)))
    file.tracks[0].insert(3, mido.MetaMessage("text", text=bare_json(LABEL), time=15))
    file.tracks[0].insert(5, mido.MetaMessage("text", text="a note to the player", time=0))
    buffer = io.BytesIO()
    file.save(file=buffer)
    data = buffer.getvalue()
    assert MIDI.labels(data) == [LABEL]
    assert MIDI.strip is not None
    stripped = MIDI.strip(data)
    assert MIDI.labels(stripped) == []
    kept = [event for event in timed(data) if "ContentProducer" not in event[2]]
    assert timed(stripped) == kept


def test_midi_that_cannot_be_labelled_is_refused() -> None:
    twisted = song(0)[:9] + b"\2" + song(0)[10:]
    with pytest.raises(SealError, match="format 2"):
        MIDI.draw(twisted, MARKING)
