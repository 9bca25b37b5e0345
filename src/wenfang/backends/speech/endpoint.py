"""Any OpenAI-compatible endpoint as a voice: `POST /audio/speech`, phrase by phrase.

What is sent is the model, the voice, the phrase and the speed; what comes back is held against its
own claims and against the phrase before it is anybody's. Transport, key, caps and settings are
those of the writers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wenfang.backends.endpoint.stream import broken, printable
from wenfang.backends.endpoint.transport import (
    EndpointClient,
    Passing,
    Post,
    told_error,
    whole_answer,
)
from wenfang.backends.speech.hearing import SOUND_BYTES_MAX, BrokeOff, sound_of
from wenfang.backends.speech.phrasing import Piece, pieces_of, spoken
from wenfang.backends.speech.speaker import SpeechOptions, Spoken
from wenfang.errors import ConfigError, EndpointError, MediaError
from wenfang.language import t
from wenfang.media.audio import Sound

VOICE_CHARACTERS_MAX = 200


class OpenAiSpeaker(EndpointClient):
    """The voices of one model of one endpoint.

    Made as every `EndpointClient` is.
    """

    price = "character_price"

    def facts(self) -> dict[str, object]:
        """What was spent, for manifests."""
        return self.ledger.reading_facts()

    def speak(self, text: str, options: SpeechOptions) -> Spoken:
        """The text, one request a phrase; the cap is held against the whole of it first.

        raises BriefError for nothing to read, ConfigError for a voice without a name, BudgetError
        before a cap is passed, EndpointError where no good sound is to be had
        """
        pieces = pieces_of(text, options)
        voice = self._voice(options)
        self._run.require_room_to_read(sum(len(piece.text) for piece in pieces))
        with self._transport.discreet():
            try:
                sounds = (self._asked(piece, voice, options.speed) for piece in pieces)
                return spoken(pieces, sounds, options, paced=self._paced)
            except MediaError as reason:
                raise unusable(self.endpoint.host, reason) from None

    @property
    def _paced(self) -> bool:
        return "speed" not in self.settings.left_out

    def _voice(self, options: SpeechOptions) -> str:
        voice = options.variant or str(getattr(self.settings.voices, options.voice))
        if not voice:
            raise ConfigError(
                "{name} has no voice for {voice}; name one with variant, or in {place}",
                name=self.name,
                voice=options.voice,
                place="endpoints.json: voices",
            )
        if not voice.isprintable() or len(voice) > VOICE_CHARACTERS_MAX:
            raise ConfigError("settings.variant is no name of a voice; correct it")
        return voice

    def _body(self, piece: Piece, voice: str, speed: float) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.endpoint.model,
            "voice": voice,
            "input": piece.text,
            "response_format": self.settings.speech_format,
            # Many servers know no other; nothing is said where nothing is asked.
            **({"speed": speed} if speed != 1.0 else {}),
        }
        return {name: value for name, value in body.items() if name not in self.settings.left_out}

    def _asked(self, piece: Piece, voice: str, speed: float) -> Sound:
        post = Post(path="audio/speech", body=self._body(piece, voice, speed), accept="audio/*")
        longest_s = piece.longest_s(speed if self._paced else 1.0)

        def attempt(number: int, deadline: float) -> Sound:
            self._run.require_room_to_read(len(piece.text))
            data = self._transport.post(
                post, deadline, lambda kind, chunks: self._read(kind, chunks, len(piece.text))
            )
            try:
                return sound_of(data, longest_s, raw=self.settings.speech_format == "pcm")
            except BrokeOff:
                raise Passing(t("the answer broke off")) from None

        return self._transport.persist(attempt)

    def _read(self, kind: str, chunks: Iterator[bytes], characters: int) -> bytes:
        for ledger in {id(one): one for one in (self.ledger, self._run)}.values():
            ledger.spend_reading(characters)
        host = self.endpoint.host
        if kind == "application/json" and (what := told_error(chunks)):
            raise EndpointError("{host} says: {what}", host=host, what=what)
        # Of a sound servers tell all kinds of types, or none; what it is, its bytes tell.
        if kind.startswith(("text/", "application/")) and kind != "application/octet-stream":
            raise broken(host, t("content of the type {kind}", kind=printable(kind, 60)))
        return whole_answer(chunks, host, SOUND_BYTES_MAX)


def unusable(name: str, reason: MediaError) -> EndpointError:
    """The one line that tells why a sound is not taken."""
    return EndpointError(
        "{host} sent a sound that cannot be used ({reason}); try again, or another voice",
        host=name,
        reason=str(reason),
    )
