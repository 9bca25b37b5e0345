"""Messages in the reader's language, and a catalogue without a gap."""

from __future__ import annotations

import ast
import json
import string
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import wenfang
from wenfang import errors
from wenfang.language import catalogue, language, t

SOURCE = Path(wenfang.__file__).parent
ERRORS = {
    name
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, errors.WenfangError)
}
# Functions that raise an error class given to them call it by this name.
RAISERS = {*ERRORS, "error", "t"}


def templates(tree: ast.AST) -> Iterator[str]:
    """Literal first arguments of every call of `t` and of an error class."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name in RAISERS:
                yield from literals(node.args[0])


def literals(node: ast.expr) -> Iterator[str]:
    """The texts that an expression can be: a constant, or either side of a condition."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from literals(node.body)
        yield from literals(node.orelse)


@cache
def all_templates() -> dict[str, str]:
    """Every template of the source, and the file that it is in."""
    found: dict[str, str] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        for template in templates(ast.parse(path.read_text("utf-8"))):
            found.setdefault(template, str(path.relative_to(SOURCE)))
    return found


def named_fields(template: str) -> set[str]:
    """Names of the fields in a template."""
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def missing() -> dict[str, str]:
    """Templates without a Chinese translation, and where they are."""
    known = catalogue("zh")
    return {text: path for text, path in all_templates().items() if text not in known}


def test_the_scan_finds_what_it_is_meant_to_find() -> None:
    code = """
def f(error):
    raise DataError("one {a}", a=1)
    raise errors.StoppedError("two" if f else "three")
    raise error("four")
    print(t("five"), other("six"))
"""
    assert list(templates(ast.parse(code))) == ["one {a}", "two", "three", "four", "five"]
    assert "{path} is damaged; delete it to resume from the state before" in all_templates()


def test_every_message_is_in_the_chinese_catalogue() -> None:
    gaps = [f"{path}: {template}" for template, path in missing().items()]
    assert not gaps, "\n".join(["not translated:", *gaps])


def test_a_translation_has_the_fields_of_its_template() -> None:
    wrong = [
        template
        for template, chinese in catalogue("zh").items()
        if named_fields(template) != named_fields(chinese)
    ]
    assert not wrong


def test_the_catalogue_holds_nothing_that_the_source_no_longer_says() -> None:
    said = all_templates()
    assert [template for template in catalogue("zh") if template not in said] == []


def test_a_message_never_formats_before_it_is_looked_up() -> None:
    """An f-string or a sum as template could never be found in the catalogue."""
    formatted = []
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            name = getattr(getattr(node, "func", None), "id", "")
            if (
                isinstance(node, ast.Call)
                and name in RAISERS
                and node.args
                and isinstance(node.args[0], ast.JoinedStr | ast.BinOp)
            ):
                formatted.append(f"{path.relative_to(SOURCE)}:{node.lineno}")
    assert not formatted


@pytest.mark.parametrize(
    ("value", "code"),
    [("zh", "zh"), ("zh_CN.UTF-8", "zh"), ("ZH-tw", "zh"), ("en", "en"), ("fr", "en"), ("", "en")],
)
def test_the_environment_chooses_the_language(
    monkeypatch: pytest.MonkeyPatch, value: str, code: str
) -> None:
    monkeypatch.setenv("WENFANG_LANG", value)
    assert language() == code


def test_a_message_is_shown_in_the_chosen_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalogue("zh"), "{path} is empty", "{path} 是空的")
    monkeypatch.setenv("WENFANG_LANG", "zh")
    assert t("{path} is empty", path="a.txt") == "a.txt 是空的"
    assert t("not in any catalogue {x}", x=1) == "not in any catalogue 1"
    monkeypatch.setenv("WENFANG_LANG", "en")
    assert t("{path} is empty", path="a.txt") == "a.txt is empty"


if __name__ == "__main__":
    print(json.dumps(missing(), indent=2, ensure_ascii=False))
