"""Spoken digits (Free Spoken Digit Dataset) as pictures of their levels: see `media.mel`.

A record: name ("7_george_12"), text ("7 george"), digit, speaker, label, seconds and png, the
log-mel in Base64. The label is text for who makes digits, and the digit alone for who reads them.
Of each speaker's takes of a digit the first 5 are the test part, as the origin has it, the next 5
the validation part. A take is cut to what is heard in it; one that is still longer than a picture
is left out, and counted.
"""

from __future__ import annotations

import base64
import lzma
import re
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from wenfang import config
from wenfang.errors import DataError, MediaError
from wenfang.media.audio import Sound, SoundLimits, decode_sound
from wenfang.media.image import encode_png
from wenfang.media.mel import SPEECH, mel_picture
from wenfang.media.quiet import above, step_powers

TEST, VALID = 5, 5  # takes of each digit by each speaker
STEP_S, HEARD_DB, MARGIN_STEPS = 0.01, -40.0, 2
TOO_LONG = "longer than a picture"
LIMIT_FILES = 20_000
LIMIT_FILE_BYTES = 2**20
LIMITS = SoundLimits(size_bytes=LIMIT_FILE_BYTES, duration_s=30.0)
NAME = re.compile(r"([0-9])_([a-z]+)_([0-9]{1,4})\.wav")
Told = Literal["text", "digit"]


def settings_of(label: Told) -> dict[str, object]:
    """What was done to the takes, for the manifest: its `mel` says how pictures become sounds."""
    return {
        "split": f"takes 0-{TEST - 1} test, {TEST}-{TEST + VALID - 1} validate",
        "heard_db": HEARD_DB,
        "label": label,
        "mel": config.to_dict(SPEECH),
    }


def spoken_rows(
    path: Path, label: Told, rejected: Counter[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(part, record) of the archive at `path`, in the order of digits, speakers and takes.

    label     the field that becomes the record's label
    rejected  counts what is left out, by the reason
    raises    DataError for an archive that is broken, holds too much, or holds a strange sound
    """
    rejected[TOO_LONG] = 0
    for (digit, speaker, take), content in sorted(archived_takes(path).items()):
        name = f"{digit}_{speaker}_{take}"
        try:
            sound = heard(decode_sound(content, f"{name}.wav", LIMITS))
            if len(sound.samples) > SPEECH.samples:
                rejected[TOO_LONG] += 1
                continue
            png = encode_png(Image.fromarray(mel_picture(sound)))
        except MediaError as reason:
            raise DataError(
                "{path} is no readable archive ({reason}); get it again", path=path, reason=reason
            ) from None
        told = {"text": f"{digit} {speaker}", "digit": digit, "speaker": speaker}
        part = "test" if take < TEST else "valid" if take < TEST + VALID else "train"
        yield (
            part,
            {
                "name": name,
                **told,
                "label": told[label],
                "seconds": round(sound.duration_s, 4),
                "png": base64.b64encode(png).decode("ascii"),
            },
        )


def archived_takes(path: Path) -> dict[tuple[str, str, int], bytes]:
    """Files of a tar archive that are named `7_george_12.wav`, by digit, speaker and take.

    raises DataError for an archive that is broken or holds too much
    """
    found: dict[tuple[str, str, int], bytes] = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                named = NAME.fullmatch(Path(member.name).name)
                if not member.isfile() or not named:
                    continue
                if member.size > LIMIT_FILE_BYTES or len(found) >= LIMIT_FILES:
                    raise DataError(
                        "{path} holds too much; it is no set of spoken digits", path=path
                    )
                stream = archive.extractfile(member)
                assert stream is not None
                found[named[1], named[2], int(named[3])] = stream.read()
    except (tarfile.TarError, lzma.LZMAError, OSError, EOFError) as reason:
        raise DataError(
            "{path} is no readable archive ({reason}); get it again", path=path, reason=reason
        ) from None
    return found


def heard(sound: Sound) -> Sound:
    """Without what is quiet at its ends, but for two hundredths of a second; silence stays."""
    rate = sound.sample_rate_hz
    loud = np.flatnonzero(above(step_powers(sound.samples, rate, STEP_S), HEARD_DB))
    if not loud.size:
        return sound
    step = max(1, round(STEP_S * rate))
    first = max(0, int(loud[0]) - MARGIN_STEPS) * step
    return replace(sound, samples=sound.samples[first : (int(loud[-1]) + 1 + MARGIN_STEPS) * step])
