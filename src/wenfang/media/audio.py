"""Sound: samples with their rate, and bytes to samples and back, with bounds.

libsndfile reads WAV, FLAC, Ogg Vorbis and Opus, and writes these and MP3; FFmpeg does the rest.
A file's own claims on length and channels are checked before anything is decoded, and a part can
be decoded alone.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wenfang.errors import MediaError

if TYPE_CHECKING:
    import soundfile

Samples = NDArray[np.float32]

BLOCK_FRAMES = 65_536  # libsndfile's Vorbis encoder overflows its stack on much longer writes
FAMILIES = ("WAV", "WAVEX", "FLAC", "OGG", "MP3")
DECODERS = "aac,mp3,mp3float,alac,flac,opus,libopus,ac3,eac3"
MP3_RATES_HZ = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
AAC_RATES_HZ = (*MP3_RATES_HZ, 64_000, 88_200, 96_000)
OPUS_RATE_HZ = 48_000
BIT_RATES = {"audio/mpeg": 96_000, "audio/ogg": 96_000, "audio/opus": 64_000, "audio/mp4": 96_000}
SUBTYPES = {"audio/wav": "PCM_16", "audio/flac": "PCM_16"}
# Bit/s per channel of Vorbis in libsndfile at compression 1, 0.75 … 0, on noisy material.
_VORBIS = ((1.0, 33_000), (0.75, 53_000), (0.5, 84_000), (0.25, 122_000), (0.0, 245_000))


@dataclass(frozen=True, kw_only=True, eq=False)
class Sound:
    """Sampled sound.

    samples         (N, C) float32 in -1..1, C channels: 1 or 2
    sample_rate_hz  8,000 to 192,000
    """

    samples: Samples
    sample_rate_hz: int

    def __post_init__(self) -> None:
        if self.samples.ndim != 2 or self.samples.shape[1] not in (1, 2):
            raise MediaError("a sound has one or two channels; mix it down first")
        if not 8_000 <= self.sample_rate_hz <= 192_000:
            raise MediaError(
                "{rate} Hz is no sample rate of sound; give 8000 to 192000 Hz",
                rate=self.sample_rate_hz,
            )

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate_hz


@dataclass(frozen=True, kw_only=True)
class SoundLimits:
    """What is refused before it is decoded."""

    size_bytes: int = 128 << 20
    duration_s: float = 1800.0


LIMITS = SoundLimits()


@dataclass(frozen=True, kw_only=True)
class Part:
    """The seconds to decode; a negative start counts from the end, no length means all.

    most_frames  bounds what a high sample rate makes of the seconds
    """

    start_s: float = 0.0
    seconds: float | None = None
    most_frames: int = 1 << 40

    def frames(self, total: int, rate_hz: int) -> tuple[int, int]:
        """(first, how many) of the frames of a sound of `total`."""
        first = round(self.start_s * rate_hz)
        first = min(max(0, first + total if self.start_s < 0 else first), total)
        wanted = total if self.seconds is None else round(self.seconds * rate_hz)
        return first, min(wanted, total - first, self.most_frames)


WHOLE = Part()


def decode_sound(
    data: bytes, name: str = "the sound", limits: SoundLimits = LIMITS, part: Part = WHOLE
) -> Sound:
    """The samples of a file, or of a part of it, clipped to -1..1.

    A part of an MP3 begins within a tenth of a second of where it should, since its frames are not
    counted from the start.
    raises MediaError if too large, too long, of more than two channels, broken or unknown
    """
    if len(data) > limits.size_bytes:
        raise MediaError(
            "{name} has {size} bytes, the limit is {limit}; make it shorter",
            name=name, size=len(data), limit=limits.size_bytes,
        )  # fmt: skip
    container = "mp4" if data[4:8] == b"ftyp" else "mp3" if _is_mp3(data) else None
    if container is not None:
        return _Coded(data, name, container, limits).decode(part)
    with open_sound(data, name, limits) as source:
        first, count = part.frames(source.frames, source.samplerate)
        samples = read_frames(source, name, first, count, "float32")
        return Sound(samples=_read(samples, name), sample_rate_hz=source.samplerate)


def open_sound(data: bytes, name: str, limits: SoundLimits = LIMITS) -> soundfile.SoundFile:
    """The file for libsndfile, its claims checked; MediaError as `decode_sound`."""
    import soundfile

    try:
        source = soundfile.SoundFile(io.BytesIO(data))
    except (soundfile.SoundFileError, TypeError, ValueError):
        raise MediaError(
            "{name} is not a sound that can be read; give WAV, FLAC, MP3, OGG, Opus or M4A",
            name=name,
        ) from None
    if source.format not in FAMILIES:
        source.close()
        raise MediaError("{name} is a sound of another kind; save it as WAV or FLAC", name=name)
    _check(name, source.frames, source.samplerate, source.channels, limits)
    return source


def read_frames(
    source: soundfile.SoundFile, name: str, first: int, count: int, kind: str
) -> NDArray[Any]:
    """(N, C) frames as `kind` ("float32", "int32" or "float64"); MediaError for broken content."""
    import soundfile

    try:
        source.seek(first)
        frames: NDArray[Any] = source.read(count, dtype=kind, always_2d=True)
    except (soundfile.SoundFileError, RuntimeError, ValueError):
        raise _broken(name) from None
    return frames


def _read(samples: NDArray[Any], name: str) -> Samples:
    """A file's samples, clipped; MediaError where some are no numbers, as floats may be."""
    if count := int((~np.isfinite(samples)).any(axis=1).sum()):
        raise MediaError(
            "{name} holds {count} samples that are no numbers; export it again",
            name=name,
            count=count,
        )
    return _tame(samples)


def _tame(samples: NDArray[Any]) -> Samples:
    """A copy as finite float32 in -1..1, whatever was computed."""
    tamed = np.array(samples, np.float32)
    np.nan_to_num(tamed, copy=False, nan=0.0)
    return np.clip(tamed, -1, 1, out=tamed)


def _broken(name: str) -> MediaError:
    return MediaError("{name} is a broken sound; export it again", name=name)


def _check(name: str, frames: int, rate_hz: int, channels: int, limits: SoundLimits) -> None:
    if channels not in (1, 2):
        raise MediaError(
            "{name} has {channels} channels; mix it down to one or two", name=name,
            channels=channels,
        )  # fmt: skip
    if not 8_000 <= rate_hz <= 192_000:
        raise MediaError(
            "{rate} Hz is no sample rate of sound; give 8000 to 192000 Hz", rate=rate_hz
        )
    if frames > limits.duration_s * rate_hz:
        raise MediaError(
            "{name} claims more than {seconds} s; give a part of it",
            name=name, seconds=f"{limits.duration_s:g}",
        )  # fmt: skip


def _is_mp3(data: bytes) -> bool:
    """Whether bytes begin with a frame of layer III, or with a tag and no FLAC behind it."""
    if data.startswith(b"ID3") and len(data) > 10:
        size = sum(
            (byte & 0x7F) << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True)
        )
        return data[10 + size : 14 + size] != b"fLaC"
    return len(data) > 1 and data[0] == 0xFF and data[1] & 0xE6 == 0xE2


class _Coded(NamedTuple):
    """A file for FFmpeg's decoders: libsndfile's for MP3 prints to the terminal after a seek."""

    data: bytes
    name: str
    container: str
    limits: SoundLimits

    def decode(self, part: Part) -> Sound:
        """The part's samples; MediaError as `decode_sound`."""
        import av

        source = io.BytesIO(self.data)
        try:
            with av.open(
                source,
                mode="r",
                format=self.container,
                options={"codec_whitelist": DECODERS, "max_streams": "16"},
                metadata_errors="ignore",
            ) as container:
                return self._decode(container, part)
        except (av.FFmpegError, ValueError, EOFError, MemoryError, ArithmeticError, TypeError):
            raise _broken(self.name) from None

    def _decode(self, container: Any, part: Part) -> Sound:
        streams = [one for one in container.streams.audio if one.codec_context is not None]
        if not streams:
            raise MediaError("{name} holds no sound that can be decoded", name=self.name)
        stream = streams[0]
        rate_hz, base = stream.rate, stream.time_base or Fraction(1, stream.rate)
        total = round((stream.duration or 0) * base * rate_hz)
        _check(self.name, total, rate_hz, stream.channels, self.limits)
        first, count = part.frames(total, rate_hz)
        if self.container == "mp3" and part.seconds is None:
            # Without a header of its own an MP3's length is a guess: go on to the end.
            count = round(self.limits.duration_s * rate_hz) + 1
        if first:
            # Half a second earlier, since a decoder needs frames before the first good one.
            begin = max(0, round((first / rate_hz - 0.5) / base))
            container.seek(begin, stream=stream, backward=True)
        samples = _collect(container, stream, first, count)
        _check(self.name, len(samples), rate_hz, stream.channels, self.limits)
        return Sound(samples=_read(samples, self.name), sample_rate_hz=rate_hz)


def _collect(container: Any, stream: Any, first: int, count: int) -> Samples:
    """Frames `first` to `first + count` of a stream, by their time stamps; (N, C)."""
    import av

    resampler = av.AudioResampler(format="fltp", layout=stream.layout.name, rate=stream.rate)
    parts: list[Samples] = [np.zeros((0, stream.channels), np.float32)]
    position, held = None, 0
    for frame in container.decode(stream):
        if position is None:
            begin = Fraction(frame.pts or 0) * (frame.time_base or Fraction(1, stream.rate))
            position = round(begin * stream.rate)
        for piece in resampler.resample(frame):
            block = np.asarray(piece.to_ndarray(), np.float32).T
            taken = block[max(0, first - position) :]
            position += len(block)
            parts.append(taken[: count - held])
            held += len(parts[-1])
        if held >= count:
            break
    return np.concatenate(parts)


def resample(sound: Sound, rate_hz: int) -> Sound:
    """The same sound at another sample rate, band-limited (libswresample)."""
    import av

    if rate_hz == sound.sample_rate_hz:
        return sound
    layout = "mono" if sound.samples.shape[1] == 1 else "stereo"
    resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate_hz)
    frame = _frame(sound.samples, sound.sample_rate_hz, layout)
    blocks = [one.to_ndarray().T for one in (*resampler.resample(frame), *resampler.resample(None))]
    samples = np.ascontiguousarray(np.concatenate(blocks), np.float32)
    return Sound(samples=samples, sample_rate_hz=rate_hz)


def _frame(samples: Samples, rate_hz: int, layout: str) -> Any:
    import av

    planar = np.ascontiguousarray(samples.T, np.float32)
    frame = av.AudioFrame.from_ndarray(planar, format="fltp", layout=layout)
    frame.sample_rate, frame.pts, frame.time_base = rate_hz, 0, Fraction(1, rate_hz)
    return frame


def encode_sound(
    sound: Sound, media_type: str, bit_rate: int | None = None, subtype: str | None = None
) -> bytes:
    """A file of the sound: audio/wav, audio/flac, audio/mpeg, audio/ogg, audio/opus or audio/mp4.

    bit_rate  of the lossy ones, at least that where the encoder can; BIT_RATES a channel if None
    subtype   of WAV and FLAC, in libsndfile's names; 16 bits if None
    Where a format does not know the sample rate, the next higher one that it knows is taken.
    """
    clipped = Sound(samples=_tame(sound.samples), sample_rate_hz=sound.sample_rate_hz)
    if media_type in SUBTYPES:
        kind = media_type.removeprefix("audio/").upper()
        return write_frames(clipped, kind, subtype or SUBTYPES[media_type])
    channels = sound.samples.shape[1]
    wanted = bit_rate or BIT_RATES[media_type] * channels
    if media_type == "audio/mp4":
        return _encode_aac(resample(clipped, _known(AAC_RATES_HZ, sound.sample_rate_hz)), wanted)
    if media_type == "audio/mpeg":
        fitting = resample(clipped, _known(MP3_RATES_HZ, sound.sample_rate_hz))
        return write_frames(
            fitting, "MP3", "MPEG_LAYER_III",
            compression_level=_mp3_level(fitting.sample_rate_hz, wanted), bitrate_mode="CONSTANT",
        )  # fmt: skip
    if media_type == "audio/opus":
        level = min(1.0, max(0.0, 1 - (wanted / channels - 6_000) / 250_000))
        fitting = resample(clipped, OPUS_RATE_HZ)
        return write_frames(fitting, "OGG", "OPUS", compression_level=level)
    rates = [rate for _, rate in _VORBIS]
    level = float(np.interp(wanted / channels, rates, [one for one, _ in _VORBIS]))
    return write_frames(clipped, "OGG", "VORBIS", compression_level=level)


def _known(rates_hz: tuple[int, ...], rate_hz: int) -> int:
    return next((one for one in rates_hz if one >= rate_hz), rates_hz[-1])


def _mp3_level(rate_hz: int, bit_rate: int) -> float:
    """libsndfile's compression level for a constant bit rate, a little above it."""
    highest, lowest = (320, 32) if rate_hz >= 32_000 else (160, 8) if rate_hz >= 16_000 else (64, 8)
    kbps = min(float(highest), max(lowest + 1.0, bit_rate / 1000 + 1))
    return (highest - kbps) / (highest - lowest)


def write_frames(
    sound: Sound, kind: str, subtype: str, *, compression_level: float | None = None,
    bitrate_mode: str | None = None,
) -> bytes:  # fmt: skip
    """A file by libsndfile, written in blocks."""
    return write_array(
        sound.samples, sound.sample_rate_hz, kind, subtype,
        compression_level=compression_level, bitrate_mode=bitrate_mode,
    )  # fmt: skip


def write_array(
    frames: NDArray[Any], rate_hz: int, kind: str, subtype: str, **options: Any
) -> bytes:
    """A file of (N, C) frames of float32, float64 or int32 (left-justified), by libsndfile."""
    import soundfile

    buffer = io.BytesIO()
    try:
        with soundfile.SoundFile(
            buffer, "w", rate_hz, frames.shape[1], subtype, format=kind, **options
        ) as target:
            for start in range(0, len(frames), BLOCK_FRAMES):
                target.write(frames[start : start + BLOCK_FRAMES])
    except (soundfile.SoundFileError, ValueError) as error:
        raise MediaError(
            "the sound could not be encoded as {kind} ({reason})", kind=kind, reason=str(error)
        ) from None
    return buffer.getvalue()


def _encode_aac(sound: Sound, bit_rate: int) -> bytes:
    """AAC in an MP4 file without any clock or tag."""
    import av

    buffer = io.BytesIO()
    layout = "mono" if sound.samples.shape[1] == 1 else "stereo"
    with av.open(buffer, "w", format="ipod", options={"fflags": "+bitexact"}) as container:
        # The usual search bursts at onsets of speech (see video_encoding).
        coder = {"aac_coder": "fast"}
        rate_hz = sound.sample_rate_hz
        stream = container.add_stream("aac", rate=rate_hz, options=coder, layout=layout)
        stream.bit_rate = bit_rate
        for packet in stream.encode(_frame(sound.samples, sound.sample_rate_hz, layout)):
            container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return buffer.getvalue()
