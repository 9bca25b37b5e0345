"""What a maker of spoken words is worth: by a recogniser that never heard it, and by distances.

Each picture of levels that is drawn becomes a sound and is looked at anew, so that what is judged
was heard. Real recordings stand beside it: as they are, and through the same way to a sound.
A class is a word and, behind a space, who says it: "7 george".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wenfang.backends.painter import Painter, PaintOptions
from wenfang.backends.shelf import find_local
from wenfang.data.dataset import Dataset
from wenfang.data.drawings import drawing
from wenfang.data.pixels import Pixels
from wenfang.errors import BundleError
from wenfang.media.mel import MelScale, heard_frames, mel_decibels, mel_picture, sound_of
from wenfang.metrics.mel_cepstrum import mel_cepstra, mel_cepstral_distances_db
from wenfang.models.load import Loaded, load
from wenfang.models.picture_classifier import PictureClassifier
from wenfang.models.vae import VAE
from wenfang.recipes.painting_suite import seen, told_again

Array = NDArray[np.float64]
Levels = NDArray[np.uint8]

LISTENERS = {"fsdd": "spoken-digit-reader"}  # by the data set
MOST_MADE = 500
KNOWN_TAKES = 10  # of each class of the training part, among which the nearest is looked for


@dataclass(frozen=True, kw_only=True)
class Takes:
    """Levels (N, S, S), and the class of each; "" where none was asked for."""

    levels: Levels
    classes: tuple[str, ...]

    @property
    def words(self) -> list[str]:
        """What is said."""
        return [one.partition(" ")[0] for one in self.classes]

    @property
    def voices(self) -> list[str]:
        """Who says it."""
        return [one.partition(" ")[2] for one in self.classes]

    @property
    def pixels(self) -> Pixels:
        """As models read them."""
        values = self.levels[:, None]
        return Pixels(values=values, classes=np.zeros(len(values), np.int64))

    def heard(self, mel: MelScale) -> Takes:
        """Levels of the sounds that these become."""
        return replace(
            self, levels=np.stack([mel_picture(sound_of(one, mel), mel) for one in self.levels])
        )

    def outlines(self, mel: MelScale) -> list[Array]:
        """Mel-cepstra of what is heard of each."""
        return [_outline(one, mel) for one in self.levels]


@dataclass(frozen=True, kw_only=True)
class Listener:
    """A recogniser of words that learnt from recordings alone."""

    name: str
    model: PictureClassifier
    words: tuple[str, ...]

    @classmethod
    def of(cls, loaded: Loaded, words: Sequence[str]) -> Listener:
        """The bundle for these words; BundleError where it knows another number of them."""
        known = tuple(sorted(set(words)))
        model = loaded.model
        if not isinstance(model, PictureClassifier) or model.config.classes != len(known):
            raise BundleError(
                "{name} is no recogniser of the {count} words that are spoken; choose another",
                name=loaded.name,
                count=len(known),
            )
        name = f"{loaded.name}@{str(loaded.manifest['payload_sha256'])[:8]}"
        return cls(name=name, model=model, words=known)

    def said(self, takes: Takes) -> list[str]:
        """The word that each is heard as."""
        return [self.words[place] for place in seen(self.model, takes.pixels)[1]]

    def right_share(self, takes: Takes) -> float:
        """Takes that are heard as the word of their class."""
        pairs = zip(self.said(takes), takes.words, strict=True)
        return float(np.mean([said == word for said, word in pairs]))


def listener_of(dataset: str, words: Sequence[str]) -> Listener | None:
    """Who hears the words of a data set, if that recogniser is here."""
    named = find_local(LISTENERS.get(dataset, ""))
    return Listener.of(load(named), words) if named else None


def measure_heard(
    loaded: Loaded, dataset: Dataset, count: int, options: PaintOptions | None = None
) -> dict[str, Any]:
    """Every number of a maker of sounds; at most MOST_MADE are made."""
    painter = Painter(loaded)
    mel = painter.known.mel
    assert mel
    split = "test" if dataset.count("test") else "valid"
    real, known = recorded(dataset, split), recorded(dataset, "train", KNOWN_TAKES)
    drawn = spoken(painter, min(count, MOST_MADE), options or PaintOptions())
    made = drawn.heard(mel)
    anew = real.heard(mel)
    moved = mel_cepstral_distances_db(real.outlines(mel), anew.outlines(mel))
    numbers: dict[str, Any] = {
        "split": split,
        "made": len(made.levels),
        "real": len(real.levels),
        "real_as_sounds_anew_mel_cepstral_distance_db": float(moved.mean()),
    }
    listener = listener_of(str(dataset.manifest.name), known.words)
    if listener:
        numbers |= _recognised(listener, drawn, made, real, anew)
    if any(made.classes):
        numbers |= _distances(mel, made, real, known)
    if isinstance(loaded.model, VAE):
        numbers |= _told_again(loaded.model, real, mel, listener)
    return numbers


def recorded(dataset: Dataset, part: str, most: int = 0) -> Takes:
    """The takes of a part, or the first so many of each class."""
    levels, classes = [], []
    taken: Counter[str] = Counter()
    for record in dataset.records(part):
        label = str(record["label"])
        taken[label] += 1
        if not most or taken[label] <= most:
            levels.append(np.asarray(drawing(record).convert("L")))
            classes.append(label)
    return Takes(levels=np.stack(levels), classes=tuple(classes))


def spoken(painter: Painter, count: int, options: PaintOptions) -> Takes:
    """So many that are drawn: each word once by one voice, then by the next."""
    names = painter.known.classes
    turns = sorted(range(len(names)), key=lambda place: names[place].split(" ")[::-1])
    asked = [turns[number % len(turns)] if turns else None for number in range(count)]
    drawn = painter.paint(asked, [(number, "suite") for number in range(count)], options)
    classes = tuple("" if one is None else names[one] for one in asked)
    return Takes(levels=drawn[:, :, :, 0], classes=classes)


def _recognised(
    listener: Listener, drawn: Takes, made: Takes, real: Takes, anew: Takes
) -> dict[str, Any]:
    """How often what was asked for is heard, beside recordings, and how often each word."""
    numbers: dict[str, Any] = {
        "listener": listener.name,
        "real_told_rightly_share": listener.right_share(real),
        "real_as_sounds_anew_told_rightly_share": listener.right_share(anew),
    }
    said = np.array(listener.said(made))
    if any(made.classes):
        asked = np.array(made.words)
        numbers["told_rightly_share"] = listener.right_share(made)
        numbers["before_sound_told_rightly_share"] = listener.right_share(drawn)
        for word in listener.words:
            found = said[asked == word] == word
            numbers[f"{word}_told_rightly"] = f"{found.sum()} of {len(found)}"
    shares = [float((said == word).mean()) for word in listener.words]
    return numbers | {"least_word_share": min(shares), "largest_word_share": max(shares)}


def _told_again(
    model: VAE, real: Takes, mel: MelScale, listener: Listener | None
) -> dict[str, float]:
    """Recordings as their likeliest latents tell them: as pictures, and as sounds."""
    with torch.no_grad():
        told = model(real.pixels.tensor(slice(None), least=0.0)).clamp(0, 1)
    levels = told.mul(255).round().to(torch.uint8)[:, 0].numpy()
    again = replace(real, levels=levels).heard(mel)
    apart = mel_cepstral_distances_db(real.outlines(mel), again.outlines(mel))
    numbers = {
        **{f"told_again_{name}": value for name, value in told_again(model, real.pixels).items()},
        "told_again_mel_cepstral_distance_db": float(apart.mean()),
    }
    if listener:
        numbers["told_again_told_rightly_share"] = listener.right_share(again)
    return numbers


def _distances(mel: MelScale, made: Takes, real: Takes, known: Takes) -> dict[str, float]:
    """Mel-cepstral distance to the nearest training take of the same word in the same voice, how
    often the nearest of all that say the word is in that voice, and how far two of a class lie
    apart; of recordings, too.
    """
    outlines = known.outlines(mel)
    numbers: dict[str, float] = {}
    for what, takes in (("", made), ("real_", real)):
        owns = takes.outlines(mel)
        found = [
            _nearest(own, one, known, outlines)
            for own, one in zip(owns, takes.classes, strict=True)
        ]
        same = [least for least, _ in found if np.isfinite(least)]
        numbers[f"{what}mel_cepstral_distance_db"] = float(np.mean(same))
        numbers[f"{what}nearest_is_same_voice_share"] = float(np.mean([own for _, own in found]))
        if pairs := _of_one_class(takes.classes):
            ones, others = ([owns[pair[side]] for pair in pairs] for side in (0, 1))
            apart = mel_cepstral_distances_db(ones, others)
            numbers[f"{what}spread_within_a_class_db"] = float(apart.mean())
    return numbers


def _of_one_class(classes: Sequence[str]) -> list[tuple[int, int]]:
    """Places of each take and of the next one of its class."""
    before: dict[str, int] = {}
    pairs = []
    for place, one in enumerate(classes):
        if one in before:
            pairs.append((before[one], place))
        before[one] = place
    return pairs


def _nearest(own: Array, asked: str, known: Takes, outlines: Sequence[Array]) -> tuple[float, bool]:
    """The least distance within a class, and whether it is the least of all that say its word."""
    word = asked.partition(" ")[0]
    places = [place for place, one in enumerate(known.words) if one == word]
    apart = mel_cepstral_distances_db([own] * len(places), [outlines[place] for place in places])
    same = np.array([known.classes[place] == asked for place in places])
    least = float(apart[same].min(initial=np.inf))
    return least, bool(least <= apart.min())


def _outline(levels: Levels, mel: MelScale) -> Array:
    return mel_cepstra(mel_decibels(levels, mel)[heard_frames(levels, mel)])
