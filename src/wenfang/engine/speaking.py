"""A text read aloud: `wenfang.load("speech").generate("春江潮水连海平").audio`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from wenfang import config
from wenfang.backends.choosing import spent_by
from wenfang.backends.speech.choosing import open_speaker
from wenfang.backends.speech.espeak import Espeak
from wenfang.backends.speech.speaker import Speaker, SpeechOptions, Spoken, unread
from wenfang.backends.texts import OnText
from wenfang.compose.voice import polished
from wenfang.engine.asset import Maker, made_manifest
from wenfang.engine.sounding import KEPT_AS, SoundAsset, sound_content
from wenfang.store import Link, Manifest, to_record


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
            "words_estimated": self.spoken.estimated,
        }


class SpeechModel(Maker):
    """A voice: the one that `settings.engine` names, unless one is given."""

    name = "speech"

    def __init__(self, speaker: Speaker | None = None) -> None:
        self._speaker = speaker

    def draw(
        self,
        prompt: str,
        seeds: tuple[int, ...],
        settings: Mapping[str, object],
        on_text: OnText | None = None,
    ) -> list[Speech]:
        """The text, read; it is the same for each seed.

        raises BriefError for nothing to read, DependencyError for a voice that is not installed,
        and what the engine's opening and reading raise
        """
        options = config.from_dict(SpeechOptions, settings, where="settings")
        speaker = self._speaker or open_speaker(options.engine)
        spoken = speaker.speak(prompt, options)
        audio = polished(spoken.sound)
        content = sound_content(audio)
        told: dict[str, object] = {"settings": config.to_dict(options), "voice": speaker.name}
        if speaker.name == Espeak.name and (left_out := unread(prompt)):
            told["unread"] = left_out
        if spent := spent_by(speaker):
            told["spent"] = spent
        inputs = tuple(Link(role="voice", id=one.id) for one in speaker.made_from[-1:])

        def made(seed: int) -> Manifest:
            facts = {"seed": seed, **told}
            plain = made_manifest(self.name, prompt, KEPT_AS, content, facts)
            return replace(plain, inputs=inputs) if inputs else plain

        return [
            Speech(
                audio=audio,
                spoken=spoken,
                manifest=made(seed),
                made_from=tuple(map(to_record, speaker.made_from)),
            )
            for seed in seeds
        ]
