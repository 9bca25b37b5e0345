"""What a server asks about words: talks with plugged models, vectors of texts, what checks say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from queue import SimpleQueue
from typing import Any

from wenfang.backends.choosing import is_remote, open_writer
from wenfang.backends.writer import Ask, Draft, OnText, Turn, Writer
from wenfang.checks import Check, Material
from wenfang.checks.judging import Judge
from wenfang.device import DRAWING_THREADS, set_threads
from wenfang.engine.embedding import ENCODER, load_embedder
from wenfang.engine.verb import Stopped, Verb, require_wanted
from wenfang.errors import EndpointError, NotFoundError
from wenfang.samplers.constraints import Watch

ASKED_CHECKS = ("words", "offence", "personal")  # those that need nothing but the text

_embedder = lru_cache(maxsize=4)(load_embedder)


@lru_cache(maxsize=4)
def _writer(name: str) -> Writer:
    set_threads(DRAWING_THREADS)
    found = open_writer(name)
    if found is None:
        raise NotFoundError(
            "{name} is no chat model; plug hub:FOLDER or openai:URL#MODEL", name=name
        )
    return found


def _talk(content: Mapping[str, Any], stopped: Stopped) -> Iterator[Any]:
    """Drafts that go on from a talk: with `stream` in pieces, then all of them whole.

    turns   role and content of each
    schema  JSON text of what each draft must meet, or None
    raises EndpointError where an endpoint began one answer and gave another
    """
    ask = _ask(content)
    writer = _writer(str(content["model"]))
    remote = is_remote(writer.name)
    # What stands around JSON is taken away when it is whole; only then it is told.
    live = bool(content["stream"]) and not (remote and ask.schema)
    told = ""
    drafts: list[Draft] = []
    for one in _heard(writer, ask, stopped):
        if not isinstance(one, str):
            drafts = one
        elif live:
            told += one
            yield {"index": 0, "piece": one}
    if not drafts[0].text.startswith(told):
        raise EndpointError(
            "{name} broke off after a part of its answer was passed on; ask again", name=writer.name
        )
    rest = [drafts[0].text[len(told) :], *(one.text for one in drafts[1:])]
    if content["stream"]:
        yield from ({"index": index, "piece": text} for index, text in enumerate(rest) if text)
    yield {
        "written": [
            {
                "text": one.text,
                "tokens": one.tokens,
                "prompt_tokens": one.prompt_tokens,
                "finish": one.finish,
                "manifest": writer.made_from[-1].id,
            }
            for one in drafts
        ]
    }


def _ask(content: Mapping[str, Any]) -> Ask:
    given = {name: content[name] for name in ("temperature", "top_p") if content[name] is not None}
    schema = json.loads(content["schema"]) if content["schema"] else None
    ask = Ask(
        prompt="",
        talk=tuple(Turn(**turn) for turn in content["turns"]),
        count=int(content["count"]),
        seed=int(content["seed"]),
        maximum_tokens=int(content["maximum_tokens"]),
        stop=tuple(content["stop"]),
        schema=schema,
    )
    return replace(ask, **given)


def _heard(writer: Writer, ask: Ask, stopped: Stopped) -> Iterator[str | list[Draft]]:
    """The first draft's text as it comes, and at last every draft; StoppedError where stopped."""
    told: SimpleQueue[str | None] = SimpleQueue()

    def hear(text: str) -> None:
        require_wanted(stopped)
        if text:
            told.put(text)

    with ThreadPoolExecutor(1, "writer") as pool:
        work = pool.submit(writer.write, ask, _until_stop(ask, hear, is_remote(writer.name)))
        work.add_done_callback(lambda _: told.put(None))
        while (piece := told.get()) is not None:
            yield piece
        yield work.result()


def _until_stop(ask: Ask, hear: OnText, remote: bool) -> OnText:
    """`hear`, told nothing from a stop text on: endpoints may not know them."""
    if not (remote and ask.stop):
        return hear
    pieces: list[str] = []
    watch = Watch(lambda numbers: "".join(pieces[n] for n in numbers), ask.stop, hear)
    ended = False

    def take(text: str) -> None:
        nonlocal ended
        hear("")  # it is asked whether to go on, even where nothing is sure
        pieces.append(text)
        ended = ended or watch(0, range(len(pieces)))

    return take


def _embed(content: Mapping[str, Any], stopped: Stopped) -> Iterator[Any]:
    """Numbers in a vector; then for each of `texts` its vector, tokens, and pieces it was read in.

    model  a name, with adapters or without; the encoder that ships unless one is given
    """
    embedder = _embedder(str(content.get("model") or ENCODER))
    yield {"width": embedder.width}
    require_wanted(stopped)
    found = embedder.embed(content["texts"])
    yield {
        "width": embedder.width,
        "vectors": found.vectors.tolist(),
        "tokens": found.tokens.tolist(),
        "windows": found.windows.tolist(),
    }


def _moderate(content: Mapping[str, Any], stopped: Stopped) -> Iterator[Any]:
    """What each check that reads nothing but the text says of `text`."""
    report = Judge().ask(Material(text=str(content["text"])), ASKED_CHECKS)
    yield [_told(one) for one in report.checks]


def _told(check: Check) -> dict[str, Any]:
    return {
        "name": check.name,
        "version": check.version,
        "value": check.value,
        "threshold": check.threshold,
        "verdict": check.verdict,
        "evidence": [str(one) for one in check.evidence],
    }


VERBS: Mapping[str, Verb] = {
    "embed": Verb(run=_embed, line="quick"),
    "moderate": Verb(run=_moderate, line="quick"),
    "talk": Verb(run=_talk, line="slow"),
}
