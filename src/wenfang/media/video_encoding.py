"""Writing film: H.264 and AAC in MP4, VP9 and Opus in WebM, every frame encoded once.

The same frames give the same bytes on the same machine: threads are fixed, since x264's bytes
depend on their number, and the containers carry neither clocks nor random numbers.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from wenfang.errors import MediaError
from wenfang.media.audio import Sound
from wenfang.media.video import Film, Kind, Shot, decoded_shots, open_film, shots

if TYPE_CHECKING:
    import av
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet

    Change = Callable[[Shot], av.VideoFrame]

AHEAD_S = 0.1  # the sound is written a little before its picture
PART_SAMPLES = 48_000
QUICK_PIXELS = 500_000  # below, the strokes of a label are a pixel wide and would be blurred


@dataclass(frozen=True, kw_only=True)
class Coding:
    """How a kind of film is encoded, and which sound and subtitles are taken over as they are.

    drawn_options  of the picture where it was drawn here: even tones and slow moves need less
                   search for the same quality
    """

    muxer_options: tuple[tuple[str, str], ...]
    video: str
    video_options: tuple[tuple[str, str], ...]
    audio: str
    audio_format: str
    audio_rates_hz: tuple[int, ...]
    carries: frozenset[str]
    captions: str
    audio_options: tuple[tuple[str, str], ...] = ()
    drawn_options: tuple[tuple[str, str], ...] = ()
    audio_bit_rate: int = 128_000


CODINGS: dict[Kind, Coding] = {
    "mp4": Coding(
        # Without this flag FFmpeg drops every tag that is not iTunes', and says nothing.
        # The index goes to the front, so that a player can begin before it has the whole file.
        muxer_options=(("movflags", "use_metadata_tags+faststart"),),
        video="libx264",
        video_options=(
            ("crf", "18"),
            ("preset", "medium"),
            ("threads", "4"),
            # With AVX-512 the same frames give other bytes from run to run (x264 core 165,
            # mb-tree, 320 x 240); with this set they are equal, on every x86-64 alike.
            ("x264-params", "asm=sse4.2"),
        ),
        audio="aac",
        audio_format="fltp",
        audio_rates_hz=(8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000),
        carries=frozenset({"aac", "mp3", "opus", "flac", "alac", "ac3", "eac3", "mov_text"}),
        captions="mov_text",
        # FFmpeg's usual search bursts at onsets of speech, by chance up to full scale; this one
        # errs half as much (eight takes of six seconds of speech over a piano).
        audio_options=(("aac_coder", "fast"),),
        # Beside medium: 3.7 times as fast, 28 % smaller, 0.3 dB better (1280 x 720, scenery).
        drawn_options=(("preset", "veryfast"),),
    ),
    "webm": Coding(
        muxer_options=(),
        video="libvpx-vp9",
        video_options=(
            ("crf", "24"),
            ("b", "0"),
            ("deadline", "good"),
            ("cpu-used", "4"),
            ("row-mt", "0"),
            ("tile-columns", "2"),
            ("threads", "4"),
        ),
        audio="libopus",
        audio_format="flt",
        audio_rates_hz=(48000,),
        carries=frozenset({"opus", "vorbis", "webvtt"}),
        captions="webvtt",
    ),
}


def encode(
    content: bytes | Film, kind: Kind, change: Change | None = None, name: str = "the film"
) -> bytes:
    """A film in a container, encoded once, each frame as `change` gives it back.

    Of a file the times, the sound and the subtitles are taken over, and its title; every other
    tag is left behind. Rotation is applied, and an odd side becomes even.
    raises MediaError for a file that is broken, too large or no film
    """
    import av

    buffer = io.BytesIO()
    try:
        if isinstance(content, Film):
            _write_drawn(content, buffer, kind, change, name)
        else:
            _write_again(content, buffer, kind, change, name)
    except (av.FFmpegError, OverflowError) as error:
        raise MediaError(
            "{name} cannot be encoded ({reason}); export it again",
            name=name,
            reason=str(error),
        ) from error
    return buffer.getvalue()


@contextmanager
def _open_for_writing(buffer: io.BytesIO, kind: Kind) -> Iterator[OutputContainer]:
    """A container for writing, without clocks and random numbers."""
    import av

    options = {**dict(CODINGS[kind].muxer_options), "fflags": "+bitexact"}
    with av.open(
        buffer,
        "w",
        format=kind,
        container_options=options,
        io_open=lambda *_: _Written(buffer),
    ) as container:
        yield container


class _Written(io.RawIOBase):
    """What has been written so far, read while more is written: FFmpeg moves it for the index."""

    def __init__(self, buffer: io.BytesIO) -> None:
        self.buffer, self.position = buffer, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        with self.buffer.getbuffer() as whole:
            stop = len(whole) if size < 0 else self.position + size
            part = bytes(whole[self.position : stop])
        self.position += len(part)
        return part

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        with self.buffer.getbuffer() as whole:
            start = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: len(whole)}[whence]
        self.position = start + offset
        return self.position

    def tell(self) -> int:
        return self.position


class _Picture:
    """The picture of a film that is being written; its stream is made for the first frame."""

    def __init__(self, container: OutputContainer, coding: Coding, rate: Fraction) -> None:
        self.container, self.coding, self.rate = container, coding, rate
        self.aspect: Fraction | None = None
        self.stream: Any = None

    def prepare(self, frame: av.VideoFrame, drawn: bool = False) -> None:
        """Make the stream for frames like this one."""
        quick = drawn and frame.width * frame.height >= QUICK_PIXELS
        own = self.coding.drawn_options if quick else ()
        options = {**dict(self.coding.video_options), **dict(own), "flags": "+bitexact"}
        stream: Any = self.container.add_stream(self.coding.video, self.rate, options)
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p"
        stream.time_base = frame.time_base
        context = stream.codec_context
        context.time_base = frame.time_base
        context.colorspace, context.color_range = frame.colorspace, frame.color_range
        context.color_primaries, context.color_trc = frame.color_primaries, frame.color_trc
        if self.aspect:
            context.sample_aspect_ratio = self.aspect
        self.stream = stream

    def write(self, frame: av.VideoFrame | None) -> None:
        """Encode a frame, or what is still held back where it is None."""
        if self.stream is None:
            raise MediaError("a film without a frame cannot be written; give it one")
        if frame is not None:
            frame.pict_type = 0  # key frames of the file that it came from mean nothing here
        self.container.mux(self.stream.encode(frame))


class _Sound:
    """A sound that is being encoded beside the picture."""

    def __init__(
        self, container: OutputContainer, coding: Coding, rate_hz: int, channels: int
    ) -> None:
        import av

        rate_hz = rate_hz if rate_hz in coding.audio_rates_hz else 48_000
        layout = "mono" if channels == 1 else "stereo"
        options = {"flags": "+bitexact", **dict(coding.audio_options)}
        self.container = container
        stream: Any = container.add_stream(coding.audio, rate_hz, options, layout=layout)
        stream.bit_rate = coding.audio_bit_rate
        self.stream = stream
        self.resampler = av.AudioResampler(coding.audio_format, layout, rate_hz)

    def write(self, frame: av.AudioFrame | None) -> None:
        """Encode samples, or what is still held back where there are none."""
        for one in self.resampler.resample(frame):
            self.container.mux(self.stream.encode(one))
        if frame is None:
            self.container.mux(self.stream.encode(None))


def _write_drawn(
    film: Film, buffer: io.BytesIO, kind: Kind, change: Change | None, name: str
) -> None:
    coding = CODINGS[kind]
    with _open_for_writing(buffer, kind) as container:
        picture, sound = _Picture(container, coding, film.fps), _Samples(film.sound)
        for shot in shots(film, name):
            frame = change(shot) if change else shot.frame
            if picture.stream is None:
                picture.prepare(frame, drawn=True)
                sound.prepare(container, coding)
                _write_captions(film, container, coding)
            picture.write(frame)
            sound.write_until(shot.time_s + AHEAD_S)
        picture.write(None)
        sound.write_until(None)


# What FFmpeg's text encoders want to know before the first line; its styles are not used.
SUBTITLE_HEADER = (
    b"[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name\nStyle: Default\n\n"
    b"[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
)


def _write_captions(film: Film, container: OutputContainer, coding: Coding) -> None:
    """The track of words; the container waits with each until its time."""
    from av.subtitles.subtitle import SubtitleSet

    if not film.captions:
        return
    stream: Any = container.add_stream(coding.captions)
    milliseconds = Fraction(1, 1000)
    stream.time_base = stream.codec_context.time_base = milliseconds
    stream.codec_context.subtitle_header = SUBTITLE_HEADER
    han = any("\u4e00" <= one <= "\u9fff" for caption in film.captions for one in caption.text)
    stream.metadata["language"] = "zho" if han else "eng"
    for number, caption in enumerate(film.captions):
        start, end = (round(second * 1000) for second in (caption.start_s, caption.end_s))
        # Lines are divided as in ASS; braces would begin an override there.
        text = caption.text.replace("{", "(").replace("}", ")").replace("\n", "\\N")
        line = f"{number},0,Default,,0,0,0,,{text}".encode()
        packet: Any = stream.codec_context.encode_subtitle(
            SubtitleSet.create(text=line, start=0, end=end - start, pts=start * 1000)
        )
        packet.stream, packet.time_base = stream, milliseconds
        packet.pts = packet.dts = start
        packet.duration = end - start
        container.mux(packet)


class _Samples:
    """A sound given as samples, written a little at a time."""

    def __init__(self, sound: Sound | None) -> None:
        self.sound, self.position = sound, 0
        self.track: _Sound | None = None

    def prepare(self, container: OutputContainer, coding: Coding) -> None:
        if self.sound is not None:
            channels = self.sound.samples.shape[1]
            self.track = _Sound(container, coding, self.sound.sample_rate_hz, channels)

    def write_until(self, time_s: float | None) -> None:
        """Encode the samples before `time_s`, or all that are left where it is None."""
        if self.sound is None or self.track is None:
            return
        end, rate_hz = len(self.sound.samples), self.sound.sample_rate_hz
        stop = end if time_s is None else min(end, round(time_s * rate_hz))
        while self.position < stop:
            part = self.sound.samples[self.position : min(stop, self.position + PART_SAMPLES)]
            self.track.write(_audio_frame(part, rate_hz, self.position))
            self.position += len(part)
        if time_s is None:
            self.track.write(None)


def _audio_frame(samples: np.ndarray[Any, Any], rate_hz: int, position: int) -> av.AudioFrame:
    import av

    layout = "mono" if samples.shape[1] == 1 else "stereo"
    planar = np.ascontiguousarray(samples.T, np.float32)
    frame = av.AudioFrame.from_ndarray(planar, "fltp", layout)
    frame.sample_rate, frame.pts, frame.time_base = rate_hz, position, Fraction(1, rate_hz)
    return frame


def _write_again(
    data: bytes, buffer: io.BytesIO, kind: Kind, change: Change | None, name: str
) -> None:
    coding = CODINGS[kind]
    with (
        open_film(data, name) as (source, stream),
        _open_for_writing(buffer, kind) as container,
    ):
        if title := source.metadata.get("title"):
            container.metadata["title"] = title
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        picture = _Picture(container, coding, Fraction(rate))
        picture.aspect = stream.sample_aspect_ratio
        beside = _Beside(source, container, coding)
        for shot in decoded_shots(source, stream, name, beside.take):
            frame = change(shot) if change else shot.frame
            if picture.stream is None:
                picture.prepare(frame)
                beside.prepare()
            picture.write(frame)
        picture.write(None)
        beside.finish()


class _Beside:
    """Sound and subtitles of a file: packets taken over, or encoded again where they do not fit."""

    def __init__(self, source: InputContainer, container: OutputContainer, coding: Coding) -> None:
        self.source, self.container, self.coding = source, container, coding
        self.copies: dict[int, Any] = {}
        self.tracks: dict[int, _Sound] = {}
        self.waiting: list[Packet[Any]] | None = []

    def prepare(self) -> None:
        """Make the streams, after that of the picture, and write what came before it."""
        for one in self.source.streams:
            if one.type not in ("audio", "subtitle") or one.codec_context is None:
                continue
            if one.codec_context.name in self.coding.carries:
                self.copies[one.index] = self.container.add_stream_from_template(one)
            elif one.type == "audio":
                context: Any = one.codec_context
                rate_hz, channels = context.sample_rate, context.channels
                self.tracks[one.index] = _Sound(self.container, self.coding, rate_hz, channels)
        waiting, self.waiting = self.waiting or [], None
        for packet in waiting:
            self.take(packet)

    def take(self, packet: Packet[Any]) -> None:
        """Write a packet of the file's sound or subtitles."""
        if self.waiting is not None:
            self.waiting.append(packet)
        elif packet.stream.index in self.copies:
            if packet.dts is not None:
                packet.stream = self.copies[packet.stream.index]
                self.container.mux(packet)
        elif packet.stream.index in self.tracks:
            for frame in packet.decode():
                self.tracks[packet.stream.index].write(frame)  # type: ignore[arg-type]

    def finish(self) -> None:
        """Write what is still held back."""
        for track in self.tracks.values():
            track.write(None)
