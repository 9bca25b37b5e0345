"""Chat templates of Hugging Face folders: what an instruction-tuned model expects around words.

A template is a Jinja program from a stranger. It runs in Jinja's sandbox, in a process of its own
whose time and memory are bounded, and never sees what people wrote: marks stand for it, and it is
put in afterwards, as plain text, so that no words of theirs can become a token of control.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tokenizers

from wenfang.backends.writer import Turn
from wenfang.errors import BriefError, BundleError, DependencyError
from wenfang.interop.folder import TOKENIZER_CONFIG, read_object_if_there, read_text
from wenfang.interop.marks import PARTS
from wenfang.language import t
from wenfang.tokenizer import BEGIN, Tokenizer

TEMPLATE = "chat_template.jinja"
TEMPLATE_CHARACTERS_MAX = RENDERED_CHARACTERS_MAX = 64 * 2**10
SECONDS_MAX, MEMORY_BYTES_MAX = 2, 2**29
# Stand for the contents while the template runs, one each: private characters, which no template
# holds.
TURNS_MAX = 512
FIRST_MARK = 0xE0F0
MARK = re.compile(f"[{chr(FIRST_MARK)}-{chr(FIRST_MARK + TURNS_MAX - 1)}]")
SHAPES_KEPT = 64  # talks that differ in their order of roles
# transformers' names of special tokens, by which templates ask for them, to ours.
NAMES = {**PARTS, "bos_token": BEGIN}
# Run by a process of its own. The settings are those of transformers; thinking aloud is not wanted.
_CHILD = """
import json, resource, sys
asked = json.loads(sys.stdin.buffer.read())
try:
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment
except ImportError:
    sys.exit(3)
def refuse(what):
    raise TemplateError(str(what))
environment = ImmutableSandboxedEnvironment(
    trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
environment.globals["raise_exception"] = refuse
given = {"messages": asked["messages"], "add_generation_prompt": True, "enable_thinking": False}
for name, most in asked["limits"].items():
    try:
        resource.setrlimit(getattr(resource, name), (most, most))
    except (AttributeError, ValueError, OSError):
        pass
try:
    told = {"text": environment.from_string(asked["template"]).render(**given, **asked["names"])}
    if len(told["text"]) > asked["most"]:
        sys.exit(4)
except MemoryError:
    sys.exit(4)
except Exception as error:
    told = {"fault": (str(error) or type(error).__name__)[:500]}
sys.stdout.write(json.dumps(told))
"""


class Chat:
    """A talk, told as a model was trained to read it.

    names  special tokens that templates ask for by name, such as bos_token
    """

    def __init__(self, template: str, names: Mapping[str, str], tokenizer: Tokenizer) -> None:
        self._template, self._names = template, dict(names)
        content = json.loads(tokenizer.to_json())
        added = [one for one in content.get("added_tokens", []) if str(one["content"]).strip()]
        self._controls = {str(one["content"]): int(one["id"]) for one in added}
        self._control = re.compile(
            "|".join(map(re.escape, sorted(self._controls, key=len, reverse=True))) or "(?!)"
        )
        self._open = tokenizers.Tokenizer.from_str(json.dumps(content))
        for one in added:
            one["special"] = True
        self._plain = Tokenizer.from_json(json.dumps(content))
        self._rendered: dict[tuple[str, ...], str] = {}

    def ids(self, system: str, prompt: str) -> list[int]:
        """Tokens of one question, as `tell`."""
        begin = [Turn(role="system", content=system)] if system else []
        return self.tell([*begin, Turn(role="user", content=prompt)])

    def tell(self, turns: Sequence[Turn]) -> list[int]:
        """Tokens of a talk that waits for the model's answer.

        raises BundleError for a template that fails, BriefError for a talk in an order that it
               does not know, DependencyError where Jinja is not installed
        """
        if len(turns) > TURNS_MAX:
            raise BriefError(
                "the talk has {count} turns; at most {most} are read; leave out the first ones",
                count=len(turns),
                most=TURNS_MAX,
            )
        turns, rendered = self._render(turns)
        contents = [turn.content for turn in turns]
        found = self._open.encode(_filled(rendered, contents), add_special_tokens=False).ids
        meant = len(self._control.findall(rendered))
        if sum(one in self._controls.values() for one in found) == meant:
            return [int(one) for one in found]
        return self._apart(rendered, contents)  # somebody wrote a token of control

    def _render(self, turns: Sequence[Turn]) -> tuple[Sequence[Turn], str]:
        """The turns as the model knows them, and `_told` of them."""
        try:
            return turns, self._told(turns)
        except BundleError as error:
            failed = error
        plain = _without_system(turns)
        if any(turn.role == "system" for turn in turns):
            # Some models know no system's role; there the user says it all.
            try:
                return plain, self._told(plain)
            except BundleError as error:
                failed = error
        if len(plain) == 1:
            raise failed
        raise BriefError(
            "the model's chat template refuses this talk ({reason}); let user and assistant take "
            "turns, the user last",
            reason=failed.values["reason"],
        )

    def _apart(self, rendered: str, contents: Sequence[str]) -> list[int]:
        """Only what the template itself says as control, everything else as text."""
        ids: list[int] = []
        start = 0
        for control in self._control.finditer(rendered):
            ids += self._plain.encode(_filled(rendered[start : control.start()], contents))
            ids.append(self._controls[control[0]])
            start = control.end()
        return ids + self._plain.encode(_filled(rendered[start:], contents))

    def _told(self, turns: Sequence[Turn]) -> str:
        """The talk with marks for its contents: the n-th mark stands for the n-th turn."""
        roles = tuple(turn.role for turn in turns)
        if roles in self._rendered:
            return self._rendered[roles]
        marks = [chr(FIRST_MARK + number) for number in range(len(roles))]
        messages = [
            {"role": role, "content": mark} for role, mark in zip(roles, marks, strict=True)
        ]
        text = _rendered(self._template, messages, self._names)
        if sorted(MARK.findall(text)) != marks:
            raise _failing(t("it does not tell every message once"))
        while len(self._rendered) >= SHAPES_KEPT:
            del self._rendered[next(iter(self._rendered))]
        self._rendered[roles] = text
        return text


def _without_system(turns: Sequence[Turn]) -> list[Turn]:
    """The same talk with what the system says before what the user says next."""
    kept: list[Turn] = []
    held: list[str] = []
    for turn in turns:
        if turn.role == "system":
            held.append(turn.content)
        elif turn.role == "user":
            kept.append(Turn(role="user", content="\n\n".join([*held, turn.content])))
            held = []
        else:
            kept.append(turn)
    return [*kept, Turn(role="user", content="\n\n".join(held))] if held else kept


def read_chat(folder: Path, tokenizer: Tokenizer) -> Chat | None:
    """The chat template of a folder; None where it has none. BundleError for an unreadable one."""
    described = read_object_if_there(folder / TOKENIZER_CONFIG)
    own = folder / TEMPLATE
    template = read_text(own) if own.is_file() else _described(described.get("chat_template"))
    if len(template) > TEMPLATE_CHARACTERS_MAX:
        raise _failing(t("it is too long"))
    said = {name: described.get(name) for name in NAMES}
    words = {name: one.get("content") if isinstance(one, dict) else one
             for name, one in said.items()}  # fmt: skip
    names = {
        name: word if isinstance(word, str) else tokenizer.roles.get(NAMES[name], "")
        for name, word in words.items()
    }
    return Chat(template, {n: w for n, w in names.items() if w}, tokenizer) if template else None


def _described(found: object) -> str:
    """The template in tokenizer_config.json; of several that for talking."""
    if isinstance(found, list):
        named = {one.get("name"): one.get("template") for one in found if isinstance(one, dict)}
        found = named.get("default")
    if found is not None and not isinstance(found, str):
        raise _failing(t("it is no text"))
    return found or ""


def _rendered(
    template: str, messages: Sequence[Mapping[str, str]], names: Mapping[str, str]
) -> str:
    """What a template makes of messages, by a process whose time and memory are bounded."""
    asked: dict[str, Any] = {
        "template": template,
        "messages": messages,
        "names": names,
        "most": RENDERED_CHARACTERS_MAX,
        "limits": {
            "RLIMIT_CPU": SECONDS_MAX,
            "RLIMIT_AS": MEMORY_BYTES_MAX,
            "RLIMIT_FSIZE": 0,
        },
    }
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _CHILD],
            input=json.dumps(asked).encode(),
            capture_output=True,
            timeout=10 * SECONDS_MAX,
            env=kept,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _failing(t("it takes too long")) from None
    if done.returncode == 3:
        raise DependencyError(
            "chat templates need jinja2; install it with pip install 'wenfang[remote]'"
        )
    if done.returncode == 4:
        raise _failing(t("it makes too long a text"))
    if done.returncode:
        raise _failing(t("it takes too long") if done.returncode < 0 else t("it cannot be run"))
    told = json.loads(done.stdout)
    if "fault" in told:
        raise _failing(told["fault"])
    return str(told["text"])


def _filled(text: str, contents: Sequence[str]) -> str:
    return MARK.sub(lambda found: contents[ord(found[0]) - FIRST_MARK], text)


def _failing(reason: str) -> BundleError:
    shown = " ".join("".join(c if c.isprintable() else " " for c in reason[:400]).split())[:200]
    return BundleError(
        "the model's chat template fails ({reason}); get the folder again", reason=shown
    )
