"""Two processes train as one."""

from __future__ import annotations

from pathlib import Path

import torch

import tiny_run
from wenfang.checkpoint import states
from wenfang.trainer import Trainer


def run_two_ranks(run: Path, stop_at: int = 0) -> list[int | None]:
    port = tiny_run.free_port()
    ranks = [tiny_run.start(tiny_run.train_rank, run, rank, port, stop_at) for rank in range(2)]
    return tiny_run.finish(*ranks)


def test_two_processes_end_with_the_weights_of_one(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    Trainer(tiny_run.task(batches=tiny_run.ragged()), one).fit()
    assert run_two_ranks(two) == [0, 0]
    expected, found = tiny_run.final_state(one), tiny_run.final_state(two)
    for name, tensor in expected.items():
        assert torch.allclose(tensor, found[name], rtol=0, atol=1e-5), name


def test_a_signal_to_one_process_stops_both_at_one_step(tmp_path: Path) -> None:
    assert run_two_ranks(tmp_path, stop_at=5) == [105, 105]
    assert states(tmp_path / "checkpoints")[-1].name == "step_00000005"
    assert run_two_ranks(tmp_path) == [0, 0]
    assert states(tmp_path / "checkpoints")[-1].name == "step_00000012"
