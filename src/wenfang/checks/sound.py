"""Is a sound technically what it should be: not clipped, not silent, as loud as the rest?"""

from __future__ import annotations

import numpy as np

from wenfang.checks.check import Check, Evidence, Material, measured, not_measured
from wenfang.media.audio import Sound
from wenfang.media.loudness import SILENCE_LUFS, loudness_lufs
from wenfang.media.quiet import above, runs, step_length_s, step_powers

VERSION = "1"
NO_SOUND = "there is no sound to judge"
FULL, IN_A_ROW = 0.999, 3
MOST_CLIPPED_SHARE = 1e-5
LONGEST_SILENCE_S, SILENT_DB, STEP_S = 4.0, -60.0, 0.02
WANTED_LUFS, MOST_OFF_LU = -14.0, 1.0


def sound_clipping(material: Material) -> Check:
    """The value is the share of samples that stand at full scale, three in a row or more."""
    most = material.threshold("sound_clipping", MOST_CLIPPED_SHARE)
    if material.sound is None:
        return not_measured("sound_clipping", VERSION, most, NO_SOUND)
    share = _clipped(material.sound)
    evidence = Evidence(
        "{share} of the samples stand at full scale; make it quieter", {"share": f"{share:.2%}"}
    )
    return measured("sound_clipping", VERSION, share, most, evidence)


def _clipped(sound: Sound) -> float:
    full = np.abs(sound.samples) >= FULL
    if len(full) < IN_A_ROW:
        return 0.0
    rows = np.lib.stride_tricks.sliding_window_view(full, IN_A_ROW, axis=0)
    return float(rows.all(axis=2).mean())


def sound_silence(material: Material) -> Check:
    """The value is the longest silence in seconds, 60 dB below the loudest; all of it if nothing is
    heard.
    """
    most = material.threshold("sound_silence", LONGEST_SILENCE_S)
    if material.sound is None:
        return not_measured("sound_silence", VERSION, most, NO_SOUND)
    found = _longest_silence_s(material.sound)
    evidence = Evidence("nothing is heard for {seconds} s", {"seconds": f"{found:.1f}"})
    return measured("sound_silence", VERSION, found, most, evidence)


def _longest_silence_s(sound: Sound) -> float:
    powers = step_powers(sound.samples, sound.sample_rate_hz, STEP_S)
    found = runs(~above(powers, SILENT_DB))
    step_s = step_length_s(sound.sample_rate_hz, STEP_S)
    return max((ended - begun for begun, ended in found), default=0) * step_s


def sound_loudness(material: Material) -> Check:
    """The value is how far its loudness lies from that of the rest, -14 LUFS, in LU."""
    most = material.threshold("sound_loudness", MOST_OFF_LU)
    if material.sound is None:
        return not_measured("sound_loudness", VERSION, most, NO_SOUND)
    found = loudness_lufs(material.sound.samples, material.sound.sample_rate_hz)
    off = abs(found - WANTED_LUFS)
    heard = "nothing" if found <= SILENCE_LUFS else f"{found:.1f} LUFS"
    evidence = Evidence(
        "its loudness is {found}; {wanted} is asked", {"found": heard, "wanted": f"{WANTED_LUFS:g}"}
    )
    return measured("sound_loudness", VERSION, round(off, 3), most, evidence)
