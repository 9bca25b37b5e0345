"""What the seal costs: time beyond one encoding, bytes, and the time to verify; watermark apart.

    python benchmarks/seal_cost.py [--repeat 5] [--json]

Times are medians of one process, imports and the first file of each kind left out. "Beyond one
encoding" takes away the time of encoding the same content once with the same settings. Growth
compares the sealed file with that encoding; a sound's label is itself two seconds of sound and a
film's a plate on its opening, so these are encoded once with the label left out for comparison.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from sample_files import media_type, sample, scene, tone
from wenfang.media.audio import Sound, encode_sound
from wenfang.media.image import encode_png
from wenfang.media.video import Film
from wenfang.media.video_encoding import encode
from wenfang.seal import LabelSettings, Payload, Provenance, Sealer, emit, own_roots, verify
from wenfang.store import Manifest

SECONDS = 60.0


def timed(work: Callable[[], Any], repeat: int) -> float:
    """Median milliseconds of `work` after one run that warms up."""
    work()
    found = []
    for _ in range(repeat):
        started = time.perf_counter()
        work()
        found.append(1000 * (time.perf_counter() - started))
    return statistics.median(found)


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def music(seconds: float, rate: int) -> Any:
    """Chords that change every half second over soft noise, (N, 2) float32."""
    draw = np.random.default_rng(4)
    parts = []
    for number in range(int(2 * seconds)):
        part = tone(0.5, rate) * (0.7 + 0.3 * ((number % 4) == 0))
        parts.append(np.roll(part, number * 37, axis=0) + draw.normal(0, 0.01, part.shape))
    return np.concatenate(parts).astype(np.float32)


def contents() -> dict[str, tuple[str, Any, Callable[[], bytes]]]:
    """Name -> (suffix, what is sealed, one encoding of it without any label)."""
    # Each channel with grain of its own, as a camera gives it.
    grain = np.random.default_rng(5).normal(0, 4, (800, 1250, 3))
    photo = Image.fromarray(np.clip(scene(1250, 800) + grain, 0, 255).astype(np.uint8))
    poster = Image.new("RGB", (1250, 800), (236, 230, 214))
    poster.paste((160, 40, 30), (100, 100, 500, 500))
    sound = Sound(samples=music(SECONDS, 44_100), sample_rate_hz=44_100)
    still = scene(640, 360)
    frames = [np.ascontiguousarray(np.roll(still, 3 * n, axis=1)) for n in range(24 * 12)]
    film = Film(frames=frames, fps=Fraction(24), sound=Sound(
        samples=music(12.0, 48_000), sample_rate_hz=48_000))  # fmt: skip
    found: dict[str, tuple[str, Any, Callable[[], bytes]]] = {
        "png, 1 MP, textured": ("png", encode_png(photo), lambda: encode_png(photo)),
        "png, 1 MP, flat": ("png", encode_png(poster), lambda: encode_png(poster)),
        "jpg, 1 MP": ("jpg", photo, lambda: _saved(photo, "JPEG", quality=92, subsampling=0)),
        "webp, 1 MP": ("webp", photo, lambda: _saved(photo, "WEBP", quality=92, method=4)),
    }
    for suffix in ("wav", "flac", "mp3", "ogg", "opus", "m4a"):
        kind = media_type(suffix)
        found[f"{suffix}, 60 s stereo"] = (
            suffix,
            sound,
            lambda kind=kind: encode_sound(sound, kind),  # type: ignore[misc]
        )
    found["mp4, 640x360, 12 s"] = ("mp4", film, lambda: encode(film, "mp4"))
    for suffix in ("txt", "html", "svg", "pdf", "docx", "pptx", "mid", "json", "zip"):
        data = sample(suffix)
        found[f"{suffix}, small"] = (suffix, data, lambda data=data: data)  # type: ignore[misc]
    return found


def measure(repeat: int) -> list[dict[str, object]]:
    """One row for each content."""
    with tempfile.TemporaryDirectory(prefix="wenfang-cost-") as place:
        folder = Path(place)
        plain = Sealer.at(folder, LabelSettings(watermark=False))
        marked = Sealer.at(folder, LabelSettings())
        roots, rows = own_roots(folder), []
        for name, (suffix, content, encoded) in contents().items():
            path = folder / f"a.{suffix}"

            def seal(
                sealer: Sealer, path: Path = path, suffix: str = suffix, content: Any = content
            ) -> Any:
                kind = media_type(suffix)
                core = Manifest(kind="asset", name=path.name, media_type=kind)
                payload = Payload(media_type=kind, data=content)
                return emit(payload, path, Provenance(manifest=core), sealer)

            once = timed(encoded, repeat)
            with_mark = timed(lambda seal=seal: seal(marked), repeat)  # type: ignore[misc]
            mark = seal(marked).watermark
            verifying = timed(lambda path=path: verify([path], roots), repeat)  # type: ignore[misc]
            without = timed(lambda seal=seal: seal(plain), repeat)  # type: ignore[misc]
            before, after = len(encoded()), path.stat().st_size
            rows.append(
                {
                    "content": name,
                    "encoding_ms": round(once, 1),
                    "seal_beyond_ms": round(without - once, 1),
                    "watermark_ms": round(with_mark - without, 1) if "kind" in mark else None,
                    "verify_ms": round(verifying, 1),
                    "bytes": before,
                    "growth": round(after / before - 1, 4),
                }
            )
            print(f"{name} done", file=sys.stderr)
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    rows = measure(asked.repeat)
    if asked.json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        print("  ".join(f"{name} {value}" for name, value in row.items()))


if __name__ == "__main__":
    main()
