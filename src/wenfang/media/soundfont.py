"""Which soundfont this machine has, and notes of one instrument as sound by it.

A soundfont holds recorded instruments. None ships with the package: Debian's fluid-soundfont-gm
(MIT) sounds best, timgm6mb-soundfont (GPL-2) is small. `WENFANG_SOUNDFONT` names another file.
FluidSynth plays it, by the extra `music`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wenfang.errors import DependencyError, MediaError
from wenfang.media.audio import Sound
from wenfang.media.midi import Note

PACKAGE, LIBRARY = "fluid-soundfont-gm", "libfluidsynth3"
VARIABLE = "WENFANG_SOUNDFONT"
FILES = ("FluidR3_GM.sf2", "default-GM.sf2", "TimGM6mb.sf2")
FOLDERS = ("/usr/share/sounds/sf2", "/usr/share/soundfonts", "/usr/local/share/soundfonts")
RATE_HZ = 48_000
GAIN, VOICES, DRUM_BANK = 0.5, 128, 128
LONGEST_TAIL_S, TAIL_PART_S, SILENT = 6.0, 0.25, 3.0  # of 32,768 steps
MARK = b"RIFF"


def find_soundfont() -> Path:
    """The soundfont to play by; DependencyError says what to install, MediaError what is wrong."""
    named = os.environ.get(VARIABLE)
    if named:
        path = Path(named).expanduser()
        _require(path)
        return path
    for folder in FOLDERS:
        for name in FILES:
            path = Path(folder) / name
            if path.is_file():
                return path
    raise DependencyError(
        "no soundfont is installed, so notes cannot be played; run apt-get install {package}, or "
        "name a .sf2 file in {variable}",
        package=PACKAGE,
        variable=VARIABLE,
    )


def _require(path: Path) -> None:
    if not path.is_file():
        raise MediaError(
            "{variable} names {path}, which is not there; name a .sf2 file",
            variable=VARIABLE,
            path=path,
        )
    with path.open("rb") as file:
        head = file.read(12)
    if head[:4] != MARK or head[8:] != b"sfbk":
        raise MediaError("{path} is no soundfont; name a .sf2 file", path=path)


def _fluidsynth() -> Any:
    """The module; DependencyError says what is missing of it."""
    try:
        import fluidsynth
    except ImportError:
        raise DependencyError(
            "notes are played by FluidSynth, which is not here; run apt-get install {library} and "
            "pip install wenfang[music]",
            library=LIBRARY,
        ) from None
    return fluidsynth


@dataclass(frozen=True, kw_only=True)
class Playing:
    """What one instrument plays.

    notes    (start_s, duration_s, note): the note gives pitch and velocity
    program  of General MIDI; not looked at for drums
    """

    notes: Sequence[tuple[float, float, Note]]
    program: int
    drums: bool = False


def play(parts: Sequence[Playing]) -> list[Sound]:
    """Each part for itself, in stereo at RATE_HZ, without any room, until it has died away.

    Parts are played at once, on as many processors as there are.
    """
    font, fluidsynth = find_soundfont(), _fluidsynth()
    synths: list[Any] = []
    try:
        # One after another: the first one that is made fills tables that all of them read. Each
        # part has its own, since one that has played before dithers otherwise.
        for part in parts:
            synths.append(fluidsynth.Synth(gain=GAIN, samplerate=float(RATE_HZ)))
            _seat(synths[-1], font, part)
        with ThreadPoolExecutor(max(1, min(len(parts), os.cpu_count() or 1))) as players:
            return list(players.map(_sound, synths, parts))
    finally:
        for synth in synths:
            synth.delete()


def _seat(synth: Any, font: Path, part: Playing) -> None:
    """Give a synthesizer its instrument."""
    for name in ("synth.reverb.active", "synth.chorus.active"):
        synth.setting(name, 0)
    synth.setting("synth.dynamic-sample-loading", 1)  # of a font, what is played
    synth.setting("synth.polyphony", VOICES)
    bank, preset = (DRUM_BANK, 0) if part.drums else (0, part.program)
    synth.program_select(0, synth.sfload(str(font)), bank, preset)


def _sound(synth: Any, part: Playing) -> Sound:
    frames = np.concatenate(list(_sounding(synth, part.notes)))
    samples = frames.astype(np.float32) / np.float32(32768)  # steps of 16 bits: exact
    return Sound(samples=samples, sample_rate_hz=RATE_HZ)


def _sounding(
    synth: Any, notes: Sequence[tuple[float, float, Note]]
) -> Iterator[NDArray[np.int16]]:
    """(N, 2) of what lies between one event and the next, and the end of the sound."""
    events = [
        (frame, is_start, note.pitch, note.velocity)
        for start_s, duration_s, note in notes
        for frame, is_start in (
            (round(start_s * RATE_HZ), 1),
            (max(1, round((start_s + duration_s) * RATE_HZ)), 0),
        )
    ]
    at = 0
    for frame, is_start, pitch, velocity in sorted(events):
        if frame > at:
            yield _frames(synth, frame - at)
            at = frame
        if is_start:
            synth.noteon(0, pitch, velocity)
        else:
            synth.noteoff(0, pitch)
    for _ in range(round(LONGEST_TAIL_S / TAIL_PART_S)):
        tail = _frames(synth, round(TAIL_PART_S * RATE_HZ))
        yield tail
        if tail.min() > -SILENT and tail.max() < SILENT:
            return


def _frames(synth: Any, count: int) -> NDArray[np.int16]:
    return np.asarray(synth.get_samples(count), np.int16).reshape(-1, 2)
