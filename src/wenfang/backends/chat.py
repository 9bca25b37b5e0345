"""Chat templates of Hugging Face folders: what an instruction-tuned model expects around words.

A template is a Jinja program from a stranger; it runs in Jinja's sandbox, without access to
anything. What people wrote is put in afterwards, as plain text, so that no words of theirs
can become a token of control.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wenfang.errors import BundleError, DependencyError
from wenfang.tokenizer import Tokenizer

TEMPLATE_BYTES_MAX = 64 * 2**10
RENDERED_CHARACTERS_MAX = 64 * 2**10
# Stand for the contents while the template runs: private characters, which no template holds.
MARKS = ("\ue0f0", "\ue0f1")


def read_template(folder: Path) -> str:
    """The chat template of a folder; empty where it has none."""
    path, own = folder / "tokenizer_config.json", folder / "chat_template.jinja"
    if own.is_file() and own.stat().st_size <= TEMPLATE_BYTES_MAX:
        return own.read_text("utf-8", errors="replace")
    try:
        found = json.loads(path.read_text("utf-8")).get("chat_template") if path.is_file() else ""
    except (UnicodeDecodeError, json.JSONDecodeError, AttributeError):
        found = ""
    return found if isinstance(found, str) and len(found) <= TEMPLATE_BYTES_MAX else ""


def chat_ids(
    template: str, system: str, prompt: str, tokenizer: Tokenizer, names: dict[str, str]
) -> list[int]:
    """Tokens of a talk that waits for the assistant's answer.

    names   special tokens that templates ask for by name, such as bos_token
    raises  BundleError for a template that fails, DependencyError where Jinja is not installed
    """
    contents = [system, prompt] if system else [prompt]
    roles = ["system", "user"] if system else ["user"]
    messages = [{"role": role, "content": mark} for role, mark in zip(roles, MARKS, strict=False)]
    rendered = _render(template, messages, names)
    ids: list[int] = []
    for piece in re.split(f"([{''.join(MARKS)}])", rendered):
        if piece in MARKS and piece:
            ids += tokenizer.encode(contents[MARKS.index(piece)])
        else:
            ids += _control(piece, tokenizer)
    return ids


def _render(template: str, messages: Sequence[dict[str, str]], names: dict[str, str]) -> str:
    try:
        from jinja2 import TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError:
        raise DependencyError(
            "chat templates need jinja2; install it with pip install 'wenfang[remote]'"
        ) from None

    def refuse(what: object) -> Any:
        raise TemplateError(str(what))

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = refuse
    try:
        rendered = environment.from_string(template).render(
            messages=messages, add_generation_prompt=True, **names
        )
    except (TemplateError, TypeError, ValueError, RecursionError) as error:
        raise BundleError(
            "the model's chat template fails ({reason}); get the folder again", reason=error
        ) from None
    found = [rendered.count(mark) for mark in MARKS[: len(messages)]]
    if found != [1] * len(messages) or len(rendered) > RENDERED_CHARACTERS_MAX:
        raise BundleError(
            "the model's chat template fails ({reason}); get the folder again",
            reason="it does not tell every message once",
        )
    return rendered


def _control(text: str, tokenizer: Tokenizer) -> list[int]:
    """Tokens of what a template itself says, whose special tokens are meant as such."""
    added = json.loads(tokenizer.to_json()).get("added_tokens", [])
    specials = sorted((str(one["content"]) for one in added), key=len, reverse=True)
    if not specials:
        return tokenizer.encode(text) if text else []
    ids: list[int] = []
    for piece in re.split(f"({'|'.join(map(re.escape, specials))})", text):
        found = tokenizer.find(piece) if piece in specials else None
        ids += [found] if found is not None else tokenizer.encode(piece) if piece else []
    return ids
