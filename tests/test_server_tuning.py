"""/v1/fine_tuning/jobs by OpenAI's client in strict mode: one server, one worker, a tiny bundle."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import openai
import pytest
from openai.types.fine_tuning import FineTuningJob

from serving import Served, serving
from tiny_bundle import write_bundle
from wenfang.engine.tuning import OwnPlan, TuningPlan, TuningWish, planned
from wenfang.server.tuning import wish_of

ENDED = ("succeeded", "failed", "cancelled")
PAIRS = [{"prompt": f"p {n}", "completion": f" c {n}"} for n in range(10)]
TALKS = [
    {"messages": [{"role": "user", "content": f"hi {n}"}, {"role": "assistant", "content": "yo"}]}
    for n in range(10)
]
SHORT: Any = {"n_epochs": 1, "batch_size": 4, "learning_rate_multiplier": 0.5}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("served")
    write_bundle(home / "bundles" / "gpt2", "gpt2")
    with serving(home, workers=1) as served:
        yield served


def upload(server: Served, rows: list[Any] | bytes, purpose: Any = "fine-tune") -> str:
    content = rows if isinstance(rows, bytes) else "\n".join(map(json.dumps, rows)).encode()
    return server.client().files.create(file=("my.jsonl", content), purpose=purpose).id


def ended(server: Served, name: str) -> FineTuningJob:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        found = server.client().fine_tuning.jobs.retrieve(name)
        if found.status in ENDED:
            return found
        time.sleep(0.2)
    raise AssertionError("the tuning does not end")


def test_a_bundle_is_tuned_and_can_be_asked(server: Served) -> None:
    tuning = server.client().fine_tuning.jobs
    made = tuning.create(
        model="gpt2",
        training_file=upload(server, PAIRS),
        suffix="mine",
        seed=7,
        method={"type": "supervised", "supervised": {"hyperparameters": SHORT}},
        metadata={"for": "a test"},
    )
    assert made.status == "validating_files"
    assert made.fine_tuned_model is None
    assert made.metadata == {"for": "a test"}
    found = ended(server, made.id)
    assert found.status == "succeeded", found.error
    assert found.fine_tuned_model
    assert found.fine_tuned_model.startswith("gpt2-mine-")
    assert found.finished_at
    assert found.hyperparameters.batch_size == 4
    assert found.hyperparameters.n_epochs == 1
    assert found.seed == 7
    extra = (found.model_extra or {})["wenfang"]
    assert (extra["examples"], extra["steps"]) == (9, 3)
    models = {one.id: one for one in server.client().models.list()}
    assert "/v1/completions" in (models[found.fine_tuned_model].model_extra or {})["endpoints"]
    text = server.client().completions.create(
        model=found.fine_tuned_model, prompt="p 1", max_tokens=4
    )
    assert text.choices
    told = list(tuning.list_events(made.id, limit=2))  # the client asks for the other pages
    assert len({one.id for one in told}) == len(told) > 4
    assert [one.created_at for one in told] == sorted((t.created_at for t in told), reverse=True)
    assert any(one.type == "metrics" and "training loss" in one.message for one in told)
    assert not any(str(server.home) in one.message for one in told)
    assert told[0].message == "The job has ended well."
    (checkpoint,) = tuning.checkpoints.list(made.id)
    assert checkpoint.fine_tuned_model_checkpoint == found.fine_tuned_model
    assert checkpoint.step_number == 3
    assert checkpoint.metrics.valid_loss
    assert made.id in [one.id for one in tuning.list(limit=1)]
    with pytest.raises(openai.ConflictError):
        tuning.cancel(made.id)
    with pytest.raises(openai.ConflictError):
        tuning.pause(made.id)
    assert server.client().models.delete(found.fine_tuned_model).deleted
    assert found.fine_tuned_model not in {one.id for one in server.client().models.list()}
    assert not (server.home / "runs" / found.fine_tuned_model).exists()
    with pytest.raises(openai.NotFoundError):
        server.client().models.delete("verse")


def test_talks_are_learnt_from_and_a_job_is_paused_resumed_and_cancelled(server: Served) -> None:
    tuning = server.client().fine_tuning.jobs  # whose types know no pause
    made = tuning.create(
        model="gpt2",
        training_file=upload(server, TALKS),
        hyperparameters={"n_epochs": 100, "batch_size": 1},
    )
    until = time.monotonic() + 60
    while tuning.retrieve(made.id).status != "running" and time.monotonic() < until:
        time.sleep(0.05)
    tuning.pause(made.id)
    while (found := tuning.retrieve(made.id)).status == "running":
        assert time.monotonic() < until
        time.sleep(0.1)
    assert found.status == "queued"
    assert (found.model_extra or {})["wenfang"]["state"] == "paused"
    assert tuning.resume(made.id).status == "queued"
    tuning.cancel(made.id)
    assert ended(server, made.id).status == "cancelled"
    assert tuning.retrieve(made.id).fine_tuned_model is None
    assert list(tuning.checkpoints.list(made.id)) == []


def test_examples_that_do_not_fit_fail_with_a_reason(server: Served) -> None:
    tuning = server.client().fine_tuning.jobs
    rows = [*PAIRS, {"prompt": "long", "completion": "x" * 400}]
    found = ended(server, tuning.create(model="gpt2", training_file=upload(server, rows)).id)
    assert found.status == "failed"
    assert found.error
    assert found.error.param == "training_file"
    assert "longer than the context" in found.error.message
    assert any(one.level == "error" for one in tuning.list_events(found.id))


@pytest.mark.parametrize(
    ("rows", "part"),
    [
        (b"\n\n", "is empty"),
        (b"{", "my.jsonl:1"),
        (b"[1]\n", "not a JSON object"),
        (b'{"prompt": "a"}\n', "no field completion"),
        (b'{"text": "a"}\n', "no field prompt"),
        (b'{"prompt": "a", "completion": ""}\n', "must be a text"),
        (b'{"messages": [{"role": "user", "content": "a"}]}\n', "messages must hold"),
        (b'{"prompt": "a", "completion": "b"}\n', "at least 2 are needed"),
        (b"\xff\xfe\x00", "my.jsonl"),
    ],
)
def test_files_that_hold_no_examples_are_refused_by_the_line(
    server: Served, rows: bytes, part: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        server.client().fine_tuning.jobs.create(model="gpt2", training_file=upload(server, rows))
    assert caught.value.code == "invalid_training_file"
    assert caught.value.param == "training_file"
    assert part in caught.value.message
    assert str(server.home) not in caught.value.message


@pytest.mark.parametrize(
    ("changed", "status", "param"),
    [
        ({"model": "nobody"}, 404, "model"),
        ({"model": "encoder"}, 400, "model"),
        ({"model": "../../etc"}, 404, "model"),
        ({"training_file": "file-" + "0" * 24}, 404, "training_file"),
        ({"training_file": "../../etc/passwd"}, 404, "training_file"),
        ({"validation_file": "file-1"}, 400, "validation_file"),
        ({"integrations": [{"type": "wandb", "wandb": {"project": "x"}}]}, 400, "integrations"),
        ({"method": {"type": "dpo"}}, 400, "method.type"),
        ({"hyperparameters": {"n_epochs": 0}}, 400, None),
        ({"suffix": "../x"}, 400, "suffix"),
        ({"colour": "red"}, 400, "colour"),
        ({"licence": "$(rm)"}, 400, "licence"),
    ],
)
def test_tunings_that_cannot_be_are_refused(
    server: Served, changed: dict[str, Any], status: int, param: str | None
) -> None:
    body = {"model": "gpt2", "training_file": upload(server, PAIRS), **changed}
    answer = server.http().post("/v1/fine_tuning/jobs", json=body)
    assert answer.status_code == status, answer.text
    assert param is None or answer.json()["error"]["param"] == param


def test_another_purpose_and_another_project_are_refused(server: Served) -> None:
    file = upload(server, PAIRS, "user_data")
    tuning = server.client().fine_tuning.jobs
    with pytest.raises(openai.BadRequestError, match="purpose fine-tune"):
        tuning.create(model="gpt2", training_file=file)
    made = tuning.create(model="gpt2", training_file=upload(server, PAIRS), hyperparameters=SHORT)
    database = sqlite3.connect(server.home / "wenfang.sqlite", timeout=20)
    with closing(database), database:
        moved = "UPDATE tunings SET project = 'another' WHERE id = ?"
        database.execute(moved, (made.id,))
    for ask in (tuning.retrieve, tuning.cancel, tuning.pause, tuning.resume, tuning.list_events):
        with pytest.raises(openai.NotFoundError):
            ask(made.id)


def plan(**hyperparameters: Any) -> TuningPlan:
    auto = {"n_epochs": "auto", "batch_size": "auto", "learning_rate_multiplier": "auto"}
    own = OwnPlan(examples=90, batch_size=16, steps=48, rate=0.004)
    return planned(own, TuningWish(**wish_of({**auto, **hyperparameters})))


def test_hyperparameters_become_settings_of_the_recipe() -> None:
    # What nobody asks for is left to the recipe, as on the command line.
    assert plan().settings == ("train.log_every=1",)
    assert (plan().steps, plan().batch_size) == (48, 16)
    found = plan(n_epochs=2, batch_size=10, learning_rate_multiplier=0.5)
    settings = dict(one.split("=") for one in found.settings)
    assert (settings["train.steps"], settings["train.batch_size"]) == ("18", "10")
    assert float(settings["optim.lr"]) == 0.002
    assert found.epochs == 2
    found = plan(batch_size=1000)
    assert found.batch_size == 90
    assert found.steps == 9  # as many epochs as the recipe would have done
    assert "train.evaluate_every=2" in found.settings
