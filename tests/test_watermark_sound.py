import io
import os
import tarfile
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from wenfang.seal.watermark.sound import PERIOD_S, Found, detect, embed, worth_marking
from wenfang.seal.watermark.sound_signal import frames, overlapped, resampled, whitened

POINTER = "0123456789ab"
RATE_HZ = 44_100
Samples = NDArray[np.float32]


@cache
def tune(duration_s: float = 6.0, rate_hz: int = RATE_HZ) -> Samples:
    """Chords of decaying harmonics over a quiet noise, two channels."""
    rng = np.random.default_rng(7)
    output = 0.002 * rng.standard_normal((int(duration_s * rate_hz), 2))
    for start in np.arange(0, duration_s - 0.1, 0.37):
        first = int(start * rate_hz)
        at = np.arange(min(len(output) - first, rate_hz)) / rate_hz
        for pitch_hz in rng.choice([196.0, 262.0, 330.0, 392.0, 523.0], 3, replace=False):
            for harmonic in range(1, 9):
                tone = np.sin(2 * np.pi * pitch_hz * harmonic * at) * np.exp(-at * (2 + harmonic))
                output[first : first + len(at)] += 0.05 / harmonic * tone[:, None] * [1, 0.7]
    return output.astype(np.float32)


@cache
def marked_tune() -> Samples:
    return embed(tune(), RATE_HZ, POINTER)


def snr_db(before: Samples, after: Samples) -> float:
    mark = after.astype(np.float64) - before
    return float(10 * np.log10(np.square(before, dtype=np.float64).sum() / np.square(mark).sum()))


def through(samples: Samples, codec: str, container: str, rate_hz: int, bits: int) -> Samples:
    """Encoded and decoded by FFmpeg at 44.1 or 48 kHz; the caller knows the rate."""
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(samples.T), format="fltp", layout="stereo"
    )
    frame.sample_rate = RATE_HZ
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        stream: Any = output.add_stream(codec, rate=rate_hz, layout="stereo")
        stream.bit_rate = bits
        adapt = av.AudioResampler(stream.codec_context.format, "stereo", rate_hz)
        for piece in [*adapt.resample(frame), *adapt.resample(None), None]:
            output.mux(stream.encode(piece))
    buffer.seek(0)
    adapt = av.AudioResampler("fltp", "stereo", rate_hz)
    with av.open(buffer, "r") as source:
        parts = [
            piece.to_ndarray()
            for decoded in source.decode(audio=0)
            for piece in adapt.resample(decoded)
        ]
    return np.concatenate(parts, axis=1).T.astype(np.float32)


def test_a_marked_sound_points_to_its_manifest() -> None:
    found = detect(marked_tune(), RATE_HZ, search=False)
    assert found.pointer == POINTER
    assert found.p_value < 1e-50
    assert min(found.offset_s, PERIOD_S - found.offset_s) < 1e-4


def test_every_pointer_comes_back() -> None:
    for pointer in ("000000000000", "ffffffffffff", "8a5f00c3de17"):
        assert detect(embed(tune(), RATE_HZ, pointer), RATE_HZ, search=False).pointer == pointer


def test_what_is_no_pointer_is_refused() -> None:
    for wrong in ("0123", "0123456789aB", "0123456789ag", "0x1234567890"):
        with pytest.raises(ValueError, match="pointer"):
            embed(tune(), RATE_HZ, wrong)


def test_the_mark_is_30_db_below_the_sound() -> None:
    assert 30 <= snr_db(tune(), marked_tune()) < 33


def test_the_mark_follows_the_sound_in_frequency() -> None:
    """Where the sound is weak the mark is weaker still: 8 dB under it in every third of an octave.

    A flat noise at 30 dB would stick out of the upper ones.
    """
    mark = marked_tune() - tune()
    sound, added = (np.square(np.abs(np.fft.rfft(one[:, 0]))) for one in (tune(), mark))
    hertz = np.fft.rfftfreq(len(mark), 1 / RATE_HZ)
    for low in 300 * 2 ** (np.arange(12) / 3):
        third = (hertz >= low) & (hertz < low * 2 ** (1 / 3))
        assert added[third].sum() < 10**-0.8 * sound[third].sum()
    assert added[hertz > 6_500].sum() < 1e-3 * added.sum()


def test_the_same_request_gives_the_same_samples() -> None:
    assert np.array_equal(marked_tune(), embed(tune(), RATE_HZ, POINTER))


def test_an_unmarked_sound_points_nowhere() -> None:
    assert detect(tune(), RATE_HZ) == Found(pointer=None)


def test_a_hundred_noises_point_nowhere() -> None:
    rng = np.random.default_rng(3)
    for _ in range(100):
        sound = rng.standard_normal((24_000, 1)).astype(np.float32) * 0.1
        assert detect(sound, 8_000, search=False).p_value > 1e-6


def test_another_key_reads_nothing() -> None:
    assert detect(marked_tune(), RATE_HZ, key=b"another", search=False).pointer is None
    secret = embed(tune(), RATE_HZ, POINTER, key=b"another")
    assert detect(secret, RATE_HZ, key=b"another", search=False).pointer == POINTER
    assert detect(secret, RATE_HZ, search=False).pointer is None


@pytest.mark.parametrize(
    ("codec", "container", "rate_hz", "bits"),
    [
        ("libmp3lame", "mp3", 44_100, 64_000),
        ("aac", "mp4", 44_100, 64_000),
        ("libopus", "ogg", 48_000, 48_000),
    ],
)
def test_the_mark_survives_codecs(codec: str, container: str, rate_hz: int, bits: int) -> None:
    heard = through(marked_tune(), codec, container, rate_hz, bits)
    assert detect(heard, rate_hz, search=False).pointer == POINTER


def test_the_mark_survives_vorbis() -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, marked_tune(), RATE_HZ, format="OGG", subtype="VORBIS")
    buffer.seek(0)
    heard, rate_hz = soundfile.read(buffer, dtype="float32", always_2d=True)
    assert detect(heard, rate_hz, search=False).pointer == POINTER


def test_any_excerpt_of_three_seconds_is_enough() -> None:
    for start_s in (0.0, 0.5, 1.234, 2.9):
        first = int(start_s * RATE_HZ)
        cut = marked_tune()[first : first + 3 * RATE_HZ]
        found = detect(cut, RATE_HZ, search=False)
        assert found.pointer == POINTER
        assert found.offset_s == pytest.approx(-start_s % PERIOD_S, abs=1e-4)


def test_gain_polarity_word_length_noise_and_mixing_down_do_not_matter() -> None:
    mark = marked_tune()
    rough = np.random.default_rng(1).standard_normal(mark.shape) * mark.std() / 30
    for changed in (
        mark * 0.1,
        -mark,
        np.round(mark * 32_767) / 32_768,
        mark + rough,
        mark.mean(axis=1, keepdims=True),
        mark[:, 1:],
        np.concatenate([tune()[:30_001], mark]),
    ):
        assert detect(changed.astype(np.float32), RATE_HZ, search=False).pointer == POINTER


def test_other_sample_rates_do_not_matter() -> None:
    for rate_hz in (48_000, 22_050, 16_000, 44_101):
        heard = np.stack([resampled(one, RATE_HZ, rate_hz) for one in marked_tune().T], axis=1)
        assert detect(heard, rate_hz, search=False).pointer == POINTER


def test_another_speed_is_found_by_search_only() -> None:
    faster = np.stack([resampled(one, RATE_HZ, 43_800) for one in marked_tune().T], axis=1)
    assert detect(faster, RATE_HZ, search=False).pointer is None
    found = detect(faster, RATE_HZ)
    assert found.pointer == POINTER
    assert found.speed == pytest.approx(44_100 / 43_800, abs=2e-5)


def test_a_mark_over_a_mark_does_not_invent_a_third() -> None:
    other = "fedcba987654"
    twice = embed(marked_tune(), RATE_HZ, other)
    assert detect(twice, RATE_HZ, search=False).pointer in (POINTER, other)


def test_silence_stays_silent_and_nothing_new_clips() -> None:
    loud = (tune() / np.abs(tune()).max()).clip(-0.8, 0.8) / 0.8
    loud[50_000:90_000] = 0
    loud[:, 1] = 0
    marked = embed(loud.astype(np.float32), RATE_HZ, POINTER)
    assert not marked[50_000:90_000].any()
    assert not marked[:, 1].any()
    assert np.abs(marked).max() <= 1
    assert not np.array_equal(marked, loud)


def test_why_a_sound_bears_no_mark_is_said() -> None:
    assert worth_marking(tune(), RATE_HZ) is None
    reasons = {
        "3 s": (tune()[: 2 * RATE_HZ], RATE_HZ),
        "silent": (tune() * np.float32(1e-3), RATE_HZ),
        "rate": (tune(), 4_000),
        "no numbers": (np.where(tune() > 0.1, np.float32(np.nan), tune()), RATE_HZ),
    }
    rumble = np.sin(2 * np.pi * 12_000 * np.arange(5 * RATE_HZ) / RATE_HZ)
    reasons["room"] = (rumble[:, None].astype(np.float32) * 0.5, RATE_HZ)
    hiss = np.random.default_rng(2).standard_normal((5 * RATE_HZ, 1)).astype(np.float32) * 0.1
    reasons["read again"] = (hiss, RATE_HZ)
    for word, (samples, rate_hz) in reasons.items():
        assert word in (worth_marking(samples, rate_hz) or "")


def test_hostile_samples_point_nowhere_and_raise_nothing() -> None:
    shapes = [(0, 1), (1, 2), (RATE_HZ, 1), (RATE_HZ, 16)]
    for value in (0.0, 1.0, np.nan, np.inf, -3e38, 1e-40):
        for shape in shapes:
            sound = np.full(shape, value, np.float32)
            assert detect(sound, RATE_HZ).pointer is None
            assert detect(sound, 8_000).pointer is None
    for rate_hz in (0, 1, 7_999, 192_001, 10**9):
        assert detect(tune(), rate_hz).pointer is None
    assert embed(np.zeros((0, 2), np.float32), RATE_HZ, POINTER).shape == (0, 2)


def test_frames_add_up_to_the_signal() -> None:
    signal = tune()[:10_000, 0]
    [(first, spectra)] = list(frames(signal))
    assert first == 0
    np.testing.assert_allclose(overlapped(spectra[1:-1])[256:10_256], signal, atol=1e-6)


def test_long_signals_are_handled_in_batches_without_a_seam() -> None:
    signal = np.random.default_rng(4).standard_normal(2_500 * 256).astype(np.float32)
    start = 988 * 256
    middle = whitened(signal)[start : start + 6_000]
    alone = whitened(signal[start - 2_560 : start + 6_000 + 2_560])[2_560:-2_560]
    np.testing.assert_allclose(middle, alone, atol=1e-2)


def test_resampling_keeps_time_and_band() -> None:
    at = np.arange(30_000) / RATE_HZ
    tone = np.sin(2 * np.pi * 1_000 * at).astype(np.float32)
    heard = resampled(tone, RATE_HZ, 16_000)
    expected = np.sin(2 * np.pi * 1_000 * np.arange(len(heard)) / 16_000)
    np.testing.assert_allclose(heard[500:-500], expected[500:-500], atol=1e-3)


@pytest.mark.data
def test_speech_of_eight_seconds_survives_mp3() -> None:
    root = Path(os.environ.get("WENFANG_DATA", "")) / "fsdd" / "recordings.tar.xz"
    if not root.is_file():
        pytest.skip("WENFANG_DATA holds no fsdd")
    digits: list[Samples] = []
    with tarfile.open(root) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.name.endswith(".wav") else None
            if file is not None:
                digits.append(soundfile.read(io.BytesIO(file.read()), dtype="float32")[0])
            if len(digits) == 40:
                break
    speech = np.concatenate(digits)[: 8 * 8_000]
    speech = np.stack([speech, speech], axis=1)
    assert worth_marking(speech, 8_000) is None
    marked = embed(speech, 8_000, POINTER)
    assert snr_db(speech, marked) >= 30
    wide = np.stack([resampled(one, 8_000, RATE_HZ) for one in marked.T], axis=1)
    heard = through(wide, "libmp3lame", "mp3", RATE_HZ, 64_000)
    assert detect(heard, RATE_HZ, search=False).pointer == POINTER
