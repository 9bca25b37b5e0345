"""espeak-ng in a process of its own: requests as JSON on standard input, sound on standard output.

The library keeps the state of its noise and waves from one text to the next, so that only a fresh
process says the same text in the same way; and if it falls, it takes nothing with it.

    [{"text": …, "voice": …, "parameters": {"1": 150}}, …]
    -> a line of JSON {"rate_hz": …, "spoken": [{"frames": …, "marks": [[kind, place, ms, sign]]}]}
       and all samples, 16 bits each, one text after the other
    -> {"missing": true} where the library is not there, {"voice": …} for one that it does not have
"""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import sys
from pathlib import Path
from typing import Any

SYNCHRONOUS, PHONEME_EVENTS, UTF8, BY_CHARACTER = 2, 1, 1, 1
PHONEME = 7


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_Heard = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class _Ear:
    """What is heard of one text."""

    def __init__(self) -> None:
        self.samples = bytearray()
        self.marks: list[list[object]] = []

    def hear(self, samples: Any, count: int, events: Any) -> int:
        """The library's callback; 0 asks it to go on."""
        if samples and count > 0:
            self.samples += ctypes.string_at(samples, 2 * count)
        number = 0
        while events[number].type:
            one = events[number]
            sign = bytes(one.id.string).split(b"\0")[0] if one.type == PHONEME else b""
            told = sign.decode("utf-8", "replace")
            self.marks.append([one.type, one.text_position - 1, one.audio_position, told])
            number += 1
        return 0


def _library() -> Any:
    for name in ("libespeak-ng.so.1", ctypes.util.find_library("espeak-ng")):
        if name:
            try:
                return ctypes.CDLL(name)
            except OSError:
                continue
    return None


def _has(library: Any, voice: str) -> bool:
    """Whether the variant after the plus is a file of the library's; it would be passed over."""
    library.espeak_Info.restype = ctypes.c_char_p
    path = ctypes.c_char_p()
    library.espeak_Info(ctypes.byref(path))
    language, _, variant = voice.partition("+")
    folder = Path((path.value or b"").decode()) / "voices" / "!v"
    known = not variant or (variant == Path(variant).name and (folder / variant).is_file())
    return known and library.espeak_SetVoiceByName(language.encode()) == 0


def main() -> None:
    """Say all that is asked, in its order."""
    asked = json.load(sys.stdin)
    library = _library()
    rate_hz = library.espeak_Initialize(SYNCHRONOUS, 0, None, PHONEME_EVENTS) if library else 0
    if rate_hz <= 0:
        sys.stdout.write(json.dumps({"missing": True}) + "\n")
        return
    spoken, every = [], bytearray()
    for one in asked:
        if not _has(library, one["voice"]):
            sys.stdout.write(json.dumps({"voice": one["voice"]}) + "\n")
            return
        ear = _Ear()
        callback = _Heard(ear.hear)
        library.espeak_SetSynthCallback(callback)
        library.espeak_SetVoiceByName(one["voice"].encode())
        for parameter, value in one["parameters"].items():
            library.espeak_SetParameter(int(parameter), int(value), 0)
        data = one["text"].encode() + b"\0"
        library.espeak_Synth(data, len(data), 0, BY_CHARACTER, 0, UTF8, None, None)
        spoken.append({"frames": len(ear.samples) // 2, "marks": ear.marks})
        every += ear.samples
    sys.stdout.write(json.dumps({"rate_hz": rate_hz, "spoken": spoken}) + "\n")
    sys.stdout.flush()
    sys.stdout.buffer.write(every)


if __name__ == "__main__":
    main()
