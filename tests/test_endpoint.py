"""Writers behind a URL: what is sent, what is taken from a bad answer, what it may cost."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import bad_server
from bad_server import DONE, USAGE, Reply, Server, event, good, piece, raw, status
from conftest import Call
from wenfang.backends import choosing
from wenfang.backends.choosing import open_endpoint, open_writer
from wenfang.backends.endpoint.openai import OpenAiWriter
from wenfang.backends.endpoint.request import request_body
from wenfang.backends.endpoint.settings import EndpointSettings, parse_endpoint
from wenfang.backends.endpoint.transport import Clock
from wenfang.backends.writer import Ask, Draft
from wenfang.errors import (
    BriefError,
    BudgetError,
    CheckError,
    ConfigError,
    DependencyError,
    EndpointError,
    NotFoundError,
    WenfangError,
)

KEY = "sk-very-secret-0123456789"
ASK = Ask(prompt="Say good day.", system="Be brief.", maximum_tokens=50)


class FakeClock(Clock):
    """Waits are noted, not waited; it is the first second of the year 2030."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        super().__init__(sleep=self.waits.append, date=lambda: 1_893_456_000.0)


@pytest.fixture
def server() -> Iterator[Server]:
    with bad_server.serving() as one:
        yield one


def writer(server: Server, clock: Clock | None = None, **settings: Any) -> OpenAiWriter:
    endpoint, _ = parse_endpoint(server.name, Path("/nowhere"))
    patience = {"read_s": 5.0, "connect_s": 5.0, "total_s": 20.0, **settings}
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
    assert server.bodies[0] == request_body(ask, "tester", EndpointSettings())
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert server.headers[0]["accept-encoding"] == "identity"


def test_what_an_endpoint_refuses_can_be_left_out_and_renamed(server: Server) -> None:
    server.replies = [good()]
    odd: dict[str, Any] = {
        "tokens_field": "max_completion_tokens",
        "left_out": ("temperature", "seed"),
    }
    writer(server, **odd).write(ASK)
    (body,) = server.bodies
    assert body["max_completion_tokens"] == 50
    assert not {"max_tokens", "temperature", "seed"} & set(body)


def test_an_endpoint_that_does_not_stream_is_understood(server: Server) -> None:
    body = {
        "choices": [{"message": {"content": "Whole."}, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 4, "completion_tokens": 2},
    }
    draft = answer(server, raw(json.dumps(body).encode(), kind="application/json"))
    assert draft == Draft(text="Whole.", tokens=2, finish="length")


def test_an_answer_that_was_cut_says_so_unless_a_stop_text_ended_it(server: Server) -> None:
    assert answer(server, good("Good day", finish="length")).finish == "length"
    whole = answer(server, good("Good\nday", finish="length"), ask=Ask(prompt="P", stop=("\n",)))
    assert whole == Draft(text="Good", tokens=3, finish="stop")


def test_log_probabilities_are_added_up(server: Server) -> None:
    told = [{"logprob": -0.5}, {"logprob": -0.25}]
    row = {"delta": {"content": "a"}, "logprobs": {"content": told}, "finish_reason": "stop"}
    assert answer(server, raw(event(choices=[row]), DONE)).log_probability_nats == -0.75


SILENT = ("silence", "stalled")
"""Replies that end by patience running out; the others must not, on however busy a machine."""

PASSING: dict[str, Reply] = {
    "429": status(429, "slow down", retry_after="2"),
    "429 until a date": status(429, retry_after="Tue, 01 Jan 2030 00:00:03 GMT"),
    "429 without a word": status(429),
    "429 with nonsense": status(429, retry_after="soon"),
    "500": status(500),
    "503": status(503),
    "silence": bad_server.silent,
    "broken off": raw(piece("Good")),
    "stalled": bad_server.stalling(piece("Good")),
    "done without an end": raw(piece("Good"), DONE),
    "dropped": raw(b"data: {"[:0]),
}


def patience_for(name: str) -> float:
    return 0.3 if name in SILENT else 5.0


@pytest.mark.parametrize("name", sorted(PASSING))
def test_what_may_pass_is_asked_again_and_no_half_is_kept(server: Server, name: str) -> None:
    clock = FakeClock()
    server.replies = [PASSING[name], PASSING[name], good()]
    (draft,) = writer(server, clock, read_s=patience_for(name)).write(ASK)
    assert draft.text == "Good day."
    assert len(clock.waits) == 2
    least = {"429": 2.0, "429 until a date": 3.0}
    if name in least:
        assert min(clock.waits) >= least[name]
    else:
        assert 0 < clock.waits[0] < 1 <= 2 * clock.waits[1]


@pytest.mark.parametrize("name", sorted(PASSING))
def test_what_does_not_pass_ends_in_one_line(server: Server, name: str) -> None:
    clock = FakeClock()
    server.replies = [PASSING[name]]
    with pytest.raises(EndpointError, match="gave no answer in 3 attempts") as caught:
        writer(server, clock, attempts=3, read_s=patience_for(name)).write(ASK)
    assert "\n" not in str(caught.value)
    assert len(server.bodies) == 3


def test_what_broke_off_is_paid_for_and_counted(server: Server) -> None:
    server.replies = [raw(piece("Good")), good()]
    asked = writer(server)
    asked.write(ASK)
    assert asked.facts()["answers"] == 2
    assert asked.facts()["estimated_answers"] == 1
    assert asked.ledger.input_tokens > 7
    server.replies = [status(500), good()]
    asked.write(ASK)
    assert asked.facts()["answers"] == 3


def test_an_error_page_that_drips_for_ever_ends_at_the_deadline(server: Server) -> None:
    with pytest.raises(EndpointError, match="still answering"):
        answer(server, bad_server.dripping_page, total_s=0.2)


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
        (307, "wants to send the request elsewhere"),
        (308, "wants to send the request elsewhere"),
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
    "declined": (
        raw(event(choices=[{"delta": {"refusal": "No."}, "finish_reason": "stop"}]), DONE),
        "declines to answer",
    ),
    "no completion": (raw(b"[]", kind="application/json"), "not JSON"),
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
    assert answer(server, good('```json\n{"a": 1}\n```\n'), ask=ask).text == '{"a": 1}'
    with pytest.raises(CheckError, match="breaks the schema"):
        answer(server, good('{"a": "one"}'), ask=ask)
    with pytest.raises(CheckError, match="not JSON, though"):
        answer(server, good("one"), ask=ask)
    with pytest.raises(CheckError, match="was cut at 256 tokens before it met the schema"):
        answer(server, good('{"a": ', finish="length"), ask=ask)


def test_a_schema_that_is_none_is_told_before_anything_is_sent(server: Server) -> None:
    with pytest.raises(ConfigError, match="JSON Schema cannot be read"):
        answer(server, good("1"), ask=Ask(prompt="P", schema={"type": "nothing"}))
    assert not server.bodies


def test_what_a_schema_refers_to_is_not_fetched(server: Server) -> None:
    ask = Ask(prompt="P", schema={"$ref": f"{server.url}/schema.json"})
    with pytest.raises(ConfigError, match="JSON Schema cannot be read"):
        answer(server, good("1"), ask=ask)
    assert len(server.paths) == 1


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


def test_half_a_character_is_refused(server: Server) -> None:
    with pytest.raises(BriefError, match="half a character"):
        answer(server, good(), ask=Ask(prompt="\ud83c"))
    assert not server.bodies


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


@pytest.mark.usefixtures("home")
def test_a_cap_is_for_all_pieces_of_a_program_run_together(
    server: Server, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "_RUN", {})
    asked = {"input_price": 1.0, "output_price": 1_000.0, "spend_cap": 0.06}
    (home / "endpoints.json").write_text(json.dumps({f"{server.url}/v1": asked}))
    server.replies = [good()]
    for _ in range(4):
        one = open_endpoint(server.name)
        one.write(ASK)
        assert isinstance(one, OpenAiWriter)
        assert one.facts()["answers"] == 1
    with pytest.raises(BudgetError, match="above the cap"):
        open_endpoint(server.name).write(ASK)
    asked["spend_cap"] = 1.0  # raised while the program runs
    (home / "endpoints.json").write_text(json.dumps({f"{server.url}/v1": asked}))
    open_endpoint(server.name).write(ASK)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("openai:", "names no endpoint"),
        ("openai:example.com/v1#m", "names no endpoint"),
        ("openai:https://example.com/v1", "names no endpoint"),
        ("openai:https://example.com/v1#", "names no endpoint"),
        ("openai:ftp://example.com/v1#m", "names no endpoint"),
        ("openai:me:word@example.com/v1#m", "names no endpoint"),
        ("openai:ftp://me:word@example.com/v1?key=word#m", "names no endpoint"),
        ("openai:https://[::1/v1#m", "names no endpoint"),
        ("openai:https://example.com:port/v1#m", "names no endpoint"),
        ("openai:https://exam ple.com/v1#m", "names no endpoint"),
        ("openai:https://example.com/v1\n#m", "names no endpoint"),
        ("openai:https://example.com/v1#m\x1b[2J", "names no endpoint"),
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
    assert str(caught.value).isprintable()


def test_settings_come_from_the_home(tmp_path: Path) -> None:
    url = "http://far.example/v1"
    content = {f"{url}/": {"plain_http": True, "attempts": 2}, f"{url}#big": {"attempts": 7}}
    (tmp_path / "endpoints.json").write_text(json.dumps(content))
    assert parse_endpoint(f"openai:{url}#small", tmp_path)[1].attempts == 2
    assert parse_endpoint(f"openai:{url}#big", tmp_path)[1].attempts == 7
    for text, message in (("[]", "not a JSON object"), ("{", "not a JSON object"),
                          (json.dumps({url: {"atempts": 1}}), "did you mean attempts"),
                          (json.dumps({url: {"spend_cap": 1.0}}), "needs prices"),
                          (json.dumps({url: {"key": KEY}}), "unknown field key"),
                          (json.dumps({url: {"key_variable": KEY}}), "never into endpoints"),
                          (json.dumps({url: {"left_out": ["messages"]}}), "not one of"),
                          ("[" * 100_000, "not a JSON object"),
                          (json.dumps({url: {"read_s": 0}}), "must be above 0")):  # fmt: skip
        (tmp_path / "endpoints.json").write_text(text)
        with pytest.raises(ConfigError, match=message) as caught:
            parse_endpoint(f"openai:{url}#m", tmp_path)
        assert KEY not in str(caught.value)


def test_every_setting_is_in_the_documentation() -> None:
    page = Path(__file__).parents[1] / "docs/how-to/writers.md"
    rows = [line for line in page.read_text("utf-8").splitlines() if line.startswith("| `")]
    told = set(re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in rows)))
    assert {one.name for one in fields(EndpointSettings)} - told == set()


def test_a_key_that_cannot_be_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WENFANG_OPENAI_KEY", "sk\nhost: evil")
    with pytest.raises(ConfigError, match="WENFANG_OPENAI_KEY"):
        open_endpoint("openai:https://example.com/v1#m")


@pytest.mark.usefixtures("home")
def test_each_endpoint_may_have_a_key_of_its_own(
    server: Server, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {f"{server.url}/v1": {"key_variable": "OTHER_KEY"}}
    (home / "endpoints.json").write_text(json.dumps(settings))
    monkeypatch.setenv("WENFANG_OPENAI_KEY", KEY)
    monkeypatch.setenv("OTHER_KEY", "for-this-one")
    server.replies = [good(), status(401)]
    open_endpoint(server.name).write(ASK)
    assert server.headers[0]["authorization"] == "Bearer for-this-one"
    with pytest.raises(EndpointError, match="set OTHER_KEY"):
        open_endpoint(server.name).write(ASK)


ECHOES: dict[str, Reply] = {
    "error page": status(400, f"no such key: {KEY}"),
    "wrong key": status(401, f"no such key: {KEY}"),
    "passing": status(429, f"no such key: {KEY}"),
    "event": raw(event(error={"message": f"no such key: {KEY}"})),
    "finish": good("Good.", finish=KEY),
    "answer": good(f"The key is {KEY}."),
}


@pytest.mark.parametrize("name", sorted(ECHOES))
def test_an_endpoint_that_repeats_the_key_does_not_make_us_do_so(server: Server, name: str) -> None:
    with pytest.raises(EndpointError) as caught:
        answer(server, ECHOES[name])
    assert KEY not in str(caught.value) + repr(caught.value.values)


def test_no_proxy_is_told_the_key_of_an_endpoint_on_this_machine(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bad_server.serving() as proxy:
        proxy.replies = [good("By way of the proxy.")]
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert answer(server, good()).text == "Good day."
        assert not proxy.headers


@pytest.mark.parametrize("value", ["1", "true", "yes"])
@pytest.mark.usefixtures("home")
def test_offline_is_a_hard_error_and_nothing_is_sent(
    server: Server, call: Call, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    server.replies = [good()]
    monkeypatch.setenv("WENFANG_OFFLINE", value)
    with pytest.raises(ConfigError, match="WENFANG_OFFLINE forbids"):
        writer(server)
    brief = {"scenario": "translate", "text": "Spring has come.", "into": "zh"}
    Path("brief.json").write_text(json.dumps(brief))
    done = call("create", "brief.json", "-o", "out", "--set", f"writer={server.name}")
    assert done.code == ConfigError.exit_code
    assert "WENFANG_OFFLINE" in done.error
    assert not Path("out").exists()
    assert not server.bodies


def test_offline_by_0_is_online(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WENFANG_OFFLINE", "0")
    assert answer(server, good()).text == "Good day."


@pytest.mark.usefixtures("home")
def test_a_kind_of_writer_that_is_none_is_told_and_a_bundle_is_none_of_these(home: Path) -> None:
    with pytest.raises(NotFoundError, match="openai:…, hub:…"):
        open_writer("opnai:https://example.com/v1#m")
    assert open_writer("verse") is None
    assert open_writer("verse+run:0.5") is None
    (home.parent / "here/a:b").mkdir()
    (home.parent / "here/a:b/config.json").write_text("{}")
    assert open_writer("a:b") is None


def test_without_the_library_the_extra_is_named(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(DependencyError, match=r"wenfang\[remote\]"):
        answer(server, good())


def test_without_the_library_of_schemas_nothing_is_sent(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    with pytest.raises(DependencyError, match=r"jsonschema.*wenfang\[remote\]"):
        answer(server, good(), ask=Ask(prompt="P", schema={}))
    assert not server.bodies


def test_a_scenario_writes_by_an_endpoint_and_the_key_is_nowhere(
    server: Server, call: Call, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WENFANG_OPENAI_KEY", KEY)
    server.replies = [good("春天来了。")]
    brief = {"scenario": "translate", "text": "Spring has come.", "into": "zh", "title": "Spring"}
    Path("brief.json").write_text(json.dumps(brief))
    done = call("create", "brief.json", "-o", "out", "--set", f"writer={server.name}")
    assert done.code == 0, done.err
    assert "春天来了。" in Path("out/translation.md").read_text("utf-8")
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    lineage = call("lineage", "out/translation.md", "--json").out
    assert "tester" in lineage
    report = Path("out/report.html").read_text("utf-8")
    assert "tester" in report
    manifest = json.loads(Path("out/translation.md.wenfang.json").read_text())
    assert '"input_tokens":7' in json.dumps(manifest, separators=(",", ":"))
    written = [path for root in (home, Path("out")) for path in root.rglob("*") if path.is_file()]
    assert written
    assert not [path for path in written if KEY.encode() in path.read_bytes()]
    assert KEY not in done.out + done.err + repr(open_endpoint(server.name))
    assert not isinstance(USAGE, WenfangError)
