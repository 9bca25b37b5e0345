"""Messages in the reader's language, and a catalogue without a gap."""

from __future__ import annotations

import ast
import builtins
import json
import re
import string
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import wenfang
from wenfang.cli import main
from wenfang.cli.help import SAID, restated, wrapped
from wenfang.cli.show import width
from wenfang.language import catalogue, language, t

SOURCE = Path(wenfang.__file__).parent
# Where a call keeps its template: functions that raise an error class given to them call it
# `error`; a check's observation is kept as template and values, like an error.
TEMPLATE_AT = {"t": 0, "error": 0, "Evidence": 0, "not_measured": 3, "keyed": 0}


Values = dict[str, list[ast.expr]]


def templates(tree: ast.Module) -> Iterator[str]:
    """Every text that is looked up in the catalogue: templates, commands' help, summaries."""
    values: Values = {}
    for name, value in assignments(tree):
        values.setdefault(name, []).append(value)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        place = template_at(called(node))
        if len(node.args) > place:
            yield from literals(node.args[place], values)
        for keyword in node.keywords:
            if keyword.arg == "summary":
                yield from literals(keyword.value, values)
    yield from command_help(tree, values)


def called(node: ast.AST) -> str:
    """The last name of what is called; empty where nothing is."""
    function = getattr(node, "func", None)
    return getattr(function, "id", getattr(function, "attr", ""))


def template_at(name: str) -> int:
    """Which argument of a call of `name` is a template; beyond the last where none is."""
    own_error = name.endswith("Error") and not hasattr(builtins, name)
    return 0 if own_error else TEMPLATE_AT.get(name, sys.maxsize)


def assignments(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Names that are given values or run through them, and those values."""
    for node in ast.walk(tree):
        target, value = None, None
        if isinstance(node, ast.Assign):
            target, value = node.targets[0], node.value
        elif isinstance(node, ast.AnnAssign):
            target, value = node.target, node.value
        elif isinstance(node, ast.For | ast.comprehension):
            target, value = node.target, node.iter
        if isinstance(target, ast.Name) and value is not None:
            yield target.id, value


def literals(node: ast.expr, values: Values) -> Iterator[str]:
    """The texts that an expression can be: a constant, a name of some, either side of a choice."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from literals(node.body, values)
        yield from literals(node.orelse, values)
    elif isinstance(node, ast.Tuple):
        for one in node.elts:
            yield from literals(one, values)
    elif isinstance(node, ast.Name) and node.id in values:
        others = {name: found for name, found in values.items() if name != node.id}
        for one in values[node.id]:
            yield from literals(one, others)


def command_help(tree: ast.Module, values: Values) -> Iterator[str]:
    """Docstrings of the functions in a table of commands; they are the commands' help."""
    commands = {
        one.id
        for name, tables in values.items()
        if name.endswith("COMMANDS")
        for table in tables
        if isinstance(table, ast.Dict)
        for one in table.values
        if isinstance(one, ast.Name)
    }
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name in commands:
            yield ast.get_docstring(node, clean=False) or ""


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
    code = '''
NONE = "six"
MANY = ("seven", "eight")
def command():
    """Nine."""
    recipe(name="no", summary="ten")
COMMANDS: dict = {"command": command}
def f(error):
    raise DataError("one {a}", a=1)
    raise errors.StoppedError("two" if f else "three")
    raise error("four")
    print(t("five"), other("no"), t(NONE), not_measured("no", "1", 0.0, NONE))
    for template in MANY:
        Evidence(template, {})
'''
    assert set(templates(ast.parse(code))) == {
        *("one {a}", "two", "three", "four", "five", "six", "seven", "eight", "Nine.", "ten")
    }
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
            place = template_at(called(node))
            if (
                isinstance(node, ast.Call)
                and len(node.args) > place
                and isinstance(node.args[place], ast.JoinedStr | ast.BinOp)
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


@pytest.mark.parametrize("template", SAID)
def test_a_usage_error_of_typer_is_said_again_in_chinese(
    monkeypatch: pytest.MonkeyPatch, template: str
) -> None:
    values = {name: f"<{name}>" for name in named_fields(template)}
    monkeypatch.setenv("WENFANG_LANG", "zh")
    said = restated(template.format(**values))
    assert said == catalogue("zh")[template].format(**values)
    assert said != template.format(**values)
    assert restated("a word of some later typer") == "a word of some later typer"


def test_typer_still_says_what_is_looked_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its words, if it changed them, would stay English without a fault."""
    monkeypatch.setenv("WENFANG_LANG", "zh")
    for line in ("crate", "create", "create --nothing x", "generate x -n 0", "recipes extra"):
        with pytest.raises(SystemExit):
            main(line.split())
        latin = re.sub("wenfang( --help)?|'.*?'|--nothing|extra", "", capsys.readouterr().err)
        assert not re.search("[A-Za-z]", latin), latin


@pytest.mark.parametrize("columns", [10, 11, 24])
def test_chinese_help_keeps_its_columns_and_breaks_before_no_stop(columns: int) -> None:
    text = "将材料清洗、去重、筛选（依规则），划分为 train、valid 与 test。"
    lines = wrapped(text, columns)
    assert max(map(width, lines)) <= columns
    assert not [line for line in lines if line[0] in "、，。）" or line[-1] == "（"]
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


if __name__ == "__main__":
    print(json.dumps(missing(), indent=2, ensure_ascii=False))
