"""Every command says what it is asked, in words or in JSON, and leaves with the right code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from conftest import Call
from wenfang.store import Store

SCENARIO = "wenfang.scenarios.verse_card"
COMMANDS = (
    (),
    *(("create",), ("scenarios",), ("generate",), ("models",), ("prepare",)),
    *(("verify",), ("seal",), ("edit",), ("replay",)),
    *(("train",), ("evaluate",), ("recipes",), ("lineage",), ("doctor",)),
    *(("embed",), ("import",), ("export",)),
    *(("store",), *(("store", n) for n in ("du", "gc", "export", "import", "delete", "check"))),
    *(("identity",), *(("identity", n) for n in ("init", "show", "rotate", "export"))),
    *(("serve",), ("studio",)),
    *(("jobs",), *(("jobs", n) for n in ("list", "show", "watch", "work", "clean"))),
    *(("jobs", n) for n in ("cancel", "pause", "resume", "retry")),
    *(("people",), *(("people", n) for n in ("add", "list", "role", "password", "remove"))),
    *(("keys",), *(("keys", n) for n in ("add", "list", "revoke"))),
    *(("projects",), *(("projects", n) for n in ("add", "list", "revoke"))),
)
HELP_OF_ALL = f"""
import contextlib, io, sys
from wenfang.cli import main
for words in {COMMANDS!r}:
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            main([*words, "--help"])
    except SystemExit as leaving:
        assert leaving.code == 0, words
    assert "--help" in out.getvalue(), words
assert "torch" not in sys.modules
"""


def test_every_command_has_help_without_torch() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HELP_OF_ALL], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_table_above_names_every_command() -> None:
    from wenfang.cli import embed, exchange, keep, learn, make, prove, serve
    from wenfang.cli.app import GROUPS

    names: set[tuple[str, ...]] = {
        (name,)
        for table in (make, embed, prove, learn, exchange, keep, serve)
        for name in table.COMMANDS
    }
    names |= {(group,) for group in GROUPS}
    names |= {(group, name) for group, (_, table) in GROUPS.items() for name in table}
    assert names == set(COMMANDS) - {()}


def test_verify_does_not_import_torch(home: Path) -> None:
    Path("a.txt").write_text("by hand")
    code = (
        "import sys; from wenfang.cli import main\n"
        "try: main(['verify', 'a.txt'])\n"
        "except SystemExit as e: assert e.code == 2, e.code\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout


def test_a_terminal_without_chinese_characters_is_no_error(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from wenfang.cli import main; main(['generate', 'vérse'])"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 16
    assert "v\\xe9rse" in done.stderr


def test_lists_are_tables_or_json(call: Call) -> None:
    for command in ("models", "scenarios", "recipes", "doctor"):
        plain, document = call(command), call(command, "--json")
        assert plain.code == document.code == 0
        assert plain.out
        assert document.json
    assert "verse_card" in call("scenarios").out
    assert "verse" in call("models").out
    assert call("models", "show", "verse").out.startswith("---")
    assert call("models", "show", "verse", "--json").json["kind"] == "bundle"


@pytest.mark.usefixtures("home")
def test_doctor_makes_nothing_and_finds_a_damaged_identity(call: Call, home: Path) -> None:
    before = sorted(home.iterdir())
    assert call("doctor").code == 0
    assert sorted(home.iterdir()) == before
    call("identity", "init")
    (home / "identity/signer.pem").write_text("damaged")
    sick = call("doctor")
    assert sick.code == 10
    assert "✗" in sick.out


def test_identity_show_prints_no_secret(call: Call, home: Path) -> None:
    made = call("identity", "init")
    shown = call("identity", "show", "--json")
    assert (made.code, shown.code) == (0, 0)
    told = made.out + shown.out + call("identity", "rotate").out
    assert "PRIVATE" not in told
    for path in (home / "identity").iterdir():
        secret = [line for line in path.read_text().splitlines() if "-----" not in line]
        if "PRIVATE" in path.read_text():
            assert path.stat().st_mode & 0o077 == 0
            assert not any(line in told for line in secret if len(line) > 20)
    assert call("identity", "export", "-o", "root.pem").code == 0
    assert "PRIVATE" not in Path("root.pem").read_text()


@pytest.fixture
def piece(call: Call, brief: object, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a piece in the store, its card a blank."""
    from PIL import Image

    def blank(*_: object) -> Image.Image:
        return Image.new("RGB", (400, 560), "white")

    monkeypatch.setattr(import_module(SCENARIO), "typeset_card", blank)
    assert callable(brief)
    made = call("create", brief(), "-o", "out", "--json").json
    return str(made["pieces"][0]["piece"])


def test_the_store_is_measured_collected_exported_pruned_and_checked(
    call: Call, piece: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = call("store", "du", "--json").json
    assert usage["kinds"]["piece"]["count"] == 1
    assert "piece" in call("store", "du").out
    assert call("store", "check").code == 0
    assert call("store", "gc", "--dry-run").out.startswith("would be removed: 0 assets")
    assert call("store", "gc", "--json").json["assets"] == []

    assert call("store", "export", piece, "-o", "piece.zip").code == 0
    assert call("store", "export", piece, "-o", "piece.zip").code >= 10  # never over a file
    monkeypatch.setenv("WENFANG_HOME", str(home.parent / "another"))
    assert call("store", "import", "piece.zip").out.strip() == piece
    assert "CC0-1.0" in call("lineage", piece).out
    assert call("lineage", piece, "--json").json
    Path("bad.zip").write_bytes(Path("piece.zip").read_bytes()[:-100])
    assert call("store", "import", "bad.zip").code == 13

    monkeypatch.setenv("WENFANG_HOME", str(home))
    card = json.loads(Path("out/card.png.wenfang.json").read_text())
    asset = card["statement"]["manifest_sha256"]
    refused = call("store", "delete", asset)
    assert refused.code == 64
    assert "made from" in refused.error
    assert call("store", "delete", piece).code == 0
    assert call("store", "delete", asset).code == 0
    assert call("lineage", asset).code == 16
    with Store.open() as store:
        brief = next(manifest.id for manifest in store.list("brief"))
        blob = store.payload_path(brief)
    os.chmod(blob, 0o644)
    blob.write_bytes(b"x")
    damaged = call("store", "check", "--json")
    assert damaged.code == 17
    assert damaged.json


def test_generate_prints_and_publishes_with_a_lineage(call: Call) -> None:
    said = call("generate", "verse", "春江", "--seed", "3")
    assert said.code == 0
    assert "AI生成" in said.out
    made = call("generate", "verse", "春江", "--seed", "3", "-o", "poem.txt", "--json").json
    assert made["generated"][0]["text"] in said.out
    assert call("verify", "poem.txt").code == 0
    lineage = call("lineage", "poem.txt").out
    assert "poems.jsonl" in lineage
    assert "CC0-1.0" in lineage
    several = call("generate", "verse", "-n", "3", "--seed", "2", "-o", "several", "--json").json
    assert [Path(path).name for path in several["files"]] == [
        "00002.txt",
        "00003.txt",
        "00004.txt",
    ]
    assert call("verify", "several").code == 0
    assert call("generate", "verse", "-o", "poem.docx").code == 14


def test_a_bundle_is_found_by_its_folder_and_by_its_run(call: Call, home: Path) -> None:
    by_name = call("generate", "verse", "--seed", "1").out
    assert call("generate", home / "bundles/verse", "--seed", "1").out == by_name
    (home / "bundles/verse").rename(home / "bundle")
    assert call("generate", home, "--seed", "1").out == by_name


def test_chinese_is_spoken_when_asked(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WENFANG_LANG", "zh")
    assert "没有" in call("generate", "vers").error


def test_an_interrupt_while_a_module_is_imported_is_one_and_another_fault_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from wenfang import cli
    from wenfang.cli import app as commands

    def stopped(**_: object) -> int:
        raise ImportError("initialization failed") from KeyboardInterrupt()

    def broken(**_: object) -> int:
        raise ImportError("no such module")

    monkeypatch.setattr(commands, "app", stopped)
    with pytest.raises(SystemExit) as leaving:
        cli.main(["doctor"])
    assert leaving.value.code == 130
    assert "goes on" in capsys.readouterr().err
    monkeypatch.setattr(commands, "app", broken)
    with pytest.raises(ImportError):
        cli.main(["doctor"])
