"""Sounds that are computed: `wenfang.load("effects").generate("rain").audio`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from wenfang import config
from wenfang.backends.texts import OnText
from wenfang.compose.effects import EffectOptions, find_effect, sound_of
from wenfang.engine.asset import Maker, made_manifest
from wenfang.engine.sounding import KEPT_AS, SoundAsset, sound_content


@dataclass(frozen=True, kw_only=True, eq=False)
class EffectSound(SoundAsset):
    """An effect."""

    effect: str

    role: ClassVar[str] = "effect"

    def record(self) -> dict[str, object]:
        """Which it is, and how long."""
        return {"effect": self.effect, "seconds": self.audio.duration_s}


class EffectModel(Maker):
    """All effects; the prompt names one, in English or Chinese."""

    name = "effects"

    def draw(
        self,
        prompt: str,
        seeds: tuple[int, ...],
        settings: Mapping[str, object],
        on_text: OnText | None = None,
    ) -> list[EffectSound]:
        """One sound for each seed; BriefError for a prompt that names none."""
        options = config.from_dict(EffectOptions, settings, where="settings")
        effect = find_effect(prompt)
        return [self._made(prompt, effect, options, seed) for seed in seeds]

    def _made(self, prompt: str, effect: str, options: EffectOptions, seed: int) -> EffectSound:
        sound = sound_of(effect, options, seed)
        told = {"seed": seed, "settings": config.to_dict(options), "effect": effect}
        return EffectSound(
            audio=sound,
            effect=effect,
            manifest=made_manifest(self.name, prompt, KEPT_AS, sound_content(sound), told),
        )
