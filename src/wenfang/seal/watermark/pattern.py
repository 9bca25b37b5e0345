"""The keyed tile that is repeated over a picture, and its correlation with a folded picture.

A tile is a square grid of chips, each +1 or -1. A keyed shuffle sets aside a quarter of them as a
known signal that tells where the tile begins; the others carry the coded bits, several
chips a bit, each multiplied with a keyed sign (spread spectrum: Cox et al. 1997).

For any picture and a random key, the correlation of one codeword at one place is a sum of
independent signs times fixed numbers, so its chance to exceed z standard deviations is at most
exp(-z**2 / 2) (Hoeffding 1963): no assumption about the picture is made.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from wenfang.seal.watermark.codes import CODED_BITS, POINTER_BITS, decode, encode

TILE_PX, CHIP_PX = 150, 3
CHIPS = TILE_PX // CHIP_PX
CHIPS_A_BIT = CHIPS * CHIPS * 3 // 4 // CODED_BITS
_NARROW_PX, _WIDE_PX = 0.6 * CHIP_PX, 1.75 * CHIP_PX  # standard deviations of the chip's pulse

# Offsets decoded: two, since a picture may be marked twice. A codeword that reaches the least
# sufficient score, 11, shows 11 * sqrt(0.31) = 6 in its known chips.
_DECODED, _KNOWN_SCORE = 2, 4.8

Plane = NDArray[np.floating]
Places = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Tile:
    """A key's chips: flat pixel positions and signs of the known ones and of each coded bit.

    known, known_signs  (K,)
    coded, coded_signs  (CODED_BITS, CHIPS_A_BIT)
    known_turned        (8, TILE_PX, TILE_PX // 2 + 1), conjugate spectra of the known signs, turned
    pulse               (TILE_PX, TILE_PX // 2 + 1), spectrum of one chip's shape
    """

    known: Places
    known_signs: Plane
    coded: Places
    coded_signs: Plane
    known_turned: NDArray[np.complex64]
    pulse: Plane

    def pattern(self, pointer: str) -> Plane:
        """(TILE_PX, TILE_PX), mean 0, standard deviation 1."""
        chips = np.zeros(TILE_PX * TILE_PX)
        chips[self.known] = self.known_signs
        chips[self.coded] = self.coded_signs * encode(pointer)[:, None]
        spectrum = np.fft.rfft2(chips.reshape(TILE_PX, TILE_PX)) * self.pulse
        shaped = np.fft.irfft2(spectrum, s=(TILE_PX, TILE_PX))
        plane: Plane = shaped / shaped.std()
        return plane


@dataclass(frozen=True, kw_only=True)
class Match:
    """A tile that was read: what it says, its offset, and the codeword's correlation.

    score  in standard deviations of what a random key gives
    turn   0..7: quarter turns taken back, and from 4 then mirrored
    """

    pointer: str
    score: float
    top: int
    left: int
    turn: int


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Best correlation with the known chips at any offset, and the tiles read, best first."""

    known_score: float
    matches: tuple[Match, ...]


@cache
def tile(key: bytes) -> Tile:
    """The tile of a key; from SHAKE-256, so the same for every version of every library."""
    count = CHIPS * CHIPS
    stream = hashlib.shake_256(b"wenfang picture tile 1\0" + key).digest(9 * count)
    order = np.argsort(np.frombuffer(stream[: 8 * count], "<u8"), kind="stable")
    signs: Plane = 1.0 - 2.0 * (np.frombuffer(stream[8 * count :], np.uint8) & 1)
    chip = np.arange(count)
    places = (chip // CHIPS * TILE_PX + chip % CHIPS) * CHIP_PX
    carried = CODED_BITS * CHIPS_A_BIT
    coded, known = order[:carried].reshape(CODED_BITS, CHIPS_A_BIT), order[carried:]
    chart = np.zeros(TILE_PX * TILE_PX, np.float32)
    chart[places[known]] = signs[known]
    turned = [_turned_back(chart.reshape(TILE_PX, TILE_PX), turn) for turn in range(8)]
    return Tile(
        known=places[known],
        known_signs=signs[known],
        coded=places[coded],
        coded_signs=signs[coded],
        known_turned=np.fft.rfft2(np.stack(turned)).conj().astype(np.complex64),
        pulse=_pulse(),
    )


def offset(pointer: str) -> tuple[int, int]:
    """Where a pointer's tile begins (down, across), so that two marks seldom lie on each other."""
    place = int(pointer, 16) % (TILE_PX * TILE_PX)
    return divmod(place, TILE_PX)


def _pulse() -> Plane:
    """Difference of two Gaussians: nothing as coarse as a blotch, nothing as fine as a pixel."""
    down, across = np.fft.fftfreq(TILE_PX)[:, None], np.fft.rfftfreq(TILE_PX)[None]
    turns = 2 * np.pi**2 * (down**2 + across**2)
    pulse: Plane = np.exp(-turns * _NARROW_PX**2) - np.exp(-turns * _WIDE_PX**2)
    return pulse


def read(folded: Plane, tile: Tile, turns: int = 1) -> Reading:
    """The tiles in a picture that was folded to (TILE_PX, TILE_PX), at any offset.

    turns  1: as it stands; 8: also quarter turns and mirrored
    """
    near = _quick_scores(folded, tile, turns)
    found = []
    for turn in np.flatnonzero(near > _KNOWN_SCORE).tolist():
        field = _whitened(_turned(folded, turn), tile)
        found += [(*peak, turn, field) for peak in _peaks(_known_score(field, tile))]
    found.sort(key=lambda one: -one[0])
    matches = []
    for known_score, place, turn, field in found[:_DECODED]:
        if known_score < _KNOWN_SCORE:
            break
        top, left = divmod(place, TILE_PX)
        pointer, score = _decoded(np.roll(field, (-top, -left), (0, 1)).ravel(), tile)
        if pointer is not None:
            match = Match(pointer=pointer, score=score, top=top, left=left, turn=turn)
            matches.append(match)
    matches.sort(key=lambda match: -match.score)
    return Reading(known_score=float(near.max()), matches=tuple(matches))


def _turned(plane: Plane, turn: int) -> Plane:
    """Turned by `turn` % 4 quarters counter-clockwise, then for 4 and over mirrored."""
    view = np.rot90(plane, turn % 4)
    return view if turn < 4 else view[:, ::-1]


def _turned_back(plane: Plane, turn: int) -> Plane:
    return np.rot90(plane if turn < 4 else plane[:, ::-1], -(turn % 4))


def _quick_scores(folded: Plane, tile: Tile, turns: int) -> Plane:
    """(turns,) about the best correlation with the known chips: turning those is cheaper."""
    field = _whitened(folded, tile).astype(np.float32)
    scores = np.fft.irfft2(np.fft.rfft2(field) * tile.known_turned[:turns], s=field.shape)
    usual = float(field.std()) * math.sqrt(len(tile.known)) + 1e-30
    best: Plane = scores.max(axis=(1, 2)) / usual
    return best


def _peaks(score: Plane) -> list[tuple[float, int]]:
    """The highest scores and their flat places, no two of them of one peak."""
    score, peaks = score.copy(), []
    for _ in range(_DECODED):
        place = int(np.argmax(score))
        peaks.append((float(score.flat[place]), place))
        around = np.arange(-CHIP_PX, CHIP_PX + 1)
        rows, columns = place // TILE_PX + around, place % TILE_PX + around
        score[np.ix_(rows % TILE_PX, columns % TILE_PX)] = -np.inf
    return peaks


def _whitened(folded: Plane, tile: Tile) -> Plane:
    """Matched filter: the chip's pulse over the power of what else is at that fineness."""
    spectrum = np.fft.rfft2(folded)
    power = np.abs(spectrum) ** 2
    ring = _rings()
    mean = np.bincount(ring.ravel(), power.ravel()) / np.bincount(ring.ravel())
    floor = mean[ring] + 0.05 * mean.mean() + 1e-12
    field: Plane = np.fft.irfft2(spectrum * tile.pulse / floor, s=(TILE_PX, TILE_PX))
    return field


@cache
def _rings() -> Places:
    down, across = np.fft.fftfreq(TILE_PX)[:, None], np.fft.rfftfreq(TILE_PX)[None]
    rings: Places = np.round(np.hypot(down, across) * TILE_PX / 2).astype(np.int64)
    return rings


def _known_score(field: Plane, tile: Tile) -> Plane:
    """At each offset, the correlation with the known chips in standard deviations."""
    signs, ones = np.zeros((2, TILE_PX * TILE_PX))
    signs[tile.known], ones[tile.known] = tile.known_signs, 1
    maps = np.fft.rfft2(np.stack([signs, ones]).reshape(2, TILE_PX, TILE_PX))
    fields = np.fft.rfft2(np.stack([field, field**2]))
    total, power = np.fft.irfft2(fields * maps.conj(), s=(TILE_PX, TILE_PX))
    score: Plane = total / np.sqrt(np.maximum(power, 1e-30))
    return score


def _decoded(chips: Plane, tile: Tile) -> tuple[str | None, float]:
    """The pointer at one offset, and the whole codeword's correlation."""
    soft = (chips[tile.coded] * tile.coded_signs).sum(1)
    pointer = decode(soft)
    if pointer is None:
        return None, 0.0
    total = float(soft @ encode(pointer)) + float(chips[tile.known] @ tile.known_signs)
    used = np.concatenate([tile.known, tile.coded.ravel()])
    return pointer, total / (float(np.linalg.norm(chips[used])) + 1e-30)


def chance(score: float, hypotheses: int) -> float:
    """A bound on the chance of such a score in an unmarked picture.

    hypotheses  offsets, sizes and angles at which each of the 2**48 codewords was possible
    """
    bound = math.log(max(1, hypotheses)) + POINTER_BITS * math.log(2) - score * score / 2
    return math.exp(min(0.0, bound))
