"""Shots joined to a film: pictures that move slowly, words that appear in time, one sound.

A shot is a stack of layers. Frames are drawn one by one while the film is gone through, two at a
time, and the same shots give the same pixels. Lengths are in px of the screen, times in seconds
after the shot's beginning.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Literal, Protocol

import numpy as np
from PIL import Image

from wenfang.errors import MediaError
from wenfang.media.audio import Sound
from wenfang.media.video import LIMIT_DURATION_S, Caption, Film, Frame

Shape = Literal["16:9", "9:16", "1:1"]
Colour = tuple[int, int, int]
Box = tuple[float, float, float, float]
Paint = Callable[[Image.Image | None], Image.Image]
Easing = Literal["even", "soft"]
FRAMES_AHEAD, THREADS = 4, 2


@dataclass(frozen=True, kw_only=True)
class Screen:
    """What a film is shown on: its size in px, both sides even, and frames a second."""

    width_px: int = 1280
    height_px: int = 720
    fps: int = 25

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in px."""
        return self.width_px, self.height_px

    @property
    def short_px(self) -> int:
        """The shorter side."""
        return min(self.size)


SCREENS: dict[Shape, Screen] = {
    "16:9": Screen(),
    "9:16": Screen(width_px=720, height_px=1280),
    "1:1": Screen(width_px=960, height_px=960),
}
DRAFT_FPS = 12


def draft(screen: Screen) -> Screen:
    """Half as wide and high, and half as many frames: drawn in an eighth of the time."""
    half = replace(screen, width_px=screen.width_px // 2, height_px=screen.height_px // 2)
    return replace(half, fps=DRAFT_FPS)


def eased(share: float) -> float:
    """0..1 to 0..1, slow at either end."""
    share = min(1.0, max(0.0, share))
    return share * share * (3 - 2 * share)


class Running(Protocol):
    """A layer while its shot runs."""

    def at(self, time_s: float) -> Paint | None:
        """How the layer is painted then; None while it shows nothing. Times only grow."""
        ...


class Layer(Protocol):
    """Something that is painted on a frame, over what lies under it."""

    def begin(self, screen: Screen) -> Running:
        """The layer at its shot's beginning, on a screen; a shot may be begun again."""
        ...


@dataclass(frozen=True, kw_only=True)
class View:
    """The part of a picture that is seen: its middle, 0..1 across and down, and how near it is.

    zoom  1 shows as much as fits the screen's shape, 2 half of that
    """

    x: float = 0.5
    y: float = 0.5
    zoom: float = 1.0

    def towards(self, other: View, share: float) -> View:
        """The view so far on the way to another; nearness changes by equal ratios."""
        return View(
            x=self.x + (other.x - self.x) * share,
            y=self.y + (other.y - self.y) * share,
            zoom=self.zoom * (other.zoom / self.zoom) ** share,
        )

    def box(self, picture: tuple[int, int], screen: tuple[int, int]) -> Box:
        """Left, top, right, bottom in the picture's px, of the screen's shape and inside it."""
        width = min(picture[0], picture[1] * screen[0] / screen[1]) / max(1.0, self.zoom)
        height = width * screen[1] / screen[0]
        left = min(max(0.0, self.x * picture[0] - width / 2), picture[0] - width)
        top = min(max(0.0, self.y * picture[1] - height / 2), picture[1] - height)
        return left, top, left + width, top + height


@dataclass(frozen=True, kw_only=True, eq=False)
class Still:
    """A picture that fills the screen while the view moves over it, in `duration_s`."""

    image: Image.Image
    begins: View = View()
    ends: View = View()
    duration_s: float = 1.0
    easing: Easing = "soft"

    def begin(self, screen: Screen) -> Running:
        """See `Layer`."""
        return _Moving(self, screen)


class _Moving:
    def __init__(self, still: Still, screen: Screen) -> None:
        self.still, self.screen = still, screen
        self.image = still.image.convert("RGB")

    def at(self, time_s: float) -> Paint:
        share = min(1.0, max(0.0, time_s / self.still.duration_s))
        share = eased(share) if self.still.easing == "soft" else share
        view = self.still.begins.towards(self.still.ends, share)
        box = view.box(self.image.size, self.screen.size)

        # Between 1 and 2 px of the picture for one of the screen Hamming's window is as sharp as
        # a cubic one, in half the time.
        smaller = box[2] - box[0] >= self.screen.width_px
        kernel = Image.Resampling.HAMMING if smaller else Image.Resampling.BICUBIC

        def paint(_: Image.Image | None) -> Image.Image:
            return self.image.resize(self.screen.size, kernel, box=box)

        return paint


@dataclass(frozen=True, kw_only=True, eq=False)
class Clip:
    """A film that fills the screen, cut to its shape; its last frame stays when it has ended.

    from_s  where in the film the shot begins
    """

    film: Film
    from_s: float = 0.0

    def begin(self, screen: Screen) -> Running:
        """See `Layer`."""
        return _Playing(self, screen)


class _Playing:
    def __init__(self, clip: Clip, screen: Screen) -> None:
        self.clip, self.screen = clip, screen
        self.frames = iter(clip.film.frames)
        self.count = 0
        self.frame: Frame | None = None

    def at(self, time_s: float) -> Paint:
        wanted = int((self.clip.from_s + time_s) * self.clip.film.fps + 1e-6) + 1
        while self.count < wanted:
            frame = next(self.frames, None)
            if frame is None:
                break
            self.frame, self.count = frame, self.count + 1
        if self.frame is None:
            raise MediaError("a film without a frame cannot be shown; give it one")
        shown = self.frame

        def paint(_: Image.Image | None) -> Image.Image:
            image = Image.fromarray(shown)
            box = View().box(image.size, self.screen.size)
            return image.resize(self.screen.size, Image.Resampling.BICUBIC, box=box)

        return paint


@dataclass(frozen=True, kw_only=True, eq=False)
class Inset:
    """A layer of its own in a box of the screen: a picture in the picture.

    box       left, top, width, height in px, even sides
    fade_s    how long it takes to come and to go
    """

    layer: Layer
    box: tuple[int, int, int, int]
    start_s: float = 0.0
    end_s: float = LIMIT_DURATION_S
    fade_s: float = 0.4

    def begin(self, screen: Screen) -> Running:
        """See `Layer`."""
        _, _, width, height = self.box
        inner = self.layer.begin(replace(screen, width_px=width, height_px=height))
        return _Within(self, inner)


class _Within:
    def __init__(self, inset: Inset, inner: Running) -> None:
        self.inset, self.inner = inset, inner

    def at(self, time_s: float) -> Paint | None:
        inset = self.inset
        strength = _presence(time_s, inset.start_s, inset.end_s, inset.fade_s)
        drawn = self.inner.at(max(0.0, time_s - inset.start_s)) if strength > 0 else None
        if drawn is None:
            return None

        def paint(canvas: Image.Image | None) -> Image.Image:
            under = required(canvas)
            left, top, width, height = inset.box
            picture = drawn(under.crop((left, top, left + width, top + height)))
            cover = Image.new("L", (width, height), round(255 * strength))
            under.paste(picture, (left, top), cover)
            return under

        return paint


Reveal = Literal["fade", "down", "right", "left"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Ink:
    """Words, or any drawing in one colour, that appear and may go again.

    cover    mode "L": where there is ink
    at       left and top in px
    reveal   faded in, or uncovered downwards, to the right or to the left
    progress (time in s, share of it that is uncovered), in order; for words read aloud the times
             of their syllables. Without it the ink comes within `fade_s`
    soft_px  width of the edge of what is being uncovered
    """

    cover: Image.Image
    at: tuple[int, int]
    colour: Colour
    start_s: float = 0.0
    end_s: float = LIMIT_DURATION_S
    fade_s: float = 0.6
    leave_s: float = 0.5
    reveal: Reveal = "fade"
    progress: tuple[tuple[float, float], ...] = ()
    soft_px: int = 48

    def begin(self, screen: Screen) -> Running:
        """See `Layer`."""
        return _Appearing(self)


class _Appearing:
    def __init__(self, ink: Ink) -> None:
        self.ink = ink
        self.levels = np.asarray(ink.cover, np.float32)
        along = self.levels.shape[0 if ink.reveal == "down" else 1]
        places = np.arange(along, dtype=np.float32)
        self.places = places[::-1] if ink.reveal == "left" else places

    def at(self, time_s: float) -> Paint | None:
        ink = self.ink
        if time_s < ink.start_s or time_s >= ink.end_s + ink.leave_s:
            return None
        leaving = 1 - eased((time_s - ink.end_s) / max(ink.leave_s, 1e-6))
        share = self._share(time_s)
        if share <= 0 or leaving <= 0:
            return None
        if share >= 1 and leaving >= 1:
            return self._pasted(ink.cover)
        if ink.reveal == "fade":
            levels = self.levels * (share * leaving)
        else:
            edge = share * (len(self.places) + ink.soft_px)
            shown = np.clip((edge - self.places) / ink.soft_px, 0, 1) * leaving
            levels = self.levels * (shown[:, None] if ink.reveal == "down" else shown[None])
        return self._pasted(Image.fromarray(np.rint(levels).astype(np.uint8)))

    def _share(self, time_s: float) -> float:
        if self.ink.progress:
            times, shares = zip(*self.ink.progress, strict=True)
            return float(np.interp(time_s, times, shares))
        return eased((time_s - self.ink.start_s) / max(self.ink.fade_s, 1e-6))

    def _pasted(self, cover: Image.Image) -> Paint:
        def paint(canvas: Image.Image | None) -> Image.Image:
            under = required(canvas)
            left, top = self.ink.at
            box = (left, top, left + cover.width, top + cover.height)
            under.paste(self.ink.colour, box, cover)
            return under

        return paint


@dataclass(frozen=True, kw_only=True, eq=False)
class Sticker:
    """A picture with transparent parts that stands on the screen from `start_s` to `end_s`."""

    image: Image.Image
    at: tuple[int, int]
    start_s: float = 0.0
    end_s: float = LIMIT_DURATION_S
    fade_s: float = 0.6

    def begin(self, screen: Screen) -> Running:
        """See `Layer`."""
        return _Standing(self)


class _Standing:
    def __init__(self, sticker: Sticker) -> None:
        self.sticker = sticker
        self.image = sticker.image.convert("RGBA")
        self.alpha = np.asarray(self.image.getchannel("A"), np.float32)

    def at(self, time_s: float) -> Paint | None:
        one = self.sticker
        strength = _presence(time_s, one.start_s, one.end_s, one.fade_s)
        if strength <= 0:
            return None
        cover = Image.fromarray(np.rint(self.alpha * strength).astype(np.uint8))

        def paint(canvas: Image.Image | None) -> Image.Image:
            under = required(canvas)
            under.paste(self.image, one.at, cover)
            return under

        return paint


def _presence(time_s: float, start_s: float, end_s: float, fade_s: float) -> float:
    """0..1, faded in after the start and out before the end."""
    if not start_s <= time_s < end_s:
        return 0.0
    if fade_s <= 0:
        return 1.0
    return min(eased((time_s - start_s) / fade_s), eased((end_s - time_s) / fade_s))


def required(canvas: Image.Image | None) -> Image.Image:
    """The canvas; MediaError where no layer has filled the screen yet."""
    if canvas is None:
        raise MediaError("a shot begins with a layer that fills the screen; put one first")
    return canvas


@dataclass(frozen=True, kw_only=True, eq=False)
class Shot:
    """Layers, the first of which fills the screen.

    duration_s  with the time in which it dissolves into the next
    dissolve_s  how long both are seen; 0 is a hard cut, and nothing follows the last shot
    """

    layers: tuple[Layer, ...]
    duration_s: float
    dissolve_s: float = 0.0


def shot_starts(shots: Sequence[Shot]) -> list[float]:
    """When each shot begins in the film, and last when the film ends, in seconds."""
    starts = [0.0]
    for number, shot in enumerate(shots):
        over = shot.dissolve_s if number < len(shots) - 1 else 0.0
        starts.append(starts[-1] + shot.duration_s - over)
    return starts


def filmed(
    shots: Sequence[Shot],
    screen: Screen,
    sound: Sound | None = None,
    captions: tuple[Caption, ...] = (),
) -> Film:
    """The shots as one film, dissolving into each other; its sound is as long as its frames.

    raises MediaError for no shots, too long a film, or dissolves longer than their shots
    """
    starts = shot_starts(shots)
    if not shots or not 0 < starts[-1] <= LIMIT_DURATION_S:
        raise MediaError(
            "a film of {seconds} s cannot be made; it lasts up to {limit} s",
            seconds=round(starts[-1], 2),
            limit=LIMIT_DURATION_S,
        )
    # Only two shots are ever seen at once.
    for shot, (begun, ended), after in zip(
        shots, pairwise(starts), [*starts[2:], starts[-1]], strict=True
    ):
        if ended <= begun or begun + shot.duration_s > max(after, ended) + 1e-9:
            raise MediaError("a shot dissolves longer than it lasts; give it more time")
    count = max(1, round(starts[-1] * screen.fps))
    return Film(
        frames=_Frames(tuple(shots), tuple(starts), screen, count),
        fps=Fraction(screen.fps),
        sound=None if sound is None else _as_long(sound, Fraction(count, screen.fps)),
        captions=captions,
    )


def _as_long(sound: Sound, seconds: Fraction) -> Sound:
    frames = round(seconds * sound.sample_rate_hz)
    samples = sound.samples[:frames]
    if len(samples) < frames:
        samples = np.pad(samples, ((0, frames - len(samples)), (0, 0)))
    return replace(sound, samples=samples)


class _Frames:
    """The frames of some shots, drawn while they are gone through."""

    def __init__(
        self, shots: tuple[Shot, ...], starts: tuple[float, ...], screen: Screen, count: int
    ) -> None:
        self.shots, self.starts, self.screen, self.count = shots, starts, screen, count

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Frame]:
        waiting: deque[Future[Frame]] = deque()
        with ThreadPoolExecutor(THREADS) as pool:
            for draw in self._drawings():
                waiting.append(pool.submit(draw))
                if len(waiting) > FRAMES_AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _drawings(self) -> Iterator[Callable[[], Frame]]:
        """How each frame is drawn; what a frame depends on is settled in their order."""
        running: dict[int, list[Running]] = {}
        for number in range(self.count):
            time_s = number / self.screen.fps
            seen = []
            for place, shot in enumerate(self.shots):
                inside = time_s - self.starts[place]
                if inside < -1e-9 or inside >= shot.duration_s - 1e-9:
                    running.pop(place, None)
                    continue
                if place not in running:
                    running[place] = [layer.begin(self.screen) for layer in shot.layers]
                paints = [one.at(inside) for one in running[place]]
                seen.append(([one for one in paints if one], self._strength(place, inside)))
            yield _Drawing(seen)

    def _strength(self, place: int, inside: float) -> float:
        """How far a shot covers the one before it."""
        over = self.shots[place - 1].dissolve_s if place else 0.0
        return eased(inside / over) if over > 0 else 1.0


class _Drawing:
    """One frame to be drawn: the shots that are seen, and how strongly the later ones are."""

    def __init__(self, seen: list[tuple[list[Paint], float]]) -> None:
        self.seen = seen

    def __call__(self) -> Frame:
        whole: Image.Image | None = None
        for paints, strength in self.seen:
            canvas: Image.Image | None = None
            for paint in paints:
                canvas = paint(canvas)
            shown = required(canvas)
            whole = shown if whole is None else Image.blend(whole, shown, strength)
        return np.asarray(required(whole))
