"""What a fuzzed server has that requests can name: files, jobs, pieces, films, people and keys."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from fuzzing import Things
from serving import Served

MADE_S = 600.0
BRIEF = {"scenario": "translate", "text": "We open at nine.", "into": "zh", "seed": 2}
FILM = {"prompt": "Rain on the river", "settings": {"fps": 12, "music": False}}
ASKED = {"model": "verse", "prompt": "春江", "seeds": [1], "settings": {}}
GENERATED = {"kind": "generate", "request": ASKED}
LINE = {"custom_id": "a", "method": "POST", "url": "/v1/completions",
        "body": {"model": "verse", "prompt": "春", "max_tokens": 4}}  # fmt: skip
PAIRS = [{"prompt": f"p {number}", "completion": f" c {number}"} for number in range(10)]
TINY_BASE = "gpt2"  # of `tiny_bundle.write_bundle`
MODELS = {
    "/v1/completions": ("verse",),
    "/v1/responses": ("verse",),
    "/v1/embeddings": ("encoder",),
    "/v1/moderations": ("checks",),
    "/v1/images/generations": ("digits-gan", "pictogram-latents"),
    "/v1/images/edits": ("upscaler",),
    "/v1/images/variations": ("picture-encoder", "verse"),
    "/v1/audio/speech": ("speech",),
    "/v1/videos": ("film",),
    "/v1/fine_tuning/jobs": (TINY_BASE, "verse"),
}
# Whose work takes seconds; most of their cases name what is not there.
RARE = {
    "POST /v1/pieces/{name}/replay": 0.05,
    "POST /v1/pieces/{name}/verify": 0.2,
    "POST /v1/content_provenance_checks": 0.3,
}


@dataclass(frozen=True, kw_only=True)
class Maker:
    """Makes things on one server, as who sits at the machine.

    plugged  a chat model; "" where none is
    tuned    whether the tiny base is there
    spare    of each kind that a route deletes
    """

    served: Served
    plugged: str = ""
    tuned: bool = False
    spare: int = 12

    @property
    def _http(self) -> httpx.Client:
        return self.served.http()

    def key(self) -> str:
        """Of somebody who may make, and not manage."""
        self._made("people", {"name": "fuzzing-maker", "role": "maker"})
        body = {"name": "fuzzing", "person": "fuzzing-maker", "project": "default"}
        return str(self._made("keys", body)["key"])

    def things(self, *, finished: bool) -> Things:
        """All of them; `finished`: a worker does first what is queued."""
        batch, tuning = (self._file(one) for one in ("batch", "fine-tune"))
        ids = self._of_work(finished, batch, tuning)
        ids |= self._of_files(batch) | self._of_people()
        asked = {"input": "春", "model": "verse", "max_output_tokens": 4}
        kept = [str(self._made("responses", asked)["id"]) for _ in range(1 + self.spare)]
        ids["GET /v1/responses/{response_id}"] = _each("response_id", kept[:1])
        ids["DELETE /v1/responses/{response_id}"] = _each("response_id", kept[1:])
        ids["GET /v1/scenarios/{name}"] = _each("name", [str(BRIEF["scenario"])])
        ids["GET /v1/models/{model}"] = _each("model", ["verse", "speech"])
        fields = {
            "input_file_id": [batch, tuning],
            "training_file": [tuning, batch],
            "previous_response_id": kept[:1],
            "voice": ["woman", "man"],
            "endpoint": ["/v1/completions"],
        }
        bodies: dict[str, Sequence[Any]] = {
            "POST /v1/pieces": [BRIEF, {**BRIEF, "into": "fr"}, {**BRIEF, "text": ""}],
            "POST /v1/jobs": [GENERATED, {**GENERATED, "priority": 1}],
        }
        models: dict[str, Sequence[str]] = dict(MODELS)
        if self.plugged:
            models["/v1/chat/completions"] = [self.plugged]
            models["/v1/responses"] = ["verse", self.plugged]
        return Things(ids=ids, models=models, fields=fields, bodies=bodies, rare=RARE)

    def _of_work(
        self, finished: bool, batch: str, tuning: str
    ) -> dict[str, Sequence[Mapping[str, str]]]:
        """Jobs, pieces, films, batches and tunings; some done, where a worker does them."""
        done = {kind: self._queued(kind, tuning) for kind in ("job", "piece", "video", "tuning")}
        if finished:
            self._work()
        waiting = {kind: self._queued(kind, tuning) for kind in ("job", "piece", "video", "tuning")}
        asked = {"input_file_id": batch, "endpoint": LINE["url"], "completion_window": "24h"}
        batches = [str(self._made("batches", asked)["id"])]
        all_of = {kind: [*done[kind], *waiting[kind]] for kind in done}
        ids: dict[str, Sequence[Mapping[str, str]]] = {}
        for wish in ("cancel", "pause", "resume", "retry"):
            ids[f"POST /v1/jobs/{{name}}/{wish}"] = _each("name", all_of["job"])
            ids[f"POST /v1/fine_tuning/jobs/{{name}}/{wish}"] = _each("name", all_of["tuning"])
        for what in ("", "/events", "/checkpoints"):
            ids[f"GET /v1/fine_tuning/jobs/{{name}}{what}"] = _each("name", all_of["tuning"])
        ids["GET /v1/jobs/{name}"] = _each("name", all_of["job"])
        if finished:  # the events of a job that waits have no end
            ids["GET /v1/jobs/{name}/events"] = _each("name", done["job"])
        ids["GET /v1/batches/{name}"] = ids["POST /v1/batches/{name}/cancel"] = _each(
            "name", batches
        )
        ids["GET /v1/pieces/{name}"] = _each("name", all_of["piece"])
        for what in ("POST {}/verify", "POST {}/replay", "GET {}/lineage"):
            ids[what.format("/v1/pieces/{name}")] = _each("name", all_of["piece"])
        ids["GET /v1/pieces/{name}/files/{file}"] = [
            {"name": name, "file": one["name"]}
            for name in all_of["piece"]
            for one in self._http.get(f"/v1/pieces/{name}").json()["files"]
        ]
        for what in ("GET {}", "GET {}/content", "POST {}/remix"):
            ids[what.format("/v1/videos/{video_id}")] = _each("video_id", all_of["video"])
        for kind, path, name in (
            ("video", "/v1/videos/{video_id}", "video_id"),
            ("piece", "/v1/pieces/{name}", "name"),
            ("job", "/v1/jobs/{name}", "name"),
        ):
            spare = [one for _ in range(self.spare) for one in self._queued(kind, tuning)]
            ids[f"DELETE {path}"] = _each(name, spare)
        return ids

    def _of_files(self, batch: str) -> dict[str, Sequence[Mapping[str, str]]]:
        spare = [self._file("user_data") for _ in range(self.spare)]
        return {
            "GET /v1/files/{name}": _each("name", [batch]),
            "GET /v1/files/{name}/content": _each("name", [batch]),
            "DELETE /v1/files/{name}": _each("name", spare),
        }

    def _of_people(self) -> dict[str, Sequence[Mapping[str, str]]]:
        numbers = range(1 + self.spare)
        people = [
            self._made("people", {"name": f"spare-{one}", "role": "maker"}) for one in numbers
        ]
        keys = [
            self._made("keys", {"name": "spare", "person": one["name"], "project": "default"})
            for one in people
        ]
        projects = [self._made("projects", {"name": f"spare-{one}"}) for one in numbers]
        ids = {
            "people": [str(one["id"]) for one in people],
            "keys": [str(one["id"]) for one in keys],
            "projects": [str(one["id"]) for one in projects],
        }
        return {
            "POST /v1/people/{person}": _each("person", ids["people"][:1]),
            "DELETE /v1/people/{person}": _each("person", ids["people"][1:]),
            "DELETE /v1/keys/{key}": _each("key", ids["keys"]),
            "DELETE /v1/projects/{project}": _each("project", ids["projects"]),
        }

    def _queued(self, kind: str, tuning: str) -> list[str]:
        """The id of a new one that waits."""
        if kind == "tuning" and not self.tuned:
            return []
        numbers = {"n_epochs": 1, "batch_size": 4}
        path, body = {
            "job": ("jobs", GENERATED),
            "piece": ("pieces", BRIEF),
            "video": ("videos", FILM),
            "tuning": (
                "fine_tuning/jobs",
                {"model": TINY_BASE, "training_file": tuning, "hyperparameters": numbers},
            ),
        }[kind]
        return [str(self._made(path, body)["id"])]

    def _file(self, purpose: str) -> str:
        rows = PAIRS if purpose == "fine-tune" else [LINE]
        content = "\n".join(json.dumps(one, ensure_ascii=False) for one in rows).encode()
        answer = self._http.post(
            "/v1/files", data={"purpose": purpose}, files={"file": ("in.jsonl", content)}
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def _made(self, path: str, body: Any) -> dict[str, Any]:
        answer = self._http.post(f"/v1/{path}", json=body)
        assert answer.status_code == 200, f"{path}: {answer.text}"
        return dict(answer.json())

    def _work(self) -> None:
        command = [sys.executable, "-m", "wenfang", "jobs", "work", "--drain"]
        environment = {**os.environ, "WENFANG_HOME": str(self.served.home), "WENFANG_OFFLINE": "1"}
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=MADE_S)


def _each(name: str, values: Sequence[str]) -> list[Mapping[str, str]]:
    return [{name: one} for one in values]
