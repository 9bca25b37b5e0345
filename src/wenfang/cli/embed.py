"""embed: the command that turns lines of text into vectors."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from wenfang.cli import show
from wenfang.cli.options import AsJson, Output
from wenfang.language import t

STANDARD_INPUT = Path("-")


def embed(
    file: Annotated[Path, typer.Argument(help=t("A text file, a text a line; - for input."))],
    output: Output = None,
    model: Annotated[str, typer.Option(help=t("A model's name or a bundle's folder."))] = "encoder",
    nearest: Annotated[
        str, typer.Option(metavar="QUERY", help=t("List the lines nearest to this text."))
    ] = "",
    count: Annotated[int, typer.Option("-n", min=1, max=1000, help=t("How many."))] = 5,
    as_json: AsJson = False,
) -> int:
    """Turn lines of text into vectors: saved with -o as .npy, or searched with --nearest."""
    from wenfang.engine import embedding
    from wenfang.errors import UsageError

    if not (output or nearest or as_json):
        raise UsageError("say what to do with the vectors: -o FILE.npy, --nearest QUERY or --json")
    if output:
        embedding.require_vector_file(output)
    texts = embedding.lines_of(_content(file), str(file))
    encoder = embedding.load_embedder(model)
    found = encoder.embed(texts)
    near = embedding.nearest_texts(nearest, texts, found.vectors, encoder, count) if nearest else []
    if output:
        embedding.save_vectors(output, found.vectors)
    if as_json:
        show.as_json(
            {
                "model": encoder.name,
                "texts": len(texts),
                "dimensions": encoder.width,
                "read_in_pieces": int((found.windows > 1).sum()),
                "file": str(output) if output else None,
                "nearest": [{**vars(one), "likeness": round(one.likeness, 4)} for one in near],
                # Where they are not saved, they are the answer.
                **({} if output or nearest else {"vectors": found.vectors.tolist()}),
            }
        )
        return 0
    for one in near:
        print(f"{one.likeness:.3f}  {one.text}")
    if output:
        values = {"count": len(texts), "dimensions": encoder.width, "path": output}
        print(t("{path}: {count} vectors of {dimensions} numbers", **values))
    told = embedding.told_windows(found.windows.tolist(), encoder.model.config.context)
    if told:
        print(told, file=sys.stderr)
    return 0


def _content(file: Path) -> bytes:
    """The bytes of a file or of the standard input, at most one more than allowed."""
    from wenfang.engine import embedding

    if file == STANDARD_INPUT:
        return sys.stdin.buffer.read(embedding.TEXT_BYTES_MAX + 1)
    return embedding.read_content(file)


COMMANDS: dict[str, Callable[..., int]] = {"embed": embed}
