"""Any OpenAI-compatible endpoint as a writer.

Answers are streamed, so that a silent endpoint is noticed. An answer that breaks off is thrown away
and asked for anew: no half of a text is ever given back as a whole. It is paid for all the same,
and counted. A key that comes back in an answer is not passed on.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

from wenfang.backends.endpoint.request import Schema, request_body, required_bytes
from wenfang.backends.endpoint.spending import estimated_tokens
from wenfang.backends.endpoint.stream import (
    ANSWER_BYTES_MAX,
    Answer,
    broken,
    events,
    printable,
    take,
)
from wenfang.backends.endpoint.transport import EndpointClient, Passing, Post, whole_answer
from wenfang.backends.writer import Ask, Draft, OnText
from wenfang.errors import CheckError, EndpointError
from wenfang.language import t
from wenfang.samplers.constraints import cut_at, require_stops

# What models put around JSON where their server does not hold them to a schema.
FENCE = re.compile(r"\A\s*```(?:json)?\s*\n(.*)\n```\s*\Z", re.DOTALL)


class OpenAiWriter(EndpointClient):
    """Drafts by one model of one endpoint.

    Made as every `EndpointClient` is.
    """

    price = "output_price"

    def facts(self) -> dict[str, object]:
        """What was spent, for manifests."""
        return self.ledger.facts()

    def write(self, ask: Ask, on_text: OnText = lambda text: None) -> list[Draft]:
        """`ask.count` drafts, one request each; on_text hears the first one as it comes.

        raises EndpointError where no answer is to be had, BudgetError before a cap is passed,
        BriefError for a prompt that cannot be sent, CheckError for an answer that does not meet
        the schema
        """
        require_stops(ask.stop)
        size = required_bytes(ask)
        schema = None if ask.schema is None else Schema(ask.schema)
        silent: OnText = lambda text: None  # noqa: E731
        drafts = []
        with self._transport.discreet():
            for number in range(ask.count):
                told = silent if number else on_text
                answer = self._asked(replace(ask, seed=ask.seed + number), told, size)
                drafts.append(self._checked(answer, ask, schema))
        return drafts

    def _asked(self, ask: Ask, on_text: OnText, size: int) -> Answer:
        def attempt(number: int, deadline: float) -> Answer:
            # What was shown cannot be taken back.
            told: OnText = (lambda text: None) if number else on_text
            self._run.require_room(size, ask.maximum_tokens)
            body = request_body(ask, self.endpoint.model, self.settings)
            post = Post(path="chat/completions", body=body, accept="text/event-stream")
            return self._transport.post(
                post, deadline, lambda kind, chunks: self._read(kind, chunks, size, told)
            )

        return self._transport.persist(attempt)

    def _read(self, kind: str, chunks: Iterator[bytes], size: int, on_text: OnText) -> Answer:
        answer, host = Answer(), self.endpoint.host
        if kind not in ("application/json", "text/event-stream"):
            raise broken(host, t("content of the type {kind}", kind=printable(kind, 60) or "-"))
        # An endpoint that does not stream sends all at once.
        whole = kind == "application/json"
        try:
            for event in [_whole(chunks, host)] if whole else events(chunks, host):
                if piece := take(answer, event, host):
                    on_text(piece)
        finally:
            self._count(answer, size)
        if not answer.finish:
            raise Passing(t("the answer broke off"))
        return answer

    def _count(self, answer: Answer, size: int) -> None:
        told = answer.usage
        reading, writing = told or (size // 2 + 1, estimated_tokens(answer.text))
        for ledger in {id(one): one for one in (self.ledger, self._run)}.values():
            ledger.spend(reading, writing, estimated=told is None)

    def _checked(self, answer: Answer, ask: Ask, schema: Schema | None) -> Draft:
        host = self.endpoint.host
        if answer.declined:
            raise EndpointError(
                "the model of {host} declines to answer; ask differently, or name another",
                host=host,
            )
        if answer.finish not in ("stop", "length"):
            raise EndpointError(
                "{host} ended its answer with {finish}; ask differently, or another endpoint",
                host=host,
                finish=printable(answer.finish, 40),
            )
        if self._transport.bare(answer.text) != answer.text:
            raise broken(host, t("the key back in its answer"))
        text, cut = cut_at(answer.text, ask.stop)
        finish: Literal["stop", "length"] = "stop" if cut or answer.finish == "stop" else "length"
        if schema:
            text = FENCE.sub(r"\1", text)
            self._require_met(schema, text, ask, finish)
        nats = math.fsum(answer.nats) if answer.nats else None
        read, tokens = answer.usage or (None, None)
        return Draft(
            text=text,
            tokens=tokens,
            log_probability_nats=nats,
            finish=finish,
            prompt_tokens=read,
        )

    def _require_met(self, schema: Schema, text: str, ask: Ask, finish: str) -> None:
        against = schema.against(text)
        if against and finish == "length":
            raise CheckError(
                "the answer of {host} was cut at {count} tokens before it met the schema; raise "
                "sampling.maximum_tokens, or ask for less",
                host=self.endpoint.host,
                count=ask.maximum_tokens,
            )
        if against:
            raise CheckError(
                "{host} sent {what}; ask again, or name another writer",
                host=self.endpoint.host,
                what=against,
            )


def _whole(chunks: Iterator[bytes], host: str) -> dict[str, Any]:
    data = whole_answer(chunks, host, ANSWER_BYTES_MAX)
    try:
        found = json.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise broken(host, t("an event that is not JSON"))
    return found
