"""import, export: commands that take models in and give them out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from wenfang.cli import show
from wenfang.cli.options import AsJson, Output
from wenfang.language import t


def import_(
    folder: Annotated[Path, typer.Argument(help=t("A folder of Hugging Face's form."))],
    output: Output = None,
    name: Annotated[str | None, typer.Option(help=t("The bundle's name."))] = None,
    licence: Annotated[
        str | None, typer.Option(help=t("SPDX name of the model's licence, if its card says none."))
    ] = None,
    context: Annotated[
        int | None, typer.Option(help=t("Keep fewer positions than the model has."))
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Make a bundle of a Hugging Face folder: GPT-2, Llama, Qwen2, Qwen3, BERT or T5."""
    from wenfang.engine.exchanging import import_model

    made = import_model(folder, output, name=name, licence=licence, context=context)
    manifest = made.manifest
    if as_json:
        facts = manifest.facts
        told = {"name": manifest.name, "licence": manifest.licence, "id": manifest.id}
        show.as_json({**told, "parameters": facts["parameters"], "folder": str(made.folder)})
        return 0
    print(t("{name}, licence {licence}", name=manifest.name, licence=manifest.licence))
    print(made.folder)
    return 0


def export(
    bundle: Annotated[str, typer.Argument(help=t("A model's name, a folder, BASE+ADAPTER:0.5."))],
    to: Annotated[
        str, typer.Option("--to", help=t("hf (transformers), gguf (llama.cpp), peft, bundle."))
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help=t("Where to write."))],
    precision: Annotated[
        str, typer.Option(help=t("Of the matrices in a GGUF file: float32 or float16."))
    ] = "float32",
    as_json: AsJson = False,
) -> int:
    """Write a bundle for another program, adapters added in; or an adapter alone, for peft."""
    from wenfang.engine.exchanging import export_model

    path = export_model(bundle, to, output, precision=precision)
    if as_json:
        show.as_json({"path": str(path), "format": to})
    else:
        print(path)
    return 0


COMMANDS: dict[str, Callable[..., int]] = {"import": import_, "export": export}
