"""Random requests over a server's own OpenAPI, by schemathesis: what is sent, and what is checked.

Each route gets the boundary cases that schemathesis counts up, and random ones, half of which break
the schema. A case that keeps to the schema would mostly name what is not there, so `Fitting` gives
many of them the ids, models and files of `Things`, which exist, and makes their work small: few
tokens, one picture of few steps. Whoever asks is sometimes the admin at the machine and sometimes
somebody who may only make.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.result import Ok
from schemathesis.generation.modes import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from serving import Served

CHECKS: Sequence[Any] = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
)
TRACE = re.compile(rb"Traceback \(most recent|File \"[^\"]+\", line \d+")
ANSWERED_S = 60.0
TRIES = 6  # of Hypothesis, where it stops before it has made as many cases as are asked for
SHOWN_CHARACTERS = 1200
REAL, OFTEN = 0.5, 0.7  # shares of cases that name what is there
Fitter = Callable[[Any, random.Random], None]


@dataclass(frozen=True, kw_only=True)
class Things:
    """What is there to be named.

    ids     of paths, by "METHOD path": for each of its parameters the values that fit together
    models  by path
    fields  values of fields of bodies, by their names
    bodies  whole bodies of a route, by "METHOD path"
    rare    routes whose work takes long, and how often they get a real id
    """

    ids: Mapping[str, Sequence[Mapping[str, str]]] = field(default_factory=dict)
    models: Mapping[str, Sequence[str]] = field(default_factory=dict)
    fields: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    bodies: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    rare: Mapping[str, float] = field(default_factory=dict)


@dataclass(kw_only=True)
class Tally:
    """Of one route.

    failures  how often, by what; `shown` has the first of each, with a command that repeats it
    """

    cases: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    shown: dict[str, str] = field(default_factory=dict)

    def fail(self, what: str, told: str) -> None:
        """Count a failure."""
        self.failures[what] += 1
        self.shown.setdefault(what, told[:SHOWN_CHARACTERS])

    def add(self, other: Tally) -> None:
        """Count what another one counted."""
        self.cases += other.cases
        self.statuses += other.statuses
        self.failures += other.failures
        self.shown = {**other.shown, **self.shown}

    def record(self) -> dict[str, Any]:
        """As JSON values."""
        statuses = {str(one): count for one, count in sorted(self.statuses.items())}
        return {**vars(self), "statuses": statuses, "failures": dict(self.failures)}

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Tally:
        """The same again."""
        statuses = Counter({int(one): count for one, count in record["statuses"].items()})
        return cls(
            cases=record["cases"],
            statuses=statuses,
            failures=Counter(record["failures"]),
            shown=dict(record["shown"]),
        )


@dataclass(frozen=True, kw_only=True)
class Fitting:
    """Makes a case that keeps to the schema mean something here, and cost little."""

    things: Things

    def __call__(self, case: Any, luck: random.Random) -> None:
        """Change the case; a part that breaks the schema is left as it is."""
        label = case.operation.label
        meta = case.meta

        def broken(where: ParameterLocation) -> bool:
            return bool(meta and meta.is_negative_at(where))

        ids = self.things.ids.get(label, ())
        share = self.things.rare.get(label, REAL)
        if ids and luck.random() < share and not broken(ParameterLocation.PATH):
            case.path_parameters = dict(luck.choice(list(ids)))
        if "wait" in (case.query or {}) and not broken(ParameterLocation.QUERY):
            case.query = {**case.query, "wait": "0.1"}
        if broken(ParameterLocation.BODY):
            return
        bodies = self.things.bodies.get(label, ())
        if bodies and isinstance(case.body, dict) and luck.random() < REAL:
            case.body = luck.choice(list(bodies))
        elif isinstance(case.body, dict):
            fitted = self._fitted(label.partition(" ")[2], dict(case.body), luck)
            if fitted != case.body:
                case.body = fitted

    def _fitted(self, path: str, body: dict[str, Any], luck: random.Random) -> dict[str, Any]:
        models = self.things.models.get(path, ())
        named = bool(models) and luck.random() < OFTEN
        if named:
            body["model"] = luck.choice(list(models))
        for name, values in self.things.fields.items():
            if name in body and luck.random() < OFTEN:
                body[name] = luck.choice(list(values))
        if "settings" in body and (named or luck.random() < OFTEN):
            del body["settings"]
        if path == "/v1/completions" and isinstance(body.get("prompt"), list):
            body["prompt"] = body["prompt"][:2]
        if named:
            _lessen(path, body)
        return body


def _lessen(path: str, body: dict[str, Any]) -> None:
    """Little work for a model that is there."""
    for name in ("max_tokens", "max_completion_tokens", "max_output_tokens"):
        if name in body or "/images" not in path:
            value = body.get(name)
            words = path.endswith(("/completions", "/responses"))
            own = "max_output_tokens" if path.endswith("/responses") else "max_tokens"
            if words and (isinstance(value, int) or name == own):
                body[name] = min(value or 4, 4)
    if isinstance(body.get("n"), int):
        body["n"] = min(body["n"], 1 if "/images" in path else 2)
    if isinstance(body.get("input"), list):
        body["input"] = body["input"][:3]
    if isinstance(body.get("input"), str):
        body["input"] = body["input"][:80]
    if path in ("/v1/images/generations", "/v1/images/edits", "/v1/images/variations"):
        drawn = body["model"] == "pictogram-latents"
        if drawn and path.endswith("generations"):
            body["settings"] = {"paint": {"denoising": {"steps": 2}}}
        body.pop("size", None)


@dataclass(kw_only=True)
class Fuzz:
    """Asks one server.

    keys  of those who ask in turn; "" sits at the machine
    """

    served: Served
    keys: Sequence[str] = ("",)
    things: Things = field(default_factory=Things)
    _session: requests.Session = field(default_factory=requests.Session, init=False)

    def __post_init__(self) -> None:
        """Read what the server says of itself."""
        spec = requests.get(f"{self.served.url}/openapi.json", timeout=ANSWERED_S).json()
        self.schema = schemathesis.openapi.from_dict(spec)
        self.schema.config.update(base_url=self.served.url)
        # What is too large may be refused for that alone.
        rejection = self.schema.config.checks.negative_data_rejection
        rejection.expected_statuses = [*rejection.expected_statuses, "408", "413"]
        self.fit = Fitting(things=self.things)
        # A proxy of the surroundings is not asked for what is at this machine.
        self._session.trust_env = False

    def routes(self) -> dict[str, Any]:
        """Operations by their names, as "GET /healthz"."""
        found = [one.ok() for one in self.schema.get_all_operations() if isinstance(one, Ok)]
        return {one.label: one for one in found}

    def boundary(self, operation: Any, most: int | None = None) -> Tally:
        """The cases that schemathesis counts up: bounds, what is missing, other methods."""
        tally, luck = Tally(), random.Random(operation.label)
        made = self.schema.iter_coverage_cases(
            operation,
            generation_modes=list(GenerationMode),
            generation_config=self.schema.config.generation_for(operation=operation),
        )
        for case in islice(made, most):
            self._ask(case, random.Random(luck.getrandbits(32)), tally)
        return tally

    def drawn(self, operation: Any, count: int, number: int) -> Tally:
        """Random cases, of the seed `number`; half of them break the schema where one can."""
        tally = self._some(operation, GenerationMode.NEGATIVE, count // 2, number)
        tally.add(self._some(operation, GenerationMode.POSITIVE, count - tally.cases, number))
        return tally

    def _some(self, operation: Any, mode: GenerationMode, count: int, number: int) -> Tally:
        tally = Tally()
        for again in range(TRIES):
            left = count - tally.cases
            if left < 1:
                break

            @seed(number * TRIES + again)
            @settings(max_examples=left, phases=(Phase.generate,), database=None, deadline=None,
                      suppress_health_check=list(HealthCheck))  # fmt: skip
            @given(
                case=operation.as_strategy(generation_mode=mode),
                luck=st.integers(0, 2**32 - 1),
            )
            def ask(case: Any, luck: int) -> None:
                self._ask(case, random.Random(luck), tally)

            try:
                ask()
            except Unsatisfiable:  # nothing breaks a schema that takes everything
                break
        return tally

    def _ask(self, case: Any, luck: random.Random, tally: Tally) -> None:
        """Send one case, and look at its answer."""
        # Whether it breaks the schema is asked first: changed parts of forms are not judged anew.
        good = case.meta is not None and case.meta.generation.mode.is_positive
        good = good or _sent_without(case)
        checks = [one for one in CHECKS if not (good and one is negative_data_rejection)]
        self.fit(case, luck)
        key = luck.choice(list(self.keys))
        headers = {"authorization": f"Bearer {key}"} if key else {}
        tally.cases += 1
        try:
            answer = case.call(session=self._session, headers=headers, timeout=ANSWERED_S)
        except requests.RequestException as error:
            tally.fail(f"no answer: {type(error).__name__}", case.as_curl_command())
            return
        tally.statuses[answer.status_code] += 1
        if TRACE.search(answer.content or b""):
            tally.fail("stack trace", case.as_curl_command())
        try:
            case.validate_response(answer, checks=checks, headers=headers)
        except FailureGroup as group:
            for one in group.exceptions:
                command = case.as_curl_command(headers=headers)
                body = (answer.content or b"")[:300].decode("utf-8", "replace")
                told = f"{one.message}\n{answer.status_code} {body}\n{command}"
                tally.fail(one.title, told)


def _sent_without(case: Any) -> bool:
    """Whether what breaks the schema is perhaps not sent: of an empty list a form has nothing."""
    form = case.media_type == "multipart/form-data" and isinstance(case.body, dict)
    return form and any(value == [] for value in case.body.values())


def traces(served: Served) -> list[str]:
    """Lines of the server's log with which a fault of ours begins."""
    lines = served.log.read_text("utf-8", "replace").splitlines()
    return [line for line in lines if "Traceback (most recent" in line or "CRITICAL" in line]


def table(tallies: Mapping[str, Tally]) -> Iterator[str]:
    """Of all routes, in Markdown."""
    yield "| route | cases | statuses | failures |"
    yield "|---|---|---|---|"
    for route, one in tallies.items():
        statuses = ", ".join(f"{code}: {count}" for code, count in sorted(one.statuses.items()))
        failures = ", ".join(f"{what}: {count}" for what, count in one.failures.items())
        yield f"| {route} | {one.cases} | {statuses} | {failures or '-'} |"


def whole(tallies: Mapping[str, Tally]) -> Tally:
    """All routes together."""
    found = Tally()
    for one in tallies.values():
        found.add(one)
    return found


def shown(tallies: Mapping[str, Tally]) -> str:
    """Every kind of failure of every route, once, with a command that repeats it."""
    told = {route: one.shown for route, one in tallies.items() if one.shown}
    return json.dumps(told, ensure_ascii=False, indent=1)
