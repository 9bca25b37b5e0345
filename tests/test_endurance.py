"""A tenth of the long runs: kills while sealing, and mutated files for every reader."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


def run(tmp_path: Path, name: str, *arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / name), *arguments, "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_killed_writers_leave_whole_files_or_none(tmp_path: Path) -> None:
    found = run(tmp_path, "kill.py", "--pieces", "100", "--seed", "7")
    assert found["published"] == 100
    assert set(found["outcomes"]) == {"good"}
    assert found["left_over"] == []
    assert found["kills"] >= 5


@pytest.mark.slow
def test_mutated_files_crash_nothing_hang_nothing_and_stay_small(tmp_path: Path) -> None:
    found = run(tmp_path, "fuzz.py", "--files", "2000", "--seed", "7")
    assert found["crashes_and_hangs"] == []
    assert found["over_2_s"] == 0
    assert found["peak_memory_mb"] <= 512
    assert found["formats"] == 23
    assert found["outcomes"]["tampered"] > 1000
