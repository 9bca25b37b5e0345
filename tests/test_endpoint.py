"""Writers behind a URL: what is sent, what is taken from a bad answer, what it may cost."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import bad_server
from bad_server import DONE, USAGE, Reply, Server, event, good, piece, raw, status
from conftest import Call
from wenfang.backends.choosing import open_endpoint
from wenfang.backends.endpoint.openai import Clock, OpenAiWriter, request_body
from wenfang.backends.endpoint.settings import EndpointSettings, parse_endpoint
from wenfang.backends.writer import Ask, Draft
from wenfang.errors import (
    BriefError,
    BudgetError,
    ConfigError,
    DependencyError,
    EndpointError,
    WenfangError,
)

KEY = "sk-very-secret-0123456789"
ASK = Ask(prompt="Say good day.", system="Be brief.", maximum_tokens=50)


class FakeClock(Clock):
    """Waits are noted, not waited."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        super().__init__(sleep=self.waits.append)


@pytest.fixture
def server() -> Iterator[Server]:
    with bad_server.serving() as one:
        yield one


def writer(server: Server, clock: Clock | None = None, **settings: Any) -> OpenAiWriter:
    endpoint, _ = parse_endpoint(server.name, Path("/nowhere"))
    patience = {"read_s": 0.3, "connect_s": 1.0, "total_s": 5.0, **settings}
    return OpenAiWriter(endpoint, EndpointSettings(**patience), KEY, clock or FakeClock())


def answer(server: Server, *replies: Reply, ask: Ask = ASK, **settings: Any) -> Draft:
    server.replies = list(replies)
    (draft,) = writer(server, **settings).write(ask)
    return draft


def test_an_answer_is_put_together_and_heard_as_it_comes(server: Server) -> None:
    server.replies = [good("Good day, 世界 🌏.")]
    heard: list[str] = []
    (draft,) = writer(server).write(ASK, heard.append)
    assert draft == Draft(text="Good day, 世界 🌏.", tokens=3, finish="stop")
    assert "".join(heard) == draft.text
    assert len(heard) > 1
    assert server.paths == ["/v1/chat/completions"]


def test_pieces_may_be_cut_anywhere(server: Server) -> None:
    whole = piece("世界") + piece("!", "stop") + DONE
    draft = answer(server, raw(*(whole[i : i + 1] for i in range(len(whole)))))
    assert draft.text == "世界!"


def test_what_is_sent_is_what_was_asked(server: Server) -> None:
    ask = Ask(prompt="P", count=2, seed=5, temperature=0.3, maximum_tokens=9, stop=("\n",))
    server.replies = [good("a\nb")]
    drafts = writer(server).write(ask)
    assert [draft.text for draft in drafts] == ["a", "a"]
    assert [body["seed"] for body in server.bodies] == [5, 6]
    assert server.bodies[0]["messages"] == [{"role": "user", "content": "P"}]
    assert server.bodies[0] == request_body(ask, "tester", 5)
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert server.headers[0]["accept-encoding"] == "identity"


def test_an_endpoint_that_does_not_stream_is_understood(server: Server) -> None:
    body = {
        "choices": [{"message": {"content": "Whole."}, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 4, "completion_tokens": 2},
    }
    draft = answer(server, raw(json.dumps(body).encode(), kind="application/json"))
    assert draft == Draft(text="Whole.", tokens=2, finish="length")


def test_log_probabilities_are_added_up(server: Server) -> None:
    told = [{"logprob": -0.5}, {"logprob": -0.25}]
    row = {"delta": {"content": "a"}, "logprobs": {"content": told}, "finish_reason": "stop"}
    assert answer(server, raw(event(choices=[row]), DONE)).log_probability_nats == -0.75


PASSING: dict[str, Reply] = {
    "429": status(429, "slow down", retry_after="2"),
    "500": status(500),
    "503": status(503),
    "silence": bad_server.silent,
    "broken off": raw(piece("Good")),
    "stalled": bad_server.stalling(piece("Good")),
    "done without an end": raw(piece("Good"), DONE),
    "dropped": raw(b"data: {"[:0]),
}


@pytest.mark.parametrize("name", sorted(PASSING))
def test_what_may_pass_is_asked_again_and_no_half_is_kept(server: Server, name: str) -> None:
    clock = FakeClock()
    server.replies = [PASSING[name], PASSING[name], good()]
    (draft,) = writer(server, clock).write(ASK)
    assert draft.text == "Good day."
    assert len(clock.waits) == 2
    if name == "429":
        assert min(clock.waits) >= 2
    else:
        assert 0 < clock.waits[0] < 1 <= 2 * clock.waits[1]


@pytest.mark.parametrize("name", sorted(PASSING))
def test_what_does_not_pass_ends_in_one_line(server: Server, name: str) -> None:
    clock = FakeClock()
    server.replies = [PASSING[name]]
    with pytest.raises(EndpointError, match="gave no answer in 3 attempts") as caught:
        writer(server, clock, attempts=3).write(ASK)
    assert "\n" not in str(caught.value)
    assert len(server.bodies) == 3


def test_a_wait_that_is_too_long_is_not_waited(server: Server) -> None:
    clock = FakeClock()
    server.replies = [status(429, "tomorrow", retry_after="86400")]
    with pytest.raises(EndpointError, match="429 tomorrow"):
        writer(server, clock).write(ASK)
    assert not clock.waits


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (400, "refuses the request: 400 no such field"),
        (401, "refuses the key"),
        (403, "refuses the key"),
        (404, "knows no such address or model"),
        (302, "wants to send the request elsewhere"),
    ],
)
def test_what_will_not_pass_is_asked_once(server: Server, code: int, message: str) -> None:
    server.replies = [status(code, "no such field", location="http://127.0.0.1:9/")]
    with pytest.raises(EndpointError, match=message):
        writer(server).write(ASK)
    assert len(server.bodies) == 1


BROKEN: dict[str, tuple[Reply, str]] = {
    "not JSON": (raw(b"data: {oops\n\n"), "not JSON"),
    "no event": (raw(b"<html>\n\n"), "no event"),
    "no UTF-8": (raw(b'data: {"a": "\xff\xfe"}\n\n'), "not JSON"),
    "no object": (raw(b"data: [1]\n\n"), "no object"),
    "choices": (raw(event(choices={"a": 1})), "choices"),
    "content": (raw(event(choices=[{"delta": {"content": 3}}])), "content that is no text"),
    "finish": (raw(event(choices=[{"finish_reason": 3}])), "finish_reason"),
    "usage": (raw(event(choices=[], usage={"prompt_tokens": "many"})), "usage"),
    "negative": (raw(event(usage={"prompt_tokens": -9, "completion_tokens": 1})), "usage"),
    "logprobs": (
        raw(event(choices=[{"delta": {}, "logprobs": {"content": [{"logprob": "x"}]}}])),
        "log-probabilities",
    ),
    "deep": (raw(b"data: " + b"[" * 100_000 + b"\n\n"), "not JSON"),
    "long line": (raw(b"data: " + b"x" * (2**20 + 9)), "a line of more"),
    "kind": (raw(b"hello", kind="text/html"), "text/html"),
    "gzip": (raw(b"\x1f\x8b", content_encoding="gzip"), "compressed"),
    "error": (raw(event(error={"message": "overloaded\x1b[2J"})), r"says: overloaded \[2J"),
    "filtered": (good("Bad.", finish="content_filter"), "content_filter"),
}


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_a_broken_answer_is_told_in_one_line(server: Server, name: str) -> None:
    reply, message = BROKEN[name]
    with pytest.raises(EndpointError, match=message) as caught:
        answer(server, reply)
    assert str(caught.value).isprintable()


def test_a_huge_answer_is_given_up(server: Server) -> None:
    chunk = piece("x" * 500_000)
    with pytest.raises(EndpointError, match="more than 16777216 bytes"):
        answer(server, raw(*[chunk] * 40))


def test_an_answer_that_drips_for_ever_ends_at_the_deadline(server: Server) -> None:
    with pytest.raises(EndpointError, match=r"still answering after 0\.2 s"):
        answer(server, bad_server.dripping, total_s=0.2)


def test_nobody_listening_is_told(server: Server) -> None:
    endpoint, settings = parse_endpoint("openai:http://127.0.0.1:9/v1#m", Path("/nowhere"))
    with pytest.raises(EndpointError, match=r"127\.0\.0\.1:9 gave no answer in 4 attempts"):
        OpenAiWriter(endpoint, settings, clock=FakeClock()).write(ASK)


def test_a_schema_is_asked_for_and_held_against_the_answer(server: Server) -> None:
    schema = {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}
    ask = Ask(prompt="P", schema=schema)
    assert answer(server, good('{"a": 1}'), ask=ask).text == '{"a": 1}'
    sent = server.bodies[0]["response_format"]["json_schema"]
    assert sent == {"name": "answer", "strict": True, "schema": schema}
    with pytest.raises(EndpointError, match="breaks the schema"):
        answer(server, good('{"a": "one"}'), ask=ask)
    with pytest.raises(EndpointError, match="not JSON, though"):
        answer(server, good("one"), ask=ask)


def test_a_prompt_of_a_megabyte_is_sent_whole_or_not_at_all(server: Server) -> None:
    words = "word " * 200_000
    draft = answer(server, good(), ask=Ask(prompt=words), tokens_cap=2_000_000)
    assert draft.text == "Good day."
    assert server.bodies[0]["messages"][0]["content"] == words
    with pytest.raises(BudgetError, match="above the cap of 200000"):
        answer(server, good(), ask=Ask(prompt=words))
    with pytest.raises(BriefError, match="at most 4194304 are sent"):
        answer(server, good(), ask=Ask(prompt="x" * (2**22 + 1)))
    assert len(server.bodies) == 1


def test_a_cap_is_kept_before_it_is_passed(server: Server) -> None:
    server.replies = [good()]
    asked = writer(server, input_price=1.0, output_price=1_000.0, spend_cap=0.06)
    asked.write(ASK)
    assert asked.facts() == {
        "answers": 1,
        "input_tokens": 7,
        "output_tokens": 3,
        "estimated_answers": 0,
        "cost": 0.003007,
        "currency": "USD",
    }
    for _ in range(3):
        asked.write(ASK)
    with pytest.raises(BudgetError, match=r"above the cap of 0\.0600"):
        asked.write(ASK)
    assert asked.ledger.cost <= 0.06
    assert len(server.bodies) == 4


def test_what_is_not_told_is_estimated_and_said_so(server: Server) -> None:
    server.replies = [good("Nine bytes", usage=False)]
    asked = writer(server)
    (draft,) = asked.write(ASK)
    assert draft.tokens is None
    assert asked.facts()["estimated_answers"] == 1
    assert asked.ledger.output_tokens >= 5


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("openai:", "names no endpoint"),
        ("openai:example.com/v1#m", "names no endpoint"),
        ("openai:https://example.com/v1", "names no endpoint"),
        ("openai:https://example.com/v1#", "names no endpoint"),
        ("openai:ftp://example.com/v1#m", "names no endpoint"),
        ("openai:https://me:word@example.com/v1#m", "holds a password"),
        ("openai:https://example.com/v1?key=word#m", "holds a password"),
        ("openai:http://example.com/v1#m", "plain http to another machine"),
        ("openai:http://127.0.0.1.example.com/v1#m", "plain http to another machine"),
    ],
)
def test_names_that_are_none_are_told_without_secrets(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse_endpoint(name, Path("/nowhere"))
    assert "word" not in str(caught.value).replace("password", "")


def test_settings_come_from_the_home(tmp_path: Path) -> None:
    url = "http://far.example/v1"
    content = {f"{url}/": {"plain_http": True, "attempts": 2}, f"{url}#big": {"attempts": 7}}
    (tmp_path / "endpoints.json").write_text(json.dumps(content))
    assert parse_endpoint(f"openai:{url}#small", tmp_path)[1].attempts == 2
    assert parse_endpoint(f"openai:{url}#big", tmp_path)[1].attempts == 7
    for text, message in (("[]", "not a JSON object"), ("{", "not a JSON object"),
                          (json.dumps({url: {"atempts": 1}}), "did you mean attempts"),
                          (json.dumps({url: {"spend_cap": 1.0}}), "needs prices"),
                          (json.dumps({url: {"read_s": 0}}), "must be above 0")):  # fmt: skip
        (tmp_path / "endpoints.json").write_text(text)
        with pytest.raises(ConfigError, match=message):
            parse_endpoint(f"openai:{url}#m", tmp_path)


def test_a_key_that_cannot_be_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WENFANG_OPENAI_KEY", "sk\nhost: evil")
    with pytest.raises(ConfigError, match="WENFANG_OPENAI_KEY"):
        open_endpoint("openai:https://example.com/v1#m")


def test_without_the_library_the_extra_is_named(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(DependencyError, match=r"wenfang\[remote\]"):
        answer(server, good())


def test_a_scenario_writes_by_an_endpoint_and_the_key_is_nowhere(
    server: Server, call: Call, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WENFANG_OPENAI_KEY", KEY)
    server.replies = [good("春天来了。")]
    brief = {"scenario": "translate", "text": "Spring has come.", "into": "zh", "title": "Spring"}
    Path("brief.json").write_text(json.dumps(brief))
    done = call("create", "brief.json", "-o", "out", "--set", f"writer={server.name}")
    assert done.code == 0, done.err
    assert "春天来了。" in Path("out/translation.txt").read_text("utf-8")
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    lineage = call("lineage", "out/translation.txt", "--json").out
    assert "tester" in lineage
    report = Path("out/report.html").read_text("utf-8")
    assert "tester" in report
    manifest = json.loads(Path("out/translation.txt.wenfang.json").read_text())
    assert '"input_tokens":7' in json.dumps(manifest, separators=(",", ":"))
    written = [path for root in (home, Path("out")) for path in root.rglob("*") if path.is_file()]
    assert written
    assert not [path for path in written if KEY.encode() in path.read_bytes()]
    assert KEY not in done.out + done.err + repr(open_endpoint(server.name))
    assert not isinstance(USAGE, WenfangError)
