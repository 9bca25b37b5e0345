"""Frames that are picked, changed or joined while they are gone through, and sound as long.

Nothing here holds more than a few frames. Whatever tells its length and can begin in the middle
(`__len__`, `since`) is asked to; other frames are gone through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from wenfang.errors import MediaError
from wenfang.media.audio import Samples, Sound
from wenfang.media.video import Caption, Film, Frame

LEAP = 250  # frames that are not wanted: with so many it pays to begin anew behind them


def count_of(film: Film) -> int:
    """How many frames there are, gone through where nothing tells; MediaError for none."""
    frames = film.frames
    count = len(frames) if isinstance(frames, Sized) else sum(1 for _ in frames)
    if not count:
        raise MediaError("a film without a frame cannot be edited; give it one")
    return count


def size_of(film: Film) -> tuple[int, int]:
    """Width and height in px; MediaError for a film without a frame."""
    first = next(iter(film.frames), None)
    if first is None:
        raise MediaError("a film without a frame cannot be edited; give it one")
    return first.shape[1], first.shape[0]


def duration_of(film: Film) -> float:
    """Length in seconds by its frames."""
    return float(count_of(film) / film.fps)


def since(frames: Iterable[Frame], first: int) -> Iterator[Frame]:
    """The frames from that one on."""
    begun: Callable[[int], Iterator[Frame]] | None = getattr(frames, "since", None)
    return begun(first) if begun else islice(iter(frames), first, None)


def following(frames: Iterator[Frame]) -> Frame:
    """The next frame, which was counted before; MediaError where it is gone."""
    frame = next(frames, None)
    if frame is None:
        raise MediaError("the frames of a film can be gone through only once; give a list of them")
    return frame


@dataclass(frozen=True, kw_only=True, eq=False)
class Picked:
    """Frames chosen by their numbers, some left out, some shown longer.

    picks  (N,) numbers in `frames`, in any order; cheap where they rise
    """

    frames: Iterable[Frame]
    picks: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.picks)

    def __iter__(self) -> Iterator[Frame]:
        return self.since(0)

    def since(self, first: int) -> Iterator[Frame]:
        """The frames from that one on."""
        leap = LEAP if hasattr(self.frames, "since") else 1 << 40
        source: Iterator[Frame] = iter(())
        frame, at = None, -1
        for pick in self.picks[first:].tolist():
            if frame is None or not at <= pick < at + leap:
                source, at = since(self.frames, pick), pick - 1
            while at < pick:
                frame, at = following(source), at + 1
            assert frame is not None
            yield frame


def picked(film: Film, picks: NDArray[np.int64]) -> Picked:
    """Frames of a film by their numbers; of what was picked before, picked once."""
    frames = film.frames
    if isinstance(frames, Picked):
        return Picked(frames=frames.frames, picks=frames.picks[picks])
    return Picked(frames=frames, picks=picks)


@dataclass(frozen=True, kw_only=True, eq=False)
class Changed:
    """Frames as `change` gives them back by (number, frame); it must not write into a frame."""

    frames: Iterable[Frame]
    count: int
    change: Callable[[int, Frame], Frame]

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Frame]:
        return self.since(0)

    def since(self, first: int) -> Iterator[Frame]:
        """The frames from that one on."""
        for number, frame in enumerate(since(self.frames, first), first):
            yield self.change(number, frame)


@dataclass(frozen=True, kw_only=True, eq=False)
class Chained:
    """Frames of one size after others, each part dissolving into the next.

    counts    of the parts
    dissolve  frames of which both are seen, fewer than half of any part
    """

    parts: Sequence[Iterable[Frame]]
    counts: Sequence[int]
    dissolve: int = 0

    def __len__(self) -> int:
        return sum(self.counts) - self.dissolve * (len(self.parts) - 1)

    def __iter__(self) -> Iterator[Frame]:
        return self.since(0)

    def since(self, first: int) -> Iterator[Frame]:
        """The frames from that one on."""
        begun, last = 0, len(self.parts) - 1
        before: Iterator[Frame] = iter(())  # the end of the part before, under this one
        for place, (part, count) in enumerate(zip(self.parts, self.counts, strict=True)):
            alone = count - (self.dissolve if place < last else 0)
            inside = max(0, first - begun)
            if inside < count:
                frames = since(part, inside)
                over = self.dissolve if place else 0
                for number in range(inside, alone):
                    frame = following(frames)
                    if number < over:
                        frame = mixed(following(before), frame, (number + 1) / (over + 1))
                    yield frame
                before = frames
            begun += alone


def mixed(one: Frame, other: Frame, share: float) -> Frame:
    """Two frames in one, `share` of the second."""
    from PIL import Image

    return np.asarray(Image.blend(Image.fromarray(one), Image.fromarray(other), share))


def samples_between(sound: Sound, first: int, after: int, fps: Fraction) -> Samples:
    """(N, C) of what is heard from one frame to before another, silence where nothing is."""
    rate_hz = sound.sample_rate_hz
    begun, ended = (round(number * rate_hz / fps) for number in (first, after))
    part = sound.samples[begun:ended]
    missing = ended - begun - len(part)
    return np.pad(part, ((0, missing), (0, 0))) if missing else part


def as_long(sound: Sound | None, count: int, fps: Fraction) -> Sound | None:
    """The sound, exactly as long as so many frames."""
    if sound is None:
        return None
    return replace(sound, samples=samples_between(sound, 0, count, fps))


def moved(
    captions: Iterable[Caption], place: Callable[[float], float], end_s: float
) -> tuple[Caption, ...]:
    """Captions at other times, `place` of their old ones; what is not within the film is gone."""
    found = []
    for one in captions:
        begun, ended = max(0.0, place(one.start_s)), min(end_s, place(one.end_s))
        if ended - begun > 1e-3:
            found.append(replace(one, start_s=begun, end_s=ended))
    return tuple(found)
