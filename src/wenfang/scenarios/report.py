"""The report of a piece: one HTML page that stays with the files and can be read without us."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Any

from wenfang.checks import Check
from wenfang.language import language, t
from wenfang.scenarios.quatrain import Written
from wenfang.seal import SealedFile
from wenfang.store import Lineage, Manifest

STYLE = """
:root { --ink: #2a2623; --soft: #7a7068; --line: #ddd3c4; --red: #a5342a; --paper: #faf6ee; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.65 "Noto Serif CJK TC", "Source Han Serif", "Songti SC", Georgia, serif; }
main { max-width: 62rem; margin: 0 auto; padding: 3rem 1.5rem 4rem; }
header { display: flex; gap: 3rem; align-items: flex-start; flex-wrap: wrap; }
header img, header video { width: 20rem; max-width: 100%; border: 1px solid var(--line);
  box-shadow: 0 2px 14px rgba(60, 40, 20, .12); }
h1 { font-size: 1.9rem; margin: 0 0 1rem; letter-spacing: .12em; font-weight: 600; }
h2 { font-size: 1.05rem; margin: 2.6rem 0 .7rem; color: var(--red); letter-spacing: .06em;
  border-bottom: 1px solid var(--line); padding-bottom: .3rem; }
.poem { font-size: 1.35rem; line-height: 2.1; letter-spacing: .14em; margin: 0 0 1.4rem; }
.soft { color: var(--soft); font-size: .92rem; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
td, th { text-align: left; padding: .35rem .9rem .35rem 0; vertical-align: top;
  border-bottom: 1px solid var(--line); }
th { font-weight: 600; white-space: nowrap; }
code, pre { font: .82rem/1.5 ui-monospace, "DejaVu Sans Mono", monospace; }
code { overflow-wrap: anywhere; }
pre { background: #f3ecdf; padding: .9rem 1rem; overflow-x: auto; border-radius: 4px; }
.pass { color: #3d6b3d; } .warn, .repair, .block { color: var(--red); }
.note { color: var(--soft); }
"""


@dataclass(frozen=True, kw_only=True)
class ReportContent:
    """Everything that a report tells; `files` are those sealed before the report itself.

    Nothing that signing changes is in it, so that the same request gives the same page again.
    brief  None where the piece is private
    shown  the file beside it that is seen, or heard, first
    """

    brief: dict[str, Any] | None
    title: str
    lines: tuple[str, ...]
    written: Written
    model: Manifest
    lineage: Lineage
    files: tuple[SealedFile, ...]
    shown: str = "card-web.png"


def render_report(content: ReportContent) -> str:
    """The page as HTML; it refers to what it shows, the files beside it, and to nothing else."""
    sections = [
        _head(content),
        _section(t("Checks"), _checks(content.written.report.checks)),
        _section(t("How it was made"), _making(content)),
        _section(t("Rights"), _rights(content)),
        _section(t("Files"), _files(content.files)),
        _section(t("Label and signature"), _signing(content)),
    ]
    if content.brief is not None:
        brief = json.dumps(content.brief, ensure_ascii=False, indent=2)
        sections.append(_section(t("The brief"), _pre(brief)))
    body = "\n".join(sections)
    code = "zh" if language() == "zh" else "en"
    return (
        f'<!DOCTYPE html>\n<html lang="{code}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(content.title)} · {escape(t('report'))}</title>\n"
        f"<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _head(content: ReportContent) -> str:
    lines = "<br>\n".join(escape(line) for line in content.lines)
    drawn = t(
        "Chosen from {drawn} drafts, {passed} of which passed every check.",
        drawn=content.written.drawn,
        passed=content.written.passed,
    )
    shown = f'<img src="{escape(content.shown)}" alt="{escape(content.title)}">'
    if content.shown.endswith(".mp4"):
        shown = f'<video controls src="{escape(content.shown)}"></video>'
    elif not content.shown.endswith(".png"):
        shown = f'<audio controls src="{escape(content.shown)}"></audio>'
    return (
        f"<header>\n{shown}\n<div>\n"
        f'<h1>{escape(content.title)}</h1>\n<p class="poem" lang="zh">{lines}</p>\n'
        f'<p class="soft">{escape(drawn)}</p>\n</div>\n</header>'
    )


def _section(title: str, body: str) -> str:
    return f"<section>\n<h2>{escape(title)}</h2>\n{body}\n</section>"


def _table(rows: Iterable[Iterable[str]], head: Iterable[str] = ()) -> str:
    titles = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    top = f"<tr>{titles}</tr>\n" if titles else ""
    body = "\n".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>\n{top}{body}\n</table>"


def _pre(text: str) -> str:
    return f"<pre>{escape(text)}</pre>"


def _checks(checks: tuple[Check, ...]) -> str:
    outcomes = {
        "pass": t("passed"),
        "note": t("noted"),
        "warn": t("warned of"),
        "repair": t("to repair"),
        "block": t("blocked"),
    }
    return _table(
        (
            (
                f"<code>{escape(check.name)}</code>",
                f'<span class="{check.verdict}">{escape(outcomes[check.verdict])}</span>',
                _number(check.value),
                _number(check.threshold),
                escape("; ".join(map(str, check.evidence))),
            )
            for check in checks
        ),
        (t("check"), t("verdict"), t("value"), t("threshold"), t("evidence")),
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"


def _making(content: ReportContent) -> str:
    poem, facts = content.written.poem, content.model.facts
    size = f"{facts.get('parameters', '–')} {t('parameters')}"
    rows = [
        (t("model"), f"{content.model.name} · {facts.get('endpoint', size)}"),
        (t("model id"), content.model.id),
        *([(t("seed"), str(content.brief.get("seed", "")))] if content.brief else []),
    ]
    if poem.likelihood_nats_per_character is not None and poem.affinity_nats is not None:
        likelihood = t(
            "{nats} nats a character given the title; the title explains {affinity} nats",
            nats=f"{poem.likelihood_nats_per_character:.2f}",
            affinity=f"{poem.affinity_nats:.1f}",
        )
        rows.append((t("log-likelihood"), likelihood))
    return _table((escape(name), escape(value)) for name, value in rows)


def _rights(content: ReportContent) -> str:
    rows = [
        (f"<code>{escape(licence)}</code>", escape(", ".join(names)))
        for licence, names in content.lineage.licences().items()
    ]
    note = t("Licences of everything that the model was made from, as recorded in its lineage.")
    return f'<p class="soft">{escape(note)}</p>\n' + _table(rows)


def _files(files: tuple[SealedFile, ...]) -> str:
    rows = [
        (
            f'<a href="{escape(file.path.name)}">{escape(file.path.name)}</a>',
            f"<code>{file.payload_sha256}</code>",
            escape(_watermark(file)),
        )
        for file in files
    ]
    return _table(rows, (t("file"), t("SHA-256 before labels"), t("watermark")))


def _watermark(file: SealedFile) -> str:
    """Which watermark a file carries, or why it carries none."""
    reason = file.watermark.get("none")
    return t(reason) if isinstance(reason, str) else str(file.watermark.get("kind"))


def _signing(content: ReportContent) -> str:
    label = content.files[0].label
    shown = {key: label[key] for key in ("Label", "ContentProducer", "ContentPropagator")}
    notes = list(dict.fromkeys(note for file in content.files for note in file.notes))
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    command = t("Number, key and hash of each file stand in its signed manifest; check the files "
                "with: wenfang verify FOLDER")  # fmt: skip
    return (
        f"<ul>{items}</ul>\n{_pre(json.dumps({'AIGC': shown}, indent=2))}\n"
        f'<p class="soft">{escape(command)}</p>'
    )
