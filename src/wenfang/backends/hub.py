"""Models on this machine as writers: bundles that continue or answer, and Hugging Face folders.

`hub:FOLDER` reads a folder as `wenfang import` does, and keeps what it made of it in the home, so
that the next time is quicker and the lineage names its files. Nothing is fetched.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import torch

from wenfang.atomic import sha256_bytes
from wenfang.backends.chat import Chat, read_chat
from wenfang.backends.pairwriter import PairWriter
from wenfang.backends.scribe import SlidingPredict
from wenfang.backends.texts import Drawer, Shape, Written, require_prompt, within
from wenfang.backends.writer import Ask, Draft, OnText
from wenfang.data.layouts import PairLayout
from wenfang.device import noise
from wenfang.errors import BriefError, BundleError, NotFoundError
from wenfang.interop.folder import read_object_if_there
from wenfang.interop.huggingface import read_folder
from wenfang.interop.importing import write_imported
from wenfang.models import CausalModel
from wenfang.models.load import Loaded, load
from wenfang.samplers.constraints import Constraints
from wenfang.samplers.tokens import Sampling
from wenfang.store import Manifest, home
from wenfang.store.manifest import from_record
from wenfang.tokenizer import BEGIN

PREFIX = "hub:"
CAUSAL = ("stream", "completion")


class LocalWriter:
    """Drafts by a loaded bundle that continues text, or answers a prompt.

    chat  how an instruction-tuned model is asked; None: the prompt as it is
    ends  tokens that end an answer, beside the tokenizer's own

    raises BundleError for a bundle of another kind
    """

    def __init__(
        self,
        loaded: Loaded,
        name: str,
        chat: Chat | None = None,
        ends: frozenset[int] = frozenset(),
    ) -> None:
        self.loaded, self.name, self.chat, self.ends = loaded, name, chat, ends
        records = [*loaded.ancestors, loaded.manifest]
        self.made_from: tuple[Manifest, ...] = tuple(
            from_record(record, where=str(loaded.folder), error=BundleError) for record in records
        )
        self._pairs: PairWriter | None = None
        causal = isinstance(loaded.model, CausalModel) and loaded.layout in CAUSAL
        if not causal or loaded.tokenizer is None:
            self._pairs = PairWriter(loaded, ("pairs",))
        assert loaded.tokenizer is not None
        self.tokenizer = loaded.tokenizer

    def write(self, ask: Ask, on_text: OnText = lambda text: None) -> list[Draft]:
        """`ask.count` drafts; on_text hears the first one as it comes.

        raises BriefError for a prompt that does not fit, ConfigError for a schema that cannot be
               met, CheckError where a draft did not come to meet it
        """
        require_prompt("".join(turn.content for turn in ask.turns))
        shape = Shape(
            sampling=Sampling(
                temperature=ask.temperature, top_p=ask.top_p, maximum_tokens=ask.maximum_tokens
            ),
            constraints=Constraints(schema=json.dumps(ask.schema) if ask.schema else ""),
            stop=ask.stop,
            on_text=on_text,
            ends=self.ends,
        )
        streams = [(ask.seed + number, "write") for number in range(ask.count)]
        ids = self._prompt(ask)
        draw = self._pairs.draw if self._pairs else self._continue
        return [_draft(one, len(ids)) for one in draw(ids, shape, streams)]

    def _continue(
        self, ids: Sequence[int], shape: Shape, streams: Sequence[tuple[int | str, ...]]
    ) -> list[Written]:
        model = self.loaded.model
        assert isinstance(model, CausalModel)
        context = model.config.context
        if len(ids) >= context:
            raise BriefError(
                "the prompt has {count} tokens; {model} reads at most {most}; shorten it",
                count=len(ids),
                model=self.name,
                most=context - 1,
            )
        return Drawer(self.tokenizer, within(shape, context - len(ids))).draw(
            SlidingPredict(model),
            torch.tensor([ids]).expand(len(streams), -1),
            [noise(int(first), *rest) for first, *rest in streams],
        )

    def _prompt(self, ask: Ask) -> list[int]:
        if self.chat and not self._pairs:
            return self.chat.tell(ask.turns)
        told = [turn.content for turn in ask.turns]
        if [turn.role for turn in ask.turns] not in (["user"], ["system", "user"]):
            raise BriefError(
                "{model} knows no talks, as it has no chat template; ask it one question",
                model=self.name,
            )
        if self._pairs:
            return list(PairLayout().source("\n".join(told), self.tokenizer))
        begin = [self.tokenizer.id(BEGIN)] if BEGIN in self.tokenizer.roles else []
        ids = self.tokenizer.encode("\n\n".join(told))
        if not ids:
            raise BriefError("the prompt is empty; write a few words to continue")
        return [*begin, *ids]


def _draft(written: Written, read: int) -> Draft:
    return Draft(
        text=written.text,
        tokens=len(written.log_probabilities),
        log_probability_nats=math.fsum(written.log_probabilities),
        finish=written.finish,
        prompt_tokens=read,
    )


def open_folder_writer(name: str) -> LocalWriter:
    """`hub:FOLDER` as a writer.

    raises NotFoundError where there is no such folder, BundleError for one that cannot be read
    """
    folder = Path(name.removeprefix(PREFIX)).expanduser()
    if not folder.is_dir():
        raise NotFoundError("there is no folder {path}; check the name", path=folder)
    place = home() / "hub" / _key(folder)
    if not place.is_dir():
        write_imported(read_folder(folder), place, name=folder.resolve().name)
    loaded = load(place)
    chat = read_chat(folder, loaded.tokenizer) if loaded.tokenizer else None
    return LocalWriter(loaded, name, chat, read_ends(folder))


def read_ends(folder: Path) -> frozenset[int]:
    """Tokens that end an answer by a folder's generation_config.json; a talk may have several."""
    found = read_object_if_there(folder / "generation_config.json").get("eos_token_id")
    given = found if isinstance(found, list) else [found]
    return frozenset(one for one in given if isinstance(one, int) and one >= 0)


def _key(folder: Path) -> str:
    """Changes with any of the folder's files."""
    rows = [
        f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}"
        for path in sorted(folder.resolve().iterdir())
        if path.is_file()
    ]
    return sha256_bytes("\n".join([str(folder.resolve()), *rows]).encode())[:24]
