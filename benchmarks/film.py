"""A poem's film from its brief to the sealed file, and what is in it: time, length, loudness, step.

    python benchmarks/film.py [--json FILE]

Everything runs in a new process with a new home, start-up included. The peer of encoding is real
time: 25 frames a second.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from wenfang.compose.film import SCREENS, Shot, Still, filmed
from wenfang.media.audio import Sound
from wenfang.media.loudness import loudness_lufs, true_peaks
from wenfang.media.video import Film, decode
from wenfang.media.video_encoding import encode

ROOT = Path(__file__).resolve().parents[1]
BRIEF = ROOT / "examples" / "spring-river-film.json"
ENCODED = 150  # frames, for the speed of encoding alone


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measured(Path(folder))
    for name, value in found.items():
        print(f"{name:32} {value}")
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=2) + "\n", "utf-8")


def measured(folder: Path) -> dict[str, Any]:
    """The film made once in `folder`, and its numbers."""
    environment = {**os.environ, "WENFANG_HOME": str(folder / "home")}
    command = [sys.executable, "-m", "wenfang", "create", str(BRIEF), "-o", str(folder / "out")]
    begun = time.monotonic()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - begun
    film = decode((folder / "out" / "film.mp4").read_bytes())
    assert film.sound is not None
    frames = sum(1 for _ in film.frames)
    length_s = float(frames / film.fps)
    samples, rate_hz = film.sound.samples, film.sound.sample_rate_hz
    peak_dbtp = 20 * np.log10(true_peaks(samples).max())
    kept = [frame for frame, _ in zip(film.frames, range(ENCODED), strict=False)]
    return {
        "brief to sealed files, s": round(seconds, 1),
        "film, s": length_s,
        "frames": frames,
        "sound less picture, s": round(film.sound.duration_s - length_s, 4),
        "loudness, LUFS": round(loudness_lufs(samples, rate_hz), 2),
        "true peak, dBTP": round(float(peak_dbtp), 2),
        "encoding, times real time": round(_encoded_per_s(kept) / 25, 2),
        "flash and click apart, s": round(step_s(), 4),
    }


def _encoded_per_s(frames: list[Any]) -> float:
    begun = time.monotonic()
    encode(Film(frames=frames, fps=Fraction(25)), "mp4")
    return len(frames) / (time.monotonic() - begun)


def step_s() -> float:
    """How far sound and picture are apart at the end of a film of 30 s: a flash with a click."""
    from PIL import Image

    screen = replace(SCREENS["16:9"], width_px=320, height_px=180)
    dark, light = (Image.new("RGB", screen.size, (level,) * 3) for level in (0, 255))
    shots = [
        Shot(layers=(Still(image=dark),), duration_s=29.0),
        Shot(layers=(Still(image=light),), duration_s=1.0),
    ]
    click = np.zeros((30 * 48_000, 2), np.float32)
    click[29 * 48_000 : 29 * 48_000 + 480] = 0.9
    back = decode(encode(filmed(shots, screen, Sound(samples=click, sample_rate_hz=48_000)), "mp4"))
    assert back.sound is not None
    flash = next(number for number, one in enumerate(back.frames) if one.mean() > 128) / back.fps
    loud = np.abs(back.sound.samples).max(axis=1) > 0.2
    return float(np.argmax(loud)) / back.sound.sample_rate_hz - float(flash)


if __name__ == "__main__":
    main()
