"""Film: frames with their rate and their sound, and bytes to frames, with bounds.

Frames are streamed, never all in memory. What a file claims is checked before it is decoded, and
what comes out is counted.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wenfang.errors import MediaError
from wenfang.media.audio import Sound
from wenfang.media.video_index import check_index
from wenfang.media.video_times import constant_rate, slot

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

Frame = NDArray[np.uint8]  # (H, W, 3), sRGB
Planes = tuple[Frame, Frame, Frame]  # luma (H, W), blue and red difference (H/2, W/2)
Kind = Literal["mp4", "webm"]

LIMIT_BYTES = 128 << 20
LIMIT_PIXELS = 9_000_000  # 4096 x 2176
LIMIT_DURATION_S = 1800
LIMIT_FRAMES = 120_000
LIMIT_STREAMS = 16
LIMIT_PACKETS = 600_000
LIMIT_CAPTIONS = 20_000
LATE_S = 0.02  # by which sound may come late before silence is put there
HELD_S = 0.25  # by which sound may outlast the picture before its last frame is held
SEEK_S = 1.0  # a frame nearer to the beginning is reached by decoding what lies before it
# Decoding 1.2 gigapixels takes about 4 s: two seconds of 4096 x 2160 at 60 frames a second.
LIMIT_OPENING_PIXELS = 1_200_000_000
DEMUXERS: dict[Kind, str] = {"mp4": "mp4", "webm": "matroska"}
DECODERS = (
    "h264,hevc,mpeg4,vp8,vp9,libvpx,libvpx-vp9,libdav1d,av1,aac,mp3,mp3float,opus,libopus,"
    "vorbis,flac,alac,ac3,eac3,mov_text,webvtt"
)


@dataclass(frozen=True, kw_only=True)
class Caption:
    """Words that are read beside a film while it runs from `start_s` to `end_s`."""

    text: str
    start_s: float
    end_s: float

    def __post_init__(self) -> None:
        if not (0 <= self.start_s < self.end_s <= LIMIT_DURATION_S):
            raise MediaError(
                "the caption {text} runs from {start} to {end} s; give a later end, both from 0 s",
                text=self.text[:40],
                start=self.start_s,
                end=self.end_s,
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Film:
    """Moving pictures before they are encoded.

    frames    all of one size, even sides; an iterable that can be gone through more than once
    fps       frames a second
    sound     as long as the frames, or None
    captions  a track of words that players show where it is asked for
    """

    frames: Iterable[Frame]
    fps: Fraction
    sound: Sound | None = None
    captions: tuple[Caption, ...] = ()

    def __post_init__(self) -> None:
        if not Fraction(1, 10) <= self.fps <= 240:
            raise MediaError("{fps} frames a second cannot be written; give 0.1 to 240",
                             fps=float(self.fps))  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Shot:
    """One frame in 4:2:0 as it is to be encoded: upright, both sides even.

    time_s  seconds after the first frame
    frame   pixel format yuv420p; its planes are copied before they are changed
    """

    time_s: float
    frame: av.VideoFrame


def kind_of(data: bytes) -> Kind | None:
    """The container that the first bytes stand for; None for anything else."""
    if data[4:8] == b"ftyp":
        return "mp4"
    return "webm" if data.startswith(b"\x1a\x45\xdf\xa3") else None


@contextmanager
def open_film(data: bytes, name: str) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and its picture, bounded by what they claim; FFmpeg's errors as MediaError."""
    import av

    kind = kind_of(data)
    if kind is None:
        raise MediaError("{name} is neither MP4 nor WebM; convert it first", name=name)
    if len(data) > LIMIT_BYTES:
        raise MediaError("{name} has {size} bytes, the limit is {limit}; make it smaller",
                         name=name, size=len(data), limit=LIMIT_BYTES)  # fmt: skip
    if kind == "mp4":
        check_index(data, name)
    options = {
        "codec_whitelist": DECODERS,
        "max_pixels": str(LIMIT_PIXELS),
        "max_streams": str(LIMIT_STREAMS),
        "threads": "1",
    }
    try:
        with av.open(
            io.BytesIO(data),
            "r",
            format=DEMUXERS[kind],
            options=options,
            metadata_errors="replace",
        ) as container:
            yield container, _picture_stream(container, name)
    except (av.FFmpegError, UnicodeDecodeError, OverflowError, MemoryError):
        raise MediaError("{name} is a broken film; export it again", name=name) from None


def _picture_stream(container: InputContainer, name: str) -> VideoStream:
    """The first moving picture, its claims checked; MediaError if there is none."""
    streams = [one for one in container.streams.video if one.codec_context is not None]
    if not streams:
        raise MediaError("{name} has no picture that can be decoded; export it again", name=name)
    stream = streams[0]
    _check_size(stream.codec_context.width, stream.codec_context.height, name)
    duration_s = (container.duration or 0) / 1_000_000
    if duration_s > LIMIT_DURATION_S or stream.frames > LIMIT_FRAMES:
        raise MediaError("{name} is longer than {limit} s; cut it into parts",
                         name=name, limit=LIMIT_DURATION_S)  # fmt: skip
    stream.codec_context.options = {"max_pixels": str(LIMIT_PIXELS)}
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = 2
    return stream


def _check_size(width: int, height: int, name: str) -> None:
    if not 1 <= width * height <= LIMIT_PIXELS:
        raise MediaError("{name} has {width} x {height} pixels, the limit is {limit}; "
                         "make it smaller",
                         name=name, width=width, height=height, limit=LIMIT_PIXELS)  # fmt: skip


def timed(frames: Iterable[av.VideoFrame], name: str) -> Iterator[tuple[float, av.VideoFrame]]:
    """(seconds after the first, frame) for frames of one size, within the bounds."""
    start, size = 0.0, (0, 0)
    for number, frame in enumerate(frames):
        if frame.pts is None or frame.time_base is None:
            raise MediaError("{name} has frames without a time; export it again", name=name)
        time_s = float(frame.pts * frame.time_base)
        if number == 0:
            start, size = time_s, (frame.width, frame.height)
            _check_size(*size, name)
        if (frame.width, frame.height) != size:
            raise MediaError("{name} changes its size midway; export it at one size", name=name)
        if number >= LIMIT_FRAMES or time_s - start > LIMIT_DURATION_S:
            raise MediaError("{name} is longer than {limit} s; cut it into parts",
                             name=name, limit=LIMIT_DURATION_S)  # fmt: skip
        yield time_s - start, frame


def planes(frame: av.VideoFrame) -> Planes:
    """The planes of a yuv420p frame as writable views, without the padding of their rows."""
    views = []
    for plane in frame.planes:
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)  # type: ignore[call-overload]
        views.append(rows[: plane.height, : plane.width])
    return (views[0], views[1], views[2])


def blank(width_px: int, height_px: int, like: av.VideoFrame) -> av.VideoFrame:
    """A yuv420p frame of another size, with the time and the colour space of `like`."""
    import av

    frame = av.VideoFrame(width_px, height_px, "yuv420p")
    frame.pts, frame.time_base, frame.duration = like.pts, like.time_base, like.duration
    frame.colorspace, frame.color_range = like.colorspace, like.color_range
    frame.color_primaries, frame.color_trc = like.color_primaries, like.color_trc
    return frame


def standing(frame: av.VideoFrame) -> av.VideoFrame:
    """The frame as 8-bit 4:2:0, turned upright, an odd side repeated once to be even."""
    quarter_turns = round(frame.rotation / 90) % 4
    if frame.format.name != "yuv420p":
        frame = frame.reformat(format="yuv420p", dst_color_range="MPEG", threads=1)
    width, height = frame.width, frame.height
    if quarter_turns % 2:
        width, height = height, width
    if not quarter_turns and width % 2 == height % 2 == 0:
        return frame
    even = blank(width + width % 2, height + height % 2, frame)
    for target, source in zip(planes(even), planes(frame), strict=True):
        turned = np.rot90(source, quarter_turns)
        rows, columns = (target.shape[axis] - turned.shape[axis] for axis in (0, 1))
        target[:] = np.pad(turned, ((0, rows), (0, columns)), "edge")
    return even


def _as_video(pixels: Frame, number: int, fps: Fraction) -> av.VideoFrame:
    """A picture as the frame of that number: BT.709, which players assume for HD and read here."""
    import av

    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise MediaError("frame {number} of the film is not 8-bit RGB; convert it", number=number)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24").reformat(
        format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG", threads=1
    )
    frame.color_primaries = frame.color_trc = 1
    frame.pts, frame.time_base, frame.duration = number, 1 / fps, 1
    return frame


def shots(content: bytes | Film, name: str = "the film") -> Iterator[Shot]:
    """Every frame of a film in turn, ready to be encoded.

    raises MediaError for a file that is broken, too large or no film
    """
    if isinstance(content, Film):
        yield from _drawn_shots(content, name)
        return
    with open_film(content, name) as (container, stream):
        yield from decoded_shots(container, stream, name)


def decoded_shots(
    container: InputContainer,
    stream: VideoStream,
    name: str,
    others: Callable[[Packet[Any]], None] | None = None,
) -> Iterator[Shot]:
    """The frames of an opened film; packets of its sound and subtitles go to `others`."""
    for time_s, frame in timed(_frames(container, stream, others, name), name):
        yield Shot(time_s=time_s, frame=standing(frame))


def _frames(
    container: InputContainer,
    stream: VideoStream,
    others: Callable[[Packet[Any]], None] | None,
    name: str,
) -> Iterator[av.VideoFrame]:
    for number, packet in enumerate(container.demux()):
        if number > LIMIT_PACKETS:
            raise MediaError("{name} holds too many small parts; export it again", name=name)
        if packet.stream is stream:
            yield from packet.decode()  # type: ignore[misc]
        elif others:
            others(packet)


def _drawn_shots(film: Film, name: str) -> Iterator[Shot]:
    frames = (_as_video(one, number, film.fps) for number, one in enumerate(film.frames))
    for time_s, frame in timed(frames, name):
        yield Shot(time_s=time_s, frame=standing(frame))


class Shown(NamedTuple):
    """A frame of a film and when it is on the screen, in seconds after the first."""

    start_s: float
    end_s: float
    pixels: Frame


def first_frames(
    data: bytes, seconds: float, every_s: float = 0.0, name: str = "the film"
) -> Iterator[Shown]:
    """The frames that begin before `seconds`, at least `every_s` apart, and always the last one.

    The last frame of a film is taken to be on the screen as long as the one before.
    raises MediaError for a film that is broken or too large to be looked at
    """
    before: Shot | None = None
    decoded, step_s, due_s = 0, 0.0, 0.0
    for shot in shots(data, name):
        over = shot.time_s >= seconds - 1e-6
        if before is not None:
            step_s = shot.time_s - before.time_s
            if over or before.time_s >= due_s - 1e-6:
                yield Shown(before.time_s, shot.time_s, _pixels(before.frame))
                due_s = before.time_s + every_s
        before = None if over else shot
        decoded += shot.frame.width * shot.frame.height
        if decoded > LIMIT_OPENING_PIXELS:
            raise MediaError("{name} has too many frames a second to be looked at", name=name)
        if over:
            return
    if before is not None:
        yield Shown(before.time_s, before.time_s + step_s, _pixels(before.frame))


def _pixels(frame: av.VideoFrame) -> Frame:
    pixels: Frame = frame.reformat(format="rgb24", dst_color_range="JPEG", threads=1).to_ndarray()  # type: ignore[assignment]
    return pixels


def decode(data: bytes, name: str = "the film") -> Film:
    """A film's frames at a constant rate, decoded again whenever they are gone through.

    Each is the one that the file shows at its time, so that a film of uneven frames keeps its
    pauses, and its sound begins with the first frame.
    raises MediaError for a file that is broken, too large or no film
    """
    with open_film(data, name) as (container, stream):
        times, end_s = _packet_times(container, stream, name)
        fps = constant_rate(times, (stream.average_rate, stream.guessed_rate))
    start_s = float(times[0])
    with open_film(data, name) as (container, _):
        sound = _decoded_sound(container, LIMIT_DURATION_S, name, start_s)
    last_s, length_s = float(times[-1]) - start_s, end_s - start_s
    if sound is not None and sound.duration_s > length_s + HELD_S:
        length_s = sound.duration_s
    count = min(max(slot(last_s, fps) + 1, slot(length_s, fps)), LIMIT_FRAMES)
    frames = _Frames(data=data, name=name, fps=fps, start_s=start_s, count=count)
    return Film(frames=frames, fps=fps, sound=sound, captions=decode_captions(data, name))


def _packet_times(
    container: InputContainer, stream: VideoStream, name: str
) -> tuple[NDArray[np.float64], float]:
    """(N,) when the frames of an opened film begin, in order, and when the last of them ends."""
    times, end_s = [], 0.0
    for packet in container.demux(stream):
        if packet.pts is None or packet.time_base is None or packet.is_discard:
            continue
        times.append(float(packet.pts * packet.time_base))
        end_s = max(end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        if len(times) > LIMIT_FRAMES or max(times[-1], end_s) - times[0] > LIMIT_DURATION_S:
            raise MediaError("{name} is longer than {limit} s; cut it into parts",
                             name=name, limit=LIMIT_DURATION_S)  # fmt: skip
    if not times:
        raise MediaError("{name} has no picture that can be decoded; export it again", name=name)
    return np.sort(np.array(times)), end_s


def decode_captions(data: bytes, name: str = "the film") -> tuple[Caption, ...]:
    """The words of a film's first track of them, in their order; MediaError as for `decode`."""
    found: list[Caption] = []
    with open_film(data, name) as (container, _):
        streams = [one for one in container.streams.subtitles if one.codec_context is not None]
        for packet in container.demux(streams[0]) if streams else ():
            text = _caption_text(bytes(packet), streams[0].codec_context.name)
            if not text or packet.pts is None or packet.time_base is None or not packet.duration:
                continue
            start_s = max(0.0, float(packet.pts * packet.time_base))
            end_s = float((packet.pts + packet.duration) * packet.time_base)
            if len(found) >= LIMIT_CAPTIONS or not start_s < end_s <= LIMIT_DURATION_S:
                raise MediaError("{name} has captions that cannot be read; leave them out",
                                 name=name)  # fmt: skip
            found.append(Caption(text=text, start_s=start_s, end_s=end_s))
    return tuple(found)


def _caption_text(packet: bytes, codec: str) -> str:
    """The plain words; in MP4 two bytes of length come first, and styles may follow."""
    if codec == "mov_text":
        packet = packet[2 : 2 + int.from_bytes(packet[:2], "big")]
    elif codec != "webvtt":
        return ""
    return packet.decode("utf-8", "replace").strip()


@dataclass(frozen=True, kw_only=True, eq=False)
class _Frames:
    """Frames that are decoded while they are gone through; those at one moment are one array."""

    data: bytes
    name: str
    fps: Fraction
    start_s: float
    count: int

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Frame]:
        return self.since(0)

    def since(self, first: int) -> Iterator[Frame]:
        """The frames from that one on, without the cost of all before it."""
        at, before = min(first, self.count), None
        for number, frame in self._decoded(first):
            if before is not None and number > at:
                pixels = _pixels(before)
                yield from (pixels for _ in range(at, min(number, self.count)))
                at = max(at, min(number, self.count))
            before = frame
            if at == self.count:
                return
        if before is None:
            raise MediaError("{name} has no picture that can be decoded; export it again",
                             name=self.name)  # fmt: skip
        pixels = _pixels(before)
        yield from (pixels for _ in range(at, self.count))

    def _decoded(self, first: int) -> Iterator[tuple[int, av.VideoFrame]]:
        """(when it begins, in frames of the constant rate, frame) from one at or before `first`."""
        target_s = float(first / self.fps)
        for sought in (True, False) if target_s > SEEK_S else (False,):
            with open_film(self.data, self.name) as (container, stream):
                if sought and stream.time_base:
                    ticks = (self.start_s + target_s - SEEK_S) / stream.time_base
                    container.seek(round(ticks), stream=stream, backward=True)
                early = False
                for shot in decoded_shots(container, stream, self.name):
                    time_s = float(shot.frame.pts * shot.frame.time_base)  # type: ignore[operator]
                    number = slot(time_s - self.start_s, self.fps)
                    early = early or number <= first
                    if sought and not early:
                        break  # the place was not found: from the beginning then
                    yield number, shot.frame
                if early or not sought:
                    return


def first_sound(data: bytes, seconds: float, name: str = "the film") -> Sound | None:
    """The sound of a film's first seconds; None if it has none. MediaError as for `decode`."""
    with open_film(data, name) as (container, _):
        return _decoded_sound(container, seconds, name)


def _decoded_sound(
    container: InputContainer, seconds: float, name: str, start_s: float | None = None
) -> Sound | None:
    """The first sound, in one or two channels, up to so many seconds.

    start_s  when the picture begins: the sound is moved to begin with it, gaps are filled
    """
    import av

    streams = [one for one in container.streams.audio if one.codec_context is not None]
    if not streams:
        return None
    stream, rate_hz = streams[0], streams[0].rate or 0
    channels = min(2, stream.codec_context.channels)
    if not (8_000 <= rate_hz <= 192_000 and channels):
        raise MediaError("{name} has a sound that cannot be decoded; export it again", name=name)
    resampler = av.AudioResampler("fltp", "mono" if channels == 1 else "stereo", rate_hz)
    parts, length, most = [np.zeros((0, channels), np.float32)], 0, round(seconds * rate_hz)
    skipped, begun = 0, start_s is None  # samples that were heard before the picture
    for packet in container.demux(stream):
        for frame in packet.decode():
            late = 0 if start_s is None else _due(frame, start_s, rate_hz, most) - length
            if not begun and late < 0:
                skipped, length = -late, late
            elif late > (LATE_S * rate_hz if begun else 0):
                parts.append(np.zeros((late, channels), np.float32))
                length += late
            begun = True
            for part in resampler.resample(frame):
                heard = np.nan_to_num(part.to_ndarray().T.astype(np.float32), copy=False)
                parts.append(np.clip(heard, -1, 1, out=heard))
                length += part.samples
        if length >= most:
            break
    samples = np.concatenate(parts)[skipped:][:most]
    return Sound(samples=samples, sample_rate_hz=rate_hz)


def _due(frame: av.AudioFrame, start_s: float, rate_hz: int, most: int) -> int:
    """Which sample after the picture's beginning a frame's first one is by its time."""
    if frame.pts is None or frame.time_base is None:
        return 0
    due = round((float(frame.pts * frame.time_base) - start_s) * rate_hz)
    return min(max(due, -most), most)
