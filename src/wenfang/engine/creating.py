"""Briefs to pieces: one, or a file of many that resumes where it stopped."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wenfang import config
from wenfang.atomic import one_at_a_time, sha256_bytes
from wenfang.checks import Check, Material
from wenfang.checks.policy import DEFAULT
from wenfang.device import DRAWING_THREADS, set_threads
from wenfang.engine.judging import judge_of
from wenfang.engine.keeping import label_settings, verify_files
from wenfang.errors import BriefError, WenfangError
from wenfang.media.text import read_text
from wenfang.scenarios import Piece, Scenario, Studio, read_brief
from wenfang.scenarios.piece import OnEvent, is_done
from wenfang.seal import Sealer, Verdict, worst
from wenfang.store import Store, home

BRIEF_BYTES = 10_000_000
TABLES = (".jsonl", ".csv")  # files of many briefs
# Columns of a csv whose cells are numbers or true and false, not text.
NUMBERS = ("seed", "rhyme_first", "regular_tones", "candidates", "rounds", "drafts",
           "family_friendly")  # fmt: skip
NUMBER_GROUPS = ("sampling",)


@dataclass(frozen=True, kw_only=True)
class CreateRequest:
    """What `create` makes.

    briefs    a .json, .jsonl or .csv file
    output    the folder for one piece, or the parent of one folder a brief
    private   keep nothing in the store, no brief and no draft, and leave the request out of
              the published manifests and the report
    policy    a policy file for the checks, and the use that it is read for
    made_before  so many of the first are not made again, fresh or not: an interrupted job made
                 them
    against   folders of material that must not be copied
    """

    briefs: Path
    output: Path
    settings: tuple[str, ...] = ()
    commercial: bool = False
    private: bool = False
    fresh: bool = False
    made_before: int = 0
    model: str | None = None
    policy: Path | None = None
    use: str = DEFAULT
    against: tuple[Path, ...] = ()


def create_job(request: CreateRequest) -> dict[str, Any]:
    """The same as a job's request: what the files say now, and where things are from anywhere."""
    return {
        "text": _text_of(request.briefs),
        "suffix": request.briefs.suffix.lower() if _is_table(request.briefs) else ".json",
        "output": str(request.output.resolve()),
        "settings": request.settings,
        "commercial": request.commercial,
        "private": request.private,
        "fresh": request.fresh,
        "model": _whole(request.model or ""),
        "policy": str(request.policy.resolve()) if request.policy else "",
        "use": request.use,
        "against": [str(path.resolve()) for path in request.against],
    }


def _whole(model: str) -> str:
    """A model's folder from anywhere; its name stays as it is."""
    return str(Path(model).resolve()) if model and Path(model).is_dir() else model


@dataclass(frozen=True, kw_only=True)
class Made:
    """One brief's outcome: a piece with its verdicts, skipped as done before, or an error."""

    brief: str
    folder: Path
    piece: Piece | None = None
    verdicts: tuple[Verdict, ...] = ()
    error: WenfangError | None = None

    def record(self) -> dict[str, Any]:
        """What a program is told of it, as JSON values."""
        piece = self.piece
        return {
            "brief": self.brief,
            "folder": str(self.folder),
            "skipped": piece is None and self.error is None,
            "error": str(self.error) if self.error else None,
            "text": piece.text if piece else None,
            "files": [str(file.path) for file in piece.files] if piece else [],
            "piece": piece.manifest.id if piece else None,
            "verdicts": [verdict.to_dict() for verdict in self.verdicts],
        }


def create(
    request: CreateRequest,
    on_event: OnEvent = lambda event: None,
    on_made: Callable[[Made], None] = lambda made: None,
) -> list[Made]:
    """Make the piece of every brief; pieces finished before are skipped, so a batch resumes.

    With one brief, its error is raised; in a batch it is kept with its brief and the rest goes on.
    """
    set_threads(DRAWING_THREADS)
    briefs = read_briefs(request.briefs)
    single = not _is_table(request.briefs)
    made: list[Made] = []
    judge = judge_of(request.policy, request.use, request.against)
    sealer = Sealer.at(home(), label_settings())
    with _store(private=request.private) as store:
        for number, (name, content) in enumerate(briefs, start=1):
            folder = request.output if single else request.output / f"{number:05d}"
            studio = Studio(
                store=store,
                sealer=sealer,
                output=folder,
                fresh=request.fresh and number > request.made_before,
                commercial=request.commercial,
                private=request.private,
                model=request.model,
                judge=judge,
                on_event=on_event,
            )
            try:
                one = _make(name, content, studio, request)
            except WenfangError as error:
                if single:
                    raise
                one = Made(brief=name, folder=folder, error=error)
            on_made(one)
            made.append(one)
    return made


def sameness(made: list[Made], request: CreateRequest) -> Check | None:
    """Are the pieces of one batch as many different ones? None for less than two new ones."""
    texts = [one.piece.text for one in made if one.piece is not None]
    if len(texts) < 2:
        return None
    judge = judge_of(request.policy, request.use, ())
    draft = Material(text=texts[0], siblings=tuple(texts[1:]))
    return judge.ask(draft, ("batch_sameness",)).checks[0]


def exit_code(made: list[Made]) -> int:
    """0 if all went well; else the first error's exit code, or the worst verdict's."""
    for one in made:
        if one.error:
            return one.error.exit_code
    verdicts = [verdict for one in made for verdict in one.verdicts]
    return worst(verdicts) if verdicts else 0


def _make(name: str, content: str | dict[str, Any], studio: Studio, request: CreateRequest) -> Made:
    """One piece; `content` is a brief as JSON text or as its value."""
    value = _parse(content, name) if isinstance(content, str) else content
    scenario, brief = read_brief(value, name)
    brief = config.override(brief, request.settings, error=BriefError)
    # Two programs that fill one folder would read each other's files half exchanged.
    with nullcontext() if request.private else one_at_a_time(_lock_of(studio.output)):
        if not studio.fresh and is_done(studio, brief):
            return Made(brief=name, folder=studio.output)
        piece = scenario.run(brief, studio)
        verdicts = verify_files([file.path for file in piece.files])
    return Made(brief=name, folder=studio.output, piece=piece, verdicts=tuple(verdicts))


def _lock_of(folder: Path) -> Path:
    return home() / "locks" / sha256_bytes(str(folder.resolve()).encode())[:24]


@contextmanager
def _store(*, private: bool) -> Iterator[Store]:
    """The store of this home, or one that is gone afterwards."""
    if not private:
        with Store.open() as store:
            yield store
        return
    with tempfile.TemporaryDirectory(prefix="wenfang-") as folder, Store.open(folder) as store:
        yield store


def _is_table(path: Path) -> bool:
    """Whether a file holds many briefs."""
    return path.suffix.lower() in TABLES


def read_briefs(path: Path) -> list[tuple[str, str | dict[str, Any]]]:
    """Every brief of a .json, .jsonl or .csv file: the place it stands at, and JSON or a row.

    JSON is parsed when its turn comes, so that one malformed brief does not stop the others.
    """
    return briefs_of(_text_of(path), path.suffix.lower(), str(path))


def _text_of(path: Path) -> str:
    if not path.is_file():
        raise BriefError(
            "there is no brief at {path}; wenfang scenarios show verse_card --example writes one",
            path=path,
        )
    if path.stat().st_size > BRIEF_BYTES:
        raise BriefError(
            "{path} is larger than {most} bytes; briefs are short", path=path, most=BRIEF_BYTES
        )
    text = read_text(path).text
    if not text.strip():
        raise BriefError("{path} is empty; write a brief or start from an example", path=path)
    return text


def briefs_of(text: str, suffix: str, where: str) -> list[tuple[str, str | dict[str, Any]]]:
    """`read_briefs` of a text that has been read: the content of a file with that suffix."""
    if suffix == ".csv":
        return _csv_briefs(where, text)
    if suffix == ".jsonl":
        lines = enumerate(text.split("\n"), start=1)
        return [(f"{where}:{number}", line) for number, line in lines if line.strip()]
    return [(where, text)]


def parse_brief(text: str, where: str) -> tuple[Scenario, Any]:
    """The scenario and the brief of a JSON text; BriefError for one that is none."""
    return read_brief(_parse(text, where), where)


def _parse(text: str, where: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise BriefError(
            "{where} is not JSON (line {line}, column {column}: {reason})",
            where=where,
            line=error.lineno,
            column=error.colno,
            reason=error.msg,
        ) from None
    except (ValueError, RecursionError):  # a number or a nesting beyond Python's limits
        raise BriefError(
            "{where} holds a number or a nesting that is too long; correct it", where=where
        ) from None


def _csv_briefs(path: str, text: str) -> list[tuple[str, str | dict[str, Any]]]:
    """Columns are fields of the brief, a dot leads into one; empty cells and rows are left out."""
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        rows = [(f"{path}:{reader.line_num}", row) for row in reader]
    except csv.Error as error:
        raise BriefError(
            "{where} is not csv ({reason}); correct the row or its quotation marks",
            where=f"{path}:{reader.line_num}",
            reason=error,
        ) from None
    briefs: list[tuple[str, str | dict[str, Any]]] = [
        (where, _csv_brief(row, where)) for where, row in rows if any(row.values())
    ]
    if not briefs:
        raise BriefError("{path} has a head line and no brief; add a row for each", path=path)
    return briefs


def _csv_brief(row: Mapping[str | Any, Any], where: str) -> dict[str, Any]:
    if None in row:
        raise BriefError(
            "{where} has more cells than the head line has columns; quote cells that hold a comma",
            where=where,
        )
    content: dict[str, Any] = {}
    for column, cell in row.items():
        if not column or not cell:
            continue
        place = content
        *outer, last = column.strip().split(".")
        for name in outer:
            place = place.setdefault(name, {})
            if not isinstance(place, dict):
                raise BriefError(
                    "{where}: {name} is a column of its own; remove it, or {column}",
                    where=where,
                    name=name,
                    column=column,
                )
        number = last in NUMBERS or any(name in NUMBER_GROUPS for name in outer)
        place[last] = config.parse(cell) if number else cell
    return content
