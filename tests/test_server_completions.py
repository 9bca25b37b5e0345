"""POST /v1/completions and GET /v1/models, by OpenAI's own client in strict mode."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

from serving import Served, serving

LABEL = "AI生成 · AI GENERATED"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served")) as served:
        yield served


def test_models_say_what_they_serve(server: Served) -> None:
    found = {one.id: one for one in server.client().models.list()}
    serves = {name: (one.model_extra or {})["endpoints"] for name, one in found.items()}
    assert "/v1/completions" in serves["verse"]
    assert "/v1/embeddings" in serves["encoder"]
    assert server.client().models.retrieve("verse").id == "verse"
    with pytest.raises(openai.NotFoundError) as caught:
        server.client().models.retrieve("nobody")
    assert caught.value.code == "model_not_found"


def test_a_poem_is_completed_and_labelled(server: Served) -> None:
    answer = server.client().completions.with_raw_response.create(
        model="verse", prompt="春江", seed=3, n=2
    )
    found = answer.parse()
    assert answer.headers["x-aigc-label"] == "AI-generated"
    assert answer.headers["x-request-id"].startswith("req_")
    assert [one.index for one in found.choices] == [0, 1]
    assert all(len(one.text.split("\n")) == 4 for one in found.choices)
    assert found.choices[0].text != found.choices[1].text
    assert found.model_extra is not None
    assert found.model_extra["wenfang"]["label"] == LABEL
    assert len(found.model_extra["wenfang"]["manifests"]) == 2
    again = server.client().completions.create(model="verse", prompt="春江", seed=4)
    assert again.choices[0].text == found.choices[1].text


def test_a_stream_tells_the_same_as_the_whole(server: Served) -> None:
    whole = server.client().completions.create(model="verse", prompt="秋", seed=1)
    pieces, finish, usage = "", None, None
    # OpenAI's own service says null until the last piece, which its client's types forbid here.
    for chunk in server.client(strict=False).completions.create(
        model="verse", prompt="秋", seed=1, stream=True, stream_options={"include_usage": True}
    ):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            pieces += choice.text
            finish = choice.finish_reason or finish
    assert pieces == whole.choices[0].text
    assert finish == "stop"
    assert usage is not None


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({"model": "verse", "prmpt": "x"}, 400, "unknown_parameter", "prmpt"),
        ({"prompt": "x"}, 400, "missing_required_parameter", "model"),
        ({"model": "nobody", "prompt": "x"}, 404, "model_not_found", "model"),
        ({"model": "encoder", "prompt": "x"}, 404, "model_not_found", "model"),
        ({"model": "verse", "n": 10_000}, 400, "invalid_value", "n"),
        ({"model": "verse", "settings": {"characterss": 7}}, 422, "config", None),
        (
            {"model": "verse", "settings": {"sampling": 5}, "temperature": 1},
            400,
            "invalid_value",
            "settings.sampling",
        ),
        ({"model": "verse", "prompt": "春" * 500}, 422, "brief", None),
    ],
)
def test_bad_requests_have_one_line(
    server: Served, body: dict[str, object], status: int, code: str, param: str | None
) -> None:
    for stream in (False, True):
        answer = server.http().post("/v1/completions", json={**body, "stream": stream})
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (status, code, param)
        assert "\n" not in error["message"]
        assert error["message"]
        assert answer.headers["x-request-id"]


def test_a_broken_body_and_a_large_one_are_refused(server: Served) -> None:
    http = server.http()
    broken = http.post(
        "/v1/completions", content=b"{", headers={"content-type": "application/json"}
    )
    assert broken.status_code == 400
    assert broken.json()["error"]["code"] == "invalid_json"
    large = http.post("/v1/completions", content=b"x" * (9 * 2**20))
    assert large.status_code == 413
    assert http.get("/nowhere").json()["error"]["type"] == "not_found_error"


def test_its_counts_are_told(server: Served) -> None:
    server.client().completions.create(model="verse", prompt="雪")
    text = server.http().get("/metrics").text
    assert 'wenfang_requests_total{method="POST",route="/v1/completions",status="200"}' in text
