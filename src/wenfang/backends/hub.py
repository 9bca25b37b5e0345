"""Models on this machine as writers: bundles that continue or answer, and Hugging Face folders.

`hub:FOLDER` reads a folder as `wenfang import` does, and keeps what it made of it in the home, so
that the next time is quicker and the lineage names its files. Nothing is fetched.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import torch

from wenfang.atomic import sha256_bytes
from wenfang.backends.chat import chat_ids, read_template
from wenfang.backends.pairwriter import PairWriter
from wenfang.backends.scribe import SlidingPredict
from wenfang.backends.writer import Ask, Draft, OnText
from wenfang.data.layouts import PairLayout
from wenfang.device import noise
from wenfang.errors import BriefError, BundleError, NotFoundError
from wenfang.interop.huggingface import read_folder
from wenfang.interop.importing import write_imported
from wenfang.models import CausalModel
from wenfang.models.load import Loaded, load
from wenfang.samplers.tokens import Drawn, Sampling, sample
from wenfang.store import Manifest, home
from wenfang.store.manifest import from_record
from wenfang.tokenizer import BEGIN, END

PREFIX = "hub:"
CAUSAL = ("stream", "completion")


class LocalWriter:
    """Drafts by a loaded bundle that continues text, or answers a prompt.

    template  chat template of an instruction-tuned model; empty: the prompt as it is

    raises BundleError for a bundle of another kind
    """

    def __init__(self, loaded: Loaded, name: str, template: str = "") -> None:
        self.loaded, self.name, self.template = loaded, name, template
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
        """`ask.count` drafts; on_text hears the first one when it is done.

        raises BriefError for a prompt that does not fit, or a schema, which only some writers keep
        """
        if ask.schema is not None:
            raise BriefError(
                "{name} cannot be held to a JSON Schema; name a writer that can", name=self.name
            )
        drafts = [self._draft(one, ask) for one in self._draw(ask)]
        on_text(drafts[0].text if drafts else "")
        return drafts

    def _draw(self, ask: Ask) -> list[Drawn]:
        sampling = Sampling(temperature=ask.temperature, maximum_tokens=ask.maximum_tokens)
        seeds = [ask.seed + number for number in range(ask.count)]
        if self._pairs:
            text = f"{ask.system}\n{ask.prompt}" if ask.system else ask.prompt
            source = PairLayout().source(text, self.tokenizer)
            return self._pairs.draw(source, sampling, [(seed, "write") for seed in seeds])
        ids = self._prompt(ask)
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
        return sample(
            SlidingPredict(model),
            torch.tensor([ids]).expand(ask.count, -1),
            [noise(seed, "write") for seed in seeds],
            replace(sampling, maximum_tokens=min(sampling.maximum_tokens, context - len(ids))),
            stop=frozenset({self.tokenizer.id(END)}),
        )

    def _prompt(self, ask: Ask) -> list[int]:
        begin = [self.tokenizer.id(BEGIN)] if BEGIN in self.tokenizer.roles else []
        if self.template:
            names = {"bos_token": self.tokenizer.roles.get(BEGIN, ""),
                     "eos_token": self.tokenizer.roles.get(END, "")}  # fmt: skip
            return chat_ids(self.template, ask.system, ask.prompt, self.tokenizer, names)
        text = f"{ask.system}\n\n{ask.prompt}" if ask.system else ask.prompt
        ids = self.tokenizer.encode(text)
        if not ids:
            raise BriefError("the prompt is empty; write a few words to continue")
        return [*begin, *ids]

    def _draft(self, drawn: Drawn, ask: Ask) -> Draft:
        text = self.tokenizer.decode(drawn.tokens)
        places = [text.find(one) for one in ask.stop if one and one in text]
        cut = text[: min(places)] if places else text
        return Draft(
            text=cut,
            tokens=len(drawn.tokens),
            log_probability_nats=math.fsum(drawn.log_probabilities),
            finish="stop" if drawn.stopped or places else "length",
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
    return LocalWriter(load(place), name, read_template(folder))


def _key(folder: Path) -> str:
    """Changes with any of the folder's files."""
    rows = [
        f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}"
        for path in sorted(folder.resolve().iterdir())
        if path.is_file()
    ]
    return sha256_bytes("\n".join([str(folder.resolve()), *rows]).encode())[:24]
