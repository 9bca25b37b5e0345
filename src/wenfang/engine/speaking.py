"""A text read aloud: `wenfang.load("speech").generate("春江潮水连海平").audio`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from wenfang import config
from wenfang.backends.speech.espeak import Espeak
from wenfang.backends.speech.speaker import Speaker, SpeechOptions, Spoken
from wenfang.backends.texts import OnText
from wenfang.compose.voice import polished
from wenfang.engine.asset import Maker, made_manifest
from wenfang.engine.sounding import KEPT_AS, SoundAsset, sound_content


@dataclass(frozen=True, kw_only=True, eq=False)
class Speech(SoundAsset):
    """A reading, stereo, at -14 LUFS.

    spoken  the voice's own sound, and when each phrase, word and phoneme is heard
    """

    spoken: Spoken

    role: ClassVar[str] = "speech"

    def record(self) -> dict[str, object]:
        """How long it is, and when each phrase and word is heard."""
        return {
            "seconds": self.audio.duration_s,
            "phrases": [config.to_dict(one) for one in self.spoken.phrases],
            "words": [config.to_dict(one) for one in self.spoken.words],
        }


class SpeechModel(Maker):
    """A voice of this machine."""

    name = "speech"

    def __init__(self, speaker: Speaker | None = None) -> None:
        self._speaker = speaker or Espeak()

    def draw(
        self,
        prompt: str,
        seeds: tuple[int, ...],
        settings: Mapping[str, object],
        on_text: OnText | None = None,
    ) -> list[Speech]:
        """The text, read; it is the same for each seed.

        raises BriefError for nothing to read, DependencyError for a voice that is not installed
        """
        options = config.from_dict(SpeechOptions, settings, where="settings")
        spoken = self._speaker.speak(prompt, options)
        audio = polished(spoken.sound)
        content = sound_content(audio)
        told = {"settings": config.to_dict(options), "voice": self._speaker.name}
        return [
            Speech(
                audio=audio,
                spoken=spoken,
                manifest=made_manifest(self.name, prompt, KEPT_AS, content, {"seed": seed, **told}),
            )
            for seed in seeds
        ]
