"""One small unlabelled file of every format, made by libraries that are not ours."""

from __future__ import annotations

import io
import json
import math
import struct
import zipfile
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def scene(width: int = 320, height: int = 240) -> Pixels:
    """A textured picture, (H, W, 3) uint8: soft hills with grain."""
    draw = np.random.default_rng(3)
    y, x = np.mgrid[0:height, 0:width]
    hills = 110 + 60 * np.sin(x / 37) * np.cos(y / 29)
    grain = draw.normal(0, 12, (height, width))
    planes = [hills + grain + shift for shift in (0, 18, -25)]
    pixels: Pixels = np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)
    return pixels


def tone(seconds: float = 3.0, rate: int = 44_100, channels: int = 2) -> NDArray[np.float32]:
    """A chord that fades, (N, C) float32."""
    time = np.arange(int(seconds * rate)) / rate
    chord = sum(np.sin(2 * math.pi * pitch * time) / 6 for pitch in (220, 277.2, 329.6))
    fading = (chord * np.exp(-time / 2)).astype(np.float32)
    return np.repeat(fading[:, None], channels, axis=1)


def _image(kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(scene()).save(buffer, kind, **options)
    return buffer.getvalue()


def _svg() -> bytes:
    return (
        b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 300" width="400" height="300">'
        b'<rect width="400" height="300" fill="#dbe7f0"/><circle cx="120" cy="110" r="70" '
        b'fill="#b0382c"/></svg>\n'
    )


def _sound(kind: str, subtype: str | None = None, rate: int = 44_100) -> bytes:
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, tone(rate=rate), rate, format=kind, subtype=subtype)
    return buffer.getvalue()


def _film(container: str, video: str, audio: str, seconds: float = 3.0) -> bytes:
    """320x240, 12 frames a second, with sound; made by FFmpeg's encoders."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as opened:
        output: Any = opened
        pictures = output.add_stream(video, rate=Fraction(12))
        pictures.width, pictures.height, pictures.pix_fmt = 320, 240, "yuv420p"
        sounds = output.add_stream(audio, rate=48_000, layout="stereo")
        for number in range(int(12 * seconds)):
            moved = np.ascontiguousarray(np.roll(scene(), number * 4, axis=1))
            output.mux(pictures.encode(av.VideoFrame.from_ndarray(moved, format="rgb24")))
        _add_sound(output, sounds, seconds)
        output.mux(pictures.encode(None))
        output.mux(sounds.encode(None))
    return buffer.getvalue()


def _add_sound(output: Any, stream: Any, seconds: float) -> None:
    import av

    samples = np.ascontiguousarray(tone(seconds, 48_000).T)
    for start in range(0, samples.shape[1], 960):
        part = np.ascontiguousarray(samples[:, start : start + 960])
        if part.shape[1] < 960:
            break
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = 48_000, start
        output.mux(stream.encode(frame))


def _m4a() -> bytes:
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="ipod") as opened:
        output: Any = opened
        stream = output.add_stream("aac", rate=48_000, layout="stereo")
        samples = np.ascontiguousarray(tone(3.0, 48_000).T)
        for start in range(0, samples.shape[1] - 1023, 1024):
            part = np.ascontiguousarray(samples[:, start : start + 1024])
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = 48_000, start
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return buffer.getvalue()


def _midi() -> bytes:
    notes = b"".join(
        struct.pack(">BBBB", 0, 0x90, pitch, 80) + b"\x83\x60" + bytes((0x80, pitch, 0))
        for pitch in (60, 62, 64, 65, 67, 69, 71, 72)
    )
    track = notes + b"\x00\xff\x2f\x00"
    head = b"MThd" + struct.pack(">IHHH", 6, 0, 1, 480)
    return head + b"MTrk" + struct.pack(">I", len(track)) + track


def _pdf() -> bytes:
    from pypdf import PdfWriter

    writer = PdfWriter()
    writer.add_blank_page(420, 595)
    writer.add_metadata({"/Title": "A page"})
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def _docx() -> bytes:
    import docx

    document = docx.Document()
    document.add_heading("A letter", 1)
    document.add_paragraph("It has one paragraph.")
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def _pptx() -> bytes:
    import pptx

    show = pptx.Presentation()
    slide = show.slides.add_slide(show.slide_layouts[0])
    slide.shapes.title.text = "A title"
    buffer = io.BytesIO()
    show.save(buffer)
    return buffer.getvalue()


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside/a.txt", "Some words.\n" * 20)
    return buffer.getvalue()


# Suffix -> (media type, maker of one file).
SAMPLES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "txt": ("text/plain", lambda: "Some words.\n床前明月光\n".encode()),
    "md": ("text/markdown", lambda: b"# Title\n\nSome *words*.\n"),
    "html": ("text/html", lambda: b"<!DOCTYPE html>\n<title>T</title>\n<p>Some words.</p>\n"),
    "json": ("application/json", lambda: json.dumps({"a": [1, 2], "b": "words"}).encode()),
    "csv": ("text/csv", lambda: b"name,price\ntea,3\ninkstone,40\n"),
    "png": ("image/png", lambda: _image("PNG")),
    "jpg": ("image/jpeg", lambda: _image("JPEG", quality=90)),
    "webp": ("image/webp", lambda: _image("WEBP", quality=90)),
    "gif": ("image/gif", lambda: _image("GIF")),
    "svg": ("image/svg+xml", _svg),
    "pdf": ("application/pdf", _pdf),
    "wav": ("audio/wav", lambda: _sound("WAV", "PCM_16")),
    "flac": ("audio/flac", lambda: _sound("FLAC", "PCM_16")),
    "mp3": ("audio/mpeg", lambda: _sound("MP3")),
    "ogg": ("audio/ogg", lambda: _sound("OGG", "VORBIS")),
    "opus": ("audio/opus", lambda: _sound("OGG", "OPUS", 48_000)),
    "m4a": ("audio/mp4", _m4a),
    "mid": ("audio/midi", _midi),
    "mp4": ("video/mp4", lambda: _film("mp4", "libx264", "aac")),
    "webm": ("video/webm", lambda: _film("webm", "libvpx-vp9", "libopus")),
    "docx": (
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        _docx,
    ),
    "pptx": (
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        _pptx,
    ),
    "zip": ("application/zip", _zip),
}


@cache
def sample(suffix: str) -> bytes:
    """The bytes of one small file of that kind."""
    return SAMPLES[suffix][1]()


def media_type(suffix: str) -> str:
    """Its media type."""
    return SAMPLES[suffix][0]
