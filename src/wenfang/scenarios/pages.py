"""Parts of a report's page: sections, tables, rights and files, as HTML that refers to nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from wenfang.language import language, t
from wenfang.scenarios.report import STYLE
from wenfang.seal import SealedFile
from wenfang.store import Lineage


def page(title: str, body: str, style: str = "") -> str:
    """A whole page in the language of messages."""
    code = "zh" if language() == "zh" else "en"
    return (
        f'<!DOCTYPE html>\n<html lang="{code}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}{style}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def section(title: str, body: str) -> str:
    """A part with its heading; `body` is HTML."""
    return f"<section>\n<h2>{escape(title)}</h2>\n{body}\n</section>"


def table(rows: Iterable[Sequence[str]], head: Sequence[str] = ()) -> str:
    """A table; cells are HTML already, heads are text."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "\n".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>\n{f'<tr>{top}</tr>' if top else ''}\n{body}\n</table>"


def rights(lineage: Lineage) -> str:
    """Licences of everything that a model was made from."""
    rows = [
        (f"<code>{escape(licence)}</code>", escape(", ".join(names)))
        for licence, names in lineage.licences().items()
    ]
    note = t("Licences of everything that the model was made from, as recorded in its lineage.")
    return f'<p class="soft">{escape(note)}</p>\n' + table(rows)


def files(sealed: Sequence[SealedFile]) -> str:
    """Names and payload hashes of what was sealed."""
    rows = [
        (
            f'<a href="{escape(one.path.name)}">{escape(one.path.name)}</a>',
            f"<code>{one.payload_sha256}</code>",
        )
        for one in sealed
    ]
    return table(rows, (t("file"), t("SHA-256 before labels")))
