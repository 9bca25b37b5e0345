"""Which soundfont this machine has, and notes of one instrument as sound by it.

A soundfont holds recorded instruments. None ships with the package: Debian's fluid-soundfont-gm
(MIT) sounds best, timgm6mb-soundfont (GPL-2) is small. `WENFANG_SOUNDFONT` names another file.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from wenfang.errors import DependencyError, MediaError
from wenfang.media.audio import Sound
from wenfang.media.midi import Note
from wenfang.media.score import TICKS

PACKAGE = "fluid-soundfont-gm"
VARIABLE = "WENFANG_SOUNDFONT"
FILES = ("FluidR3_GM.sf2", "default-GM.sf2", "TimGM6mb.sf2")
FOLDERS = ("/usr/share/sounds/sf2", "/usr/share/soundfonts", "/usr/local/share/soundfonts")
RATE_HZ = 44_100
QUALITY = 4  # of the interpolation between recorded samples, the renderer's own default
PLAYED_BPM = 120  # ticks are placed by the caller's own clock
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


@lru_cache(maxsize=2)
def _synthesizer(path: Path) -> Any:
    import symusic

    return symusic.Synthesizer(str(path), RATE_HZ, QUALITY)


def play(notes: Sequence[tuple[float, float, Note]], program: int, drums: bool = False) -> Sound:
    """What one instrument plays, in stereo at RATE_HZ, with the sound that is left after its notes.

    notes  (start_s, duration_s, note): the note gives pitch and velocity
    """
    import symusic

    track = symusic.Track(name="", program=program, is_drum=drums)
    a_second = TICKS * PLAYED_BPM / 60
    for start_s, duration_s, note in notes:
        length = max(1, round(duration_s * a_second))
        track.notes.append(
            symusic.Note(round(start_s * a_second), length, note.pitch, note.velocity)
        )
    score = symusic.Score(TICKS)
    score.tempos.append(symusic.Tempo(0, PLAYED_BPM))
    score.tracks.append(track)
    samples = np.asarray(_synthesizer(find_soundfont()).render(score, stereo=True), np.float32)
    return Sound(samples=np.ascontiguousarray(samples.T), sample_rate_hz=RATE_HZ)
