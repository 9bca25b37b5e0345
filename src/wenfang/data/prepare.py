"""Sources to a clean data set: read, judge, compare, split, write.

Two or three passes, each a stream. *Read*: decode, normalise, clean, judge by the rules, leave out
evaluation text; survivors go to a spool on the disk and their hashes to key files. *Compare*: mark
what came before. *Write*: drop repeats, mask personal data, split, write shards. Memory does not
grow with the text, and by one byte with each record; the disk needs the text once more while the
work goes on.

The folder appears complete or not at all, and the same sources and request give the same bytes.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from wenfang.atomic import canonical_json, exclusive, new_folder
from wenfang.data.contamination import EvaluationText, NearText
from wenfang.data.dataset import MANIFEST, REJECTS, Dataset
from wenfang.data.duplicates import BANDS, KeyFile, band_keys, exact_key
from wenfang.data.lineage import (
    OnEvent,
    dataset_manifest,
    describe_evaluation,
    describe_sources,
    request_key,
    settings_of,
    size_bytes,
)
from wenfang.data.lines import Fault, SourceFile
from wenfang.data.measurement import Measurement, between
from wenfang.data.ngrams import Unit, line_hashes
from wenfang.data.normalise import normalise, normalise_value
from wenfang.data.privacy import mask
from wenfang.data.rejects import Rejects, excerpt
from wenfang.data.request import Event, PrepareRequest, Source
from wenfang.data.rules import judge
from wenfang.data.shards import ShardWriter
from wenfang.data.sources import RawRecord, files_of, read_records
from wenfang.data.split import SPLITS
from wenfang.errors import DataError
from wenfang.store.manifest import to_record, write_manifest

EVENT_BYTES = 1_000_000
EVENT_RECORDS = 5_000
FIRST, EXACT, NEAR = 0, 1, 2

Step = Literal["read", "compare", "write"]
Spooled = dict[str, Any]  # source, file, line, fields, text


def prepare(request: PrepareRequest, on_event: OnEvent | None = None) -> Dataset:
    """The data set of `request`, in request.output; one that is already there is given back.

    raises ConfigError for shares that do not add up; DataError for sources that cannot be read, a
    folder that is no data set, or nothing left to keep; BusyError where another process prepares
    the same folder
    """
    request.split.require_whole()
    output = Path(request.output)
    files = {source.path: files_of(Path(source.path)) for source in request.sources}
    _require_free(output, request)
    with exclusive(output.parent / f".{output.name}.lock", str(output)):
        sources = describe_sources(request, files, on_event)
        evaluation = describe_evaluation(request)
        key = request_key(request, sources, evaluation)
        if not request.fresh and (found := _already(output, key)):
            return found
        with new_folder(output) as folder:
            facts = Preparation(
                request=request, folder=folder, files=files, on_event=on_event
            ).run()
            facts["sources"] = [to_record(source) for source in sources]
            facts["evaluation"] = evaluation
            manifest = dataset_manifest(request.name or output.name, key, sources, facts)
            write_manifest(folder / MANIFEST, manifest)
    return Dataset.open(output)


def _already(output: Path, key: str) -> Dataset | None:
    """The data set in `output` if it answers the same request and is whole."""
    if not (output / MANIFEST).is_file():
        return None
    try:
        dataset = Dataset.open(output)
    except DataError:
        return None  # damaged: prepared again
    return dataset if dataset.manifest.key == key else None


def _require_free(output: Path, request: PrepareRequest) -> None:
    """The output is replaced whole, so it must be a data set, empty or absent."""
    taken = output.exists() and not (output / MANIFEST).is_file()
    if taken and not (output.is_dir() and not any(output.iterdir())):
        raise DataError(
            "{path} is not a data set and would be replaced; choose an empty or new folder",
            path=output,
        )
    for path in (*(source.path for source in request.sources), *request.held_out):
        if Path(path).resolve().is_relative_to(output.resolve()):
            raise DataError(
                "{path} lies in the output folder, which is replaced; choose another output",
                path=path,
            )


def _record(source: str, raw: RawRecord, text: str) -> Spooled:
    return {
        "source": source,
        "file": raw.file,
        "line": raw.line,
        "fields": {name: normalise_value(value) for name, value in raw.fields.items()},
        "text": text,
    }


@dataclass(kw_only=True)
class Preparation:
    """The work of one request; `folder` is filled, and its `work` part removed again.

    read, kept  records so far
    """

    request: PrepareRequest
    folder: Path
    files: dict[str, list[SourceFile]]
    on_event: OnEvent | None = None
    read: int = 0
    kept: int = 0
    dropped_lines: Counter[str] = field(default_factory=Counter)
    masked: Counter[str] = field(default_factory=Counter)
    _reported: int = 0

    def __post_init__(self) -> None:
        self.rejects = Rejects(seed=self.request.seed)
        self.unit: Unit = "character" if self.request.language == "zh" else "word"
        self.work = self.folder / "work"
        self.spool = self.work / "records.jsonl"

    def run(self) -> dict[str, object]:
        """Fill the folder with shards and rejects; the facts of the manifest but the sources."""
        self.work.mkdir()
        with KeyFile(self.work / "exact") as exact, KeyFile(self.work / "near") as near:
            self._read_all(exact, near)
            repeats = self._mark_repeats(exact, near)
        lines = self._mark_lines(repeats) if self.request.duplicates.lines else None
        with ShardWriter(self.folder, self.request.shard_bytes) as writer:
            self._write_all(writer, repeats, lines)
            nothing_kept = self.kept == 0
            self._write_held_out(writer)
        shutil.rmtree(self.work)
        (self.folder / REJECTS).write_bytes(self.rejects.as_jsonl())
        if nothing_kept:
            self._raise_nothing_kept()
        return self._facts(writer)

    # Read ---------------------------------------------------------------------------------------

    def _read_all(self, exact: KeyFile, near: KeyFile) -> None:
        """First pass: every source through the rules into the spool and the key files."""
        duplicates = self.request.duplicates
        evaluation, held_out = self._evaluation_text(), self._near_text()
        with self.spool.open("wb") as spool:
            for source, raw in self._raw_records():
                record = self._judged(source, raw, evaluation, held_out)
                if record is None:
                    continue
                if duplicates.exact:
                    exact.add(np.array([exact_key(record["text"])], np.uint64))
                if duplicates.near:
                    near.add(band_keys(record["text"], duplicates.shingle_size, self.unit))
                spool.write(canonical_json(record) + b"\n")
                self.kept += 1

    def _evaluation_text(self) -> EvaluationText:
        texts = self._texts_of((*self.request.evaluation, *self.request.held_out))
        return EvaluationText.build(texts, size=self.request.contaminated_size, unit=self.unit)

    def _near_text(self) -> NearText:
        texts = self._texts_of(self.request.held_out)
        size = self.request.duplicates.shingle_size
        return NearText.build(texts, shingle_size=size, unit=self.unit)

    def _texts_of(self, names: tuple[str, ...]) -> Iterator[str]:
        for name in names:
            for file in files_of(Path(name)):
                for item in read_records(file, self.request.reading):
                    if isinstance(item, RawRecord):
                        yield normalise(item.text)

    def _raw_records(self) -> Iterator[tuple[Source, RawRecord]]:
        """Every record that can be read, with its source; what cannot goes to the rejects."""
        before, total = 0, sum(size_bytes(found) for found in self.files.values())
        for source in self.request.sources:
            for file in self.files[source.path]:
                for item in self._items(file, before, total):
                    self.read += 1
                    if isinstance(item, RawRecord):
                        yield source, item
                        continue
                    self._reject_fault(source.label, item)
                before += size_bytes([file])
        self._tell("read", total, total)

    def _items(self, file: SourceFile, before: int, total: int) -> Iterator[RawRecord | Fault]:
        """Records of `file`, telling of the bytes read; those of earlier files were `before`."""

        def on_bytes(position: int) -> None:
            if before + position >= self._reported + EVENT_BYTES:
                self._reported = before + position
                self._tell("read", self._reported, total)

        return read_records(file, self.request.reading, on_bytes)

    def _judged(
        self, source: Source, raw: RawRecord, evaluation: EvaluationText, held_out: NearText
    ) -> Spooled | None:
        """The record for the spool, or None where a rule rejects it."""
        verdict = judge(normalise(raw.text), self.request.rules)
        self.dropped_lines.update(verdict.dropped_lines)
        record = _record(source.label, raw, verdict.text)
        found = verdict.rejected_by
        if found is None:
            self._require_key(record)
            found = between("contaminated", evaluation.shared(verdict.text), most=0)
        if found.kept:
            found = between("near_held_out", held_out.repeated_by(verdict.text), most=0)
        if found.kept:
            return record
        self._reject(found.rule, record, found)
        return None

    def _require_key(self, record: Spooled) -> None:
        key, fields = self.request.split.key, record["fields"]
        if key and not isinstance(fields.get(key), str | int):
            raise DataError(
                "{path}:{line}: there is no {key} to split by; set split.key to one of {names}",
                path=f"{record['source']}/{record['file']}",
                line=record["line"],
                key=key,
                names=", ".join(fields) or "(no fields)",
            )

    def _reject(self, rule: str, record: Spooled, found: Measurement | None) -> None:
        text = excerpt(record["text"])
        sample = {name: record[name] for name in ("source", "file", "line")}
        sample["text"] = mask(text)[0] if self.request.personal_data else text
        if found:
            sample |= {"value": round(found.value, 6), "threshold": found.threshold}
        self.rejects.add(rule, sample)

    def _reject_fault(self, source: str, fault: Fault) -> None:
        where = {"source": source, "file": fault.file, "line": fault.line}
        self.rejects.add(fault.rule, {**where, "text": "", "error": fault.error.template})

    # Compare ------------------------------------------------------------------------------------

    def _mark_repeats(self, exact: KeyFile, near: KeyFile) -> NDArray[np.uint8]:
        """(spooled,) FIRST, EXACT or NEAR."""
        self._tell("compare", 0, self.kept)
        repeats = np.full(self.kept, FIRST, np.uint8)
        if self.request.duplicates.near:
            repeats[near.repeats().reshape(-1, BANDS).any(axis=1)] = NEAR
        if self.request.duplicates.exact:
            repeats[exact.repeats()] = EXACT
        self._tell("compare", self.kept, self.kept)
        return repeats

    def _mark_lines(self, repeats: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """A mark for each long line of each record that is no repeat, in their order."""
        with KeyFile(self.work / "lines") as keys:
            for record, repeat in zip(self._spooled(), repeats, strict=True):
                if not repeat:
                    keys.add(line_hashes(self._long_lines(record["text"])))
            return keys.repeats()

    def _spooled(self) -> Iterator[Spooled]:
        with self.spool.open("rb") as stream:
            for line in stream:
                yield json.loads(line)

    def _long_lines(self, text: str) -> list[str]:
        return [line for line in text.split("\n") if self._is_long(line)]

    def _is_long(self, line: str) -> bool:
        return len(line.strip()) >= self.request.duplicates.line_characters_min

    # Write --------------------------------------------------------------------------------------

    def _write_all(
        self, writer: ShardWriter, repeats: NDArray[np.uint8], lines: NDArray[np.bool_] | None
    ) -> None:
        """Last pass: what is no repeat, masked, into the shard of its split."""
        spooled, self.kept, position = self.kept, 0, 0
        for index, record in enumerate(self._spooled()):
            if index % EVENT_RECORDS == 0:
                self._tell("write", index, spooled)
            if repeats[index]:
                rule = "exact_duplicate" if repeats[index] == EXACT else "near_duplicate"
                self._reject(rule, record, None)
                continue
            if lines is not None:
                end = position + len(self._long_lines(record["text"]))
                marks, position = lines[position:end], end
                if marks.any() and not self._without_lines(record, marks):
                    continue
            self._write(writer, record)
        self._tell("write", spooled, spooled)

    def _without_lines(self, record: Spooled, marks: NDArray[np.bool_]) -> bool:
        """Drop the marked lines of `record`; False where the rules reject what is left."""
        remaining = iter(marks)
        lines = record["text"].split("\n")
        kept = [line for line in lines if not (self._is_long(line) and next(remaining))]
        self.dropped_lines["repeated_line"] += len(lines) - len(kept)
        record["text"] = normalise("\n".join(kept))
        found = judge(record["text"], self.request.rules).rejected_by
        if found:
            self._reject(found.rule, record, found)
        return found is None

    def _write_held_out(self, writer: ShardWriter) -> None:
        """Every record of the held-out files, in its order, into the test part."""
        for name in self.request.held_out:
            for file in files_of(Path(name)):
                for item in read_records(file, self.request.reading):
                    self.read += 1
                    if isinstance(item, RawRecord):
                        record = _record(Path(name).name, item, normalise(item.text))
                        self._write(writer, record, "test")
                    else:
                        self._reject_fault(Path(name).name, item)

    def _part_of(self, record: Spooled) -> str:
        key = self.request.split.key
        value = str(record["fields"][key]) if key else record["text"]
        return self.request.split.part_of(value, self.request.seed)

    def _write(self, writer: ShardWriter, record: Spooled, split: str = "") -> None:
        """Write the record as its fields and its text; a list of lines stays one."""
        text, fields = record["text"], record["fields"]
        name = self.request.reading.text_field
        split = split or self._part_of(record)
        if self.request.personal_data:
            text, found = mask(text)
            self.masked.update(found)
        if isinstance(fields.get(name), list):
            fields[name] = text.split("\n")
        else:
            fields.pop(name, None)
        if len(self.request.sources) > 1:
            fields["_source"] = record["source"]
        writer.write(split, {**fields, "text": text})
        self.kept += 1

    def _facts(self, writer: ShardWriter) -> dict[str, object]:
        counts = {
            "read": self.read,
            "kept": self.kept,
            "rejected": dict(sorted(self.rejects.counts.items())),
            "dropped_lines": dict(sorted(self.dropped_lines.items())),
            "masked": dict(sorted(self.masked.items())),
            "splits": {split: writer.totals(split) for split in SPLITS},
        }
        return {"settings": settings_of(self.request), "counts": counts, "shards": writer.shards}

    def _raise_nothing_kept(self) -> None:
        rules = ", ".join(f"{rule} {count}" for rule, count in self.rejects.counts.most_common(4))
        raise DataError(
            "no record of {read} was kept ({rules}); choose the rules that fit this text, "
            "or lower their thresholds",
            read=self.read,
            rules=rules or "there was none",
        )

    def _tell(self, step: Step, done: int, total: int) -> None:
        if self.on_event:
            unit: Literal["bytes", "records"] = "bytes" if step == "read" else "records"
            self.on_event(Event(step=step, done=done, total=total, unit=unit, kept=self.kept))
