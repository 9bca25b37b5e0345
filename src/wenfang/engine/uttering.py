"""Words from a model that draws log-mels: `wenfang.load(run).generate("7 george").audio`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from wenfang import config
from wenfang.backends.painter import Painter, PaintOptions
from wenfang.backends.texts import OnText
from wenfang.device import noise
from wenfang.engine.asset import BundleMaker, drawn_manifest
from wenfang.engine.sounding import KEPT_AS, SOUND_TYPES, SoundAsset, sound_content
from wenfang.errors import BriefError, ConfigError
from wenfang.media.audio import Sound
from wenfang.media.mel import Levels, heard_frames, mel_picture, sound_of
from wenfang.models.load import Loaded
from wenfang.recipes.sound_suite import Listener, Takes, listener_of
from wenfang.seal import Payload

PNG = "image/png"
DIGITS: Mapping[str, str] = {
    word: str(number)
    for names in (
        "zero one two three four five six seven eight nine",
        "零 一 二 三 四 五 六 七 八 九",
    )
    for number, word in enumerate(names.split())
}
MOST_ROUNDS = 1000
SIDE_PX = 384  # of the picture of a sound's levels, about
FADE_S = 0.01


@dataclass(frozen=True, kw_only=True)
class UtterOptions:
    """Settings of `generate` for a model that draws log-mels.

    rounds  in which phases are looked for that go with the levels (Griffin & Lim)
    """

    paint: PaintOptions = PaintOptions()
    rounds: int = 60

    def __post_init__(self) -> None:
        """Refuse rounds that are none, or would take minutes."""
        if not 1 <= self.rounds <= MOST_ROUNDS:
            raise ConfigError(
                "settings.{name} is {value}; it must be {low} to {high}",
                name="rounds",
                value=self.rounds,
                low=1,
                high=MOST_ROUNDS,
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Uttered(SoundAsset):
    """What a model says, and the levels that it was drawn as.

    levels  (S, S) uint8, the highest band first
    said    the class that was drawn: "7 george"; "" where the model knows none
    """

    levels: Levels
    said: str

    role: ClassVar[str] = "utterance"
    media_types: ClassVar[Mapping[str, str]] = {**SOUND_TYPES, ".png": PNG}

    def payload(self, media_type: str) -> Payload:
        """Its sound, or a picture of its levels."""
        if media_type != PNG:
            return super().payload(media_type)
        times = -(-SIDE_PX // len(self.levels))
        large = self.levels.repeat(times, axis=0).repeat(times, axis=1)
        return Payload(media_type=PNG, data=Image.fromarray(large).convert("RGB"))

    def record(self) -> dict[str, object]:
        """How long it is, what was drawn, and what is heard of it."""
        told: dict[str, object] = {"seconds": self.audio.duration_s, "said": self.said}
        heard: Any = self.manifest.facts.get("heard")
        return {**told, "heard": heard["word"]} if heard else told


class UtteringModel(BundleMaker):
    """A loaded bundle whose pictures are levels of sounds."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded, self.name = loaded, loaded.name
        self._painter = Painter(loaded)
        assert loaded.painting
        assert loaded.painting.mel
        self._mel = loaded.painting.mel

    def draw(
        self,
        prompt: str,
        seeds: tuple[int, ...],
        settings: Mapping[str, object],
        on_text: OnText | None = None,
    ) -> list[Uttered]:
        """`generate_many` with settings from outside: ConfigError for one that is none.

        raises BriefError for a prompt that names no word or voice of the model
        """
        options = config.from_dict(UtterOptions, settings, where="settings")
        # One after another: among others a level may differ by one, and phases follow all of them.
        return [self._uttered(prompt, seed, options) for seed in seeds]

    def _uttered(self, prompt: str, seed: int, options: UtterOptions) -> Uttered:
        said = self._class_of(prompt, seed)
        asked = self._painter.asked(said)
        drawn = self._painter.paint([asked], [(seed, "generate")], options.paint)
        levels = drawn[0, :, :, 0]
        audio = self._ended(sound_of(levels, self._mel, options.rounds), levels)
        facts: dict[str, object] = {
            "seed": seed,
            "settings": config.to_dict(options),
            "said": said,
        }
        if self._listener:
            take = Takes(levels=mel_picture(audio, self._mel)[None], classes=(said,))
            facts["heard"] = {"word": self._listener.said(take)[0], "by": self._listener.name}
        content = sound_content(audio)
        return Uttered(
            audio=audio,
            levels=levels,
            said=said,
            manifest=drawn_manifest(self.loaded, prompt, KEPT_AS, content, facts),
            made_from=(*self.loaded.ancestors, self.loaded.manifest),
        )

    @cached_property
    def _listener(self) -> Listener | None:
        """A recogniser of the words that this model says, which learnt from recordings alone."""
        links = {link["id"]: link["role"] for link in self.loaded.manifest["inputs"]}
        names = [one["name"] for one in self.loaded.ancestors if links.get(one["id"]) == "dataset"]
        words = [one.partition(" ")[0] for one in self._painter.known.classes]
        return listener_of(names[0], words) if names and words else None

    def _ended(self, sound: Sound, levels: Levels) -> Sound:
        """Up to the last frame that is heard, which dies away softly."""
        count = heard_frames(levels, self._mel).stop * self._mel.hop
        samples = sound.samples[:count].copy()
        fade = min(count, round(FADE_S * sound.sample_rate_hz))
        samples[count - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)[:, None]
        return replace(sound, samples=samples)

    def _class_of(self, prompt: str, seed: int) -> str:
        """The class that a prompt names; where it leaves something open, the seed chooses."""
        known = self._painter.known.classes
        if not known:
            return prompt  # of which the painter says what it thinks
        words = prompt.split()
        words[:1] = [DIGITS.get(word.casefold(), word) for word in words[:1]]
        fitting = [one for one in known if one.split(" ")[: len(words)] == words]
        if not fitting:
            raise BriefError(
                "{model} does not say {prompt}; it says {words}, alone or followed by one of "
                "{voices}",
                model=self.name,
                prompt=prompt,
                words=_listed([one.partition(" ")[0] for one in known]),
                voices=_listed([one.partition(" ")[2] for one in known]),
            )
        return fitting[int(noise(seed, "voice").integers(len(fitting)))]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(sorted({*names} - {""})) or "-"
