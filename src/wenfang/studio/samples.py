"""What a model makes while it learns, and beside an older one, as people see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from wenfang.language import t
from wenfang.studio.look import html, table
from wenfang.studio.naming import number_name

SHOWN_NUMBERS = 12
ASKED_CHARACTERS = 160
NOTHING = "–"
OLD = "old"  # the folder of what the older model makes


def samples_html(job: str, looks: Sequence[Mapping[str, Any]]) -> str:
    """Every look of a run, the newest first; empty where there is none.

    looks  what the job told of each: folder, step, what it shows and what was made
    """
    if not looks:
        return ""
    newest, *before = reversed(looks)
    found = f"<h3>{escape(t('Samples'))}</h3>"
    if newest["shows"] == "pictures":
        figures = "".join(_figure(job, one) for one in (newest, *before))
        return html(f'{found}<div class="wf-looks">{figures}</div>')
    found += f"<h4>{escape(_at(newest))}</h4>{_made(job, newest)}"
    for one in before:
        found += f"<details><summary>{escape(_at(one))}</summary>{_made(job, one)}</details>"
    return html(found)


def _figure(job: str, look: Mapping[str, Any]) -> str:
    return f"<figure><figcaption>{escape(_at(look))}</figcaption>{_made(job, look)}</figure>"


def _at(look: Mapping[str, Any]) -> str:
    return t("step {step}", step=look["step"])


def _made(job: str, look: Mapping[str, Any]) -> str:
    """What was made at one look: a picture, players, or texts below what was asked for."""
    folder = str(look.get("folder") or OLD)
    parts = []
    for one in look["made"]:
        asked, told = str(one["asked"]), said(one["told"]) if one["told"] else ""
        url = f"/studio/files/{job}/samples/{folder}/{one['file']}"
        name = escape(asked or t("Samples"))
        if look["shows"] == "pictures":
            parts.append(f'<img src="{escape(url)}" alt="{name}">')
            parts.append(f"<small>{escape(asked)}</small>" if asked else "")
        elif look["shows"] == "sounds":
            parts.append(f'<p class="wf-asked">{escape(asked)}</p><audio controls preload="none" '
                         f'src="{escape(url)}" aria-label="{name}"></audio>')  # fmt: skip
        else:
            short = asked if len(asked) <= ASKED_CHARACTERS else asked[:ASKED_CHARACTERS] + "…"
            parts.append(f'<p class="wf-asked">{escape(short)}</p>')
            text = str(one["text"])
            parts.append(f'<p class="wf-said">{escape(text)}</p>' if text else "")
        parts.append(f"<small>{escape(told)}</small>" if told else "")
    return "".join(parts)


def compared_html(
    job: str, compared: Mapping[str, Any], looks: Sequence[Mapping[str, Any]], name: str
) -> str:
    """The new model beside the older one: samples, then numbers, then what could not be compared.

    compared  what the job told: old, look, numbers, notes
    name      of the new model
    """
    old = str(compared["old"])
    found = f"<h3>{escape(t('Beside the older model') if old else t('Its numbers'))}</h3>"
    found += "".join(f"<p>{escape(said(note))}</p>" for note in compared["notes"])
    look = compared["look"]
    if look and looks:
        sides = ((old, look), (name, looks[-1]))
        columns = "".join(
            f"<section><h4>{escape(head)}</h4>{_made(job, one)}</section>" for head, one in sides
        )
        found += f'<div class="wf-pair">{columns}</div>'
    rows = [
        [escape(number_name(str(what))), *(_value(one) for one in values[0 if old else 1 :])]
        for what, *values in compared["numbers"][:SHOWN_NUMBERS]
    ]
    if rows:
        head = [t("measured"), *([old] if old else []), name]
        found += table(head, rows)
    return html(found)


def said(note: Mapping[str, Any]) -> str:
    """A message that was kept, in the language of the page."""
    return t(str(note["template"]), **note["values"])


def _value(number: float | None) -> str:
    return NOTHING if number is None else f"{number:.4g}"
