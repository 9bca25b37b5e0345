"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wenfang.errors import DependencyError
from wenfang.language import t

Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help=t("Set a field, for instance optim.lr=3e-4.")),
]
AsJson = Annotated[bool, typer.Option("--json", help=t("Print one JSON document."))]
AsJob = Annotated[bool, typer.Option("--job", help=t("Queue it; a worker does it (wenfang jobs)."))]
Output = Annotated[Path | None, typer.Option("-o", "--output", help=t("Where to write."))]
PolicyFile = Annotated[Path | None, typer.Option(help=t("A policy file for the checks."))]
Use = Annotated[str, typer.Option(help=t("Which use of the policy applies."))]
Against = Annotated[
    list[Path] | None, typer.Option(help=t("A folder of material that must not be copied."))
]
Data = Annotated[
    Path | None,
    typer.Option("--data", help=t("A prepared data set, or the root of named data sets.")),
]


def missing(error: ModuleNotFoundError, extra: str) -> DependencyError:
    """What to say where an extra of the package is not installed."""
    return DependencyError(
        "{name} is missing; install it: pip install 'wenfang[{extra}]'",
        name=error.name,
        extra=extra,
    )
