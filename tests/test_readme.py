"""README and documentation say what is true: their commands run, their links lead somewhere."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
READMES = (ROOT / "README.md", ROOT / "README.zh-CN.md")
PAGES = sorted((ROOT / "docs").rglob("*.md"))
TEXTS = (*READMES, ROOT / "CONTRIBUTING.md", *PAGES)
SCRIPTS = Path(sys.executable).parent

MARKED = re.compile(r"<!-- (run|not run)[^>]*-->\n```(bash|python)\n(.*?)```", re.DOTALL)
BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
INLINE = re.compile(r"`(wenfang [^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")


def blocks(path: Path) -> list[tuple[str, str, str]]:
    """(run or not run, language, code) of every marked block."""
    return [(m[1], m[2], m[3]) for m in MARKED.finditer(path.read_text("utf-8"))]


def test_every_block_of_a_readme_says_whether_it_is_run() -> None:
    for path in READMES:
        code = [m for m in BLOCK.finditer(path.read_text("utf-8")) if m[1] in ("bash", "python")]
        assert len(blocks(path)) == len(code) >= 3


def without_comments(code: str) -> list[str]:
    return [line.split("#")[0].rstrip() for line in code.splitlines()]


def test_both_readmes_give_the_same_commands() -> None:
    english, chinese = (
        [(kind, language, without_comments(code)) for kind, language, code in blocks(path)]
        for path in READMES
    )
    assert english == chinese


@pytest.mark.slow
def test_the_commands_of_the_readme_run(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("WENFANG_")},
        "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path / "home"),
        "WENFANG_HOME": str(tmp_path / "home" / "wenfang"),
    }
    ran = 0
    for kind, language, code in blocks(READMES[0]):
        if kind == "run":
            command = ["bash", "-euo", "pipefail"] if language == "bash" else [sys.executable]
            done = subprocess.run(
                [*command, "-c", code],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
            ran += 1
    assert ran >= 2
    assert (tmp_path / "out/card/card.png").is_file()


def commands_in(text: str) -> Iterator[list[str]]:
    """Words of every `wenfang …` command of a page's shell blocks and inline code."""
    lines = [m[1] for m in INLINE.finditer(text)]
    for language, code in BLOCK.findall(text):
        if language in ("sh", "bash"):
            lines += [line.strip() for line in code.splitlines()]
    for line in lines:
        plain = line.split(" #")[0].split(" > ")[0]
        if plain.startswith("wenfang "):
            yield re.sub(r"[\[\]…|]", " ", plain).split() if "[" in plain else shlex.split(plain)


def fault_of(words: list[str], command: object) -> str:
    """What is wrong with a command line: an unknown command or option; "" if nothing is."""
    path = "wenfang"
    for word in words[1:]:
        parts = getattr(command, "commands", None)
        if not parts or word.startswith("-") or not word.isascii() or word.isupper():
            break
        if word not in parts:
            return f"{path} has no command {word}"
        command, path = parts[word], f"{path} {word}"
    known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}  # type: ignore[attr-defined]
    given = {word.split("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word)}
    unknown = given - known - {"--help"}
    return f"{path} has no option {', '.join(sorted(unknown))}" if unknown else ""


@pytest.mark.parametrize("page", TEXTS, ids=lambda path: path.name)
def test_every_command_in_a_text_exists_with_its_options(page: Path) -> None:
    import typer

    from wenfang.cli.app import app

    root = typer.main.get_command(app)
    found = [fault_of(words, root) for words in commands_in(page.read_text("utf-8"))]
    assert [fault for fault in found if fault] == []


@pytest.mark.parametrize("page", TEXTS, ids=lambda path: path.name)
def test_every_link_and_picture_of_a_text_is_there(page: Path) -> None:
    targets = [one or two for one, two in LINK.findall(page.read_text("utf-8"))]
    local = [target.split("#")[0] for target in targets if "://" not in target]
    assert [name for name in local if name and not (page.parent / name).exists()] == []


def listed(entries: list[dict[str, Any]]) -> Iterator[str]:
    """Every page of a navigation, those of its groups among them."""
    for value in (one for entry in entries for one in entry.values()):
        yield from [value] if isinstance(value, str) else listed(value)


def test_every_page_is_in_the_navigation() -> None:
    settings = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))
    docs = ROOT / "docs"
    pages = [path.relative_to(docs).as_posix() for path in docs.rglob("*.md")]
    assert sorted(listed(settings["project"]["nav"])) == sorted(pages)


def test_commands_and_schemas_are_those_of_the_program() -> None:
    check = [sys.executable, str(ROOT / "tools" / "reference.py"), "--check"]
    done = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_error_class_is_in_the_table_of_exit_codes() -> None:
    from wenfang import errors

    text = (ROOT / "docs" / "concepts.md").read_text("utf-8")
    codes = {
        kind.exit_code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.WenfangError)
    }
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)} == codes
