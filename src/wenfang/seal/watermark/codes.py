"""Error correction of a watermark's pointer: CRC-16 within a convolutional code.

The code has rate 1/4 and constraint length 9 (generators 463, 535, 733, 745 octal, free distance
24: Larsen 1973) and ends in state 0. Viterbi's algorithm reads soft values, so a bit that a crop
or a JPEG wore away counts for little.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

POINTER_BITS, CHECK_BITS = 48, 16
POINTER_DIGITS = POINTER_BITS // 4
_GENERATORS = (0o463, 0o535, 0o733, 0o745)
_MEMORY = 8
_STATES = 1 << _MEMORY
STEPS = POINTER_BITS + CHECK_BITS + _MEMORY
CODED_BITS = STEPS * len(_GENERATORS)

Bits = NDArray[np.int64]
Soft = NDArray[np.float64]


def crc16(value: int, bits: int = POINTER_BITS) -> int:
    """CRC-16/CCITT-FALSE of the lowest `bits` of `value`, the highest first."""
    register = 0xFFFF
    for position in reversed(range(bits)):
        high = (register >> 15) ^ (value >> position & 1)
        register = (register << 1 & 0xFFFF) ^ (0x1021 if high else 0)
    return register


def encode(pointer: str) -> Bits:
    """12 hexadecimal digits as (CODED_BITS,) of +1 (for 0) and -1; ValueError for others."""
    if len(pointer) != POINTER_DIGITS or not set(pointer) <= set("0123456789abcdef"):
        raise ValueError("pointer")
    value = int(pointer, 16)
    message = value << CHECK_BITS | crc16(value)
    outputs = _outputs()
    register, coded = 0, []
    for position in reversed(range(-_MEMORY, POINTER_BITS + CHECK_BITS)):
        bit = message >> position & 1 if position >= 0 else 0
        coded.append(outputs[register, bit])
        register = (register << 1 | bit) & (_STATES - 1)
    return np.concatenate(coded)


def decode(soft: Soft) -> str | None:
    """The likeliest message's pointer if its CRC is right.

    soft  (CODED_BITS,) each about +1 or -1 times its reliability
    """
    message = 0
    for bit in _likeliest(soft.reshape(STEPS, len(_GENERATORS)))[:-_MEMORY]:
        message = message << 1 | bit
    value = message >> CHECK_BITS
    right = crc16(value) == message & ((1 << CHECK_BITS) - 1)
    return f"{value:0{POINTER_DIGITS}x}" if right else None


def _likeliest(soft: Soft) -> list[int]:
    """The path of greatest correlation from state 0 to state 0: its bit at each step."""
    outputs = _outputs()
    states = np.arange(_STATES)
    # A state is reached from two: those that differ in the oldest bit, which then drops out.
    before = np.stack([states >> 1, states >> 1 | _STATES >> 1])
    expected = outputs[before, states & 1].astype(np.float64)
    score = np.full(_STATES, -np.inf)
    score[0] = 0
    choices = []
    for values in soft:
        reached = score[before] + expected @ values
        choice = reached[1] > reached[0]
        choices.append(choice)
        score = np.where(choice, reached[1], reached[0])
    state, bits = 0, []
    for choice in reversed(choices):
        bits.append(state & 1)
        state = int(before[int(choice[state]), state])
    return bits[::-1]


@cache
def _outputs() -> Bits:
    """(state, bit, generator) -> +1 or -1."""
    register = np.arange(_STATES)[:, None] << 1 | np.arange(2)
    taps = register[..., None] & np.array(_GENERATORS)
    parity = np.bitwise_count(taps) & 1
    signs: Bits = 1 - 2 * parity.astype(np.int64)
    return signs
