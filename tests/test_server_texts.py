"""A server without plugs: responses of our own models, vectors, and what checks say."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest

from serving import Served, serving
from wenfang.checks import Material, judge
from wenfang.database import Database
from wenfang.engine.embedding import load_embedder
from wenfang.server import response_store as store
from wenfang.server.faults import Fault

LABEL = "AI生成 · AI GENERATED"
JSON = {"content-type": "application/json"}
RUDE = "地域黑真恶心，这些人素质低下，都该滚回老家去，简直是垃圾。"
KIND = "春江潮水连海平，海上明月共潮生。"
PICTURE = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served")) as served:
        yield served


def refused(server: Served, route: str, body: dict[str, Any]) -> tuple[int, str, str | None]:
    """Status, code and field of a request that is refused in one line."""
    answer = server.http().post(route, content=json.dumps(body), headers=JSON)
    error = answer.json()["error"]
    assert error["message"]
    assert "\n" not in error["message"]
    return answer.status_code, error["code"], error["param"]


def test_where_nothing_is_plugged_it_says_what_to_plug(server: Served) -> None:
    with pytest.raises(openai.NotFoundError, match=r"--plug hub:FOLDER") as caught:
        server.client().chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "x"}]
        )
    assert caught.value.code == "model_not_found"


def test_a_poem_comes_as_a_response_whole_and_in_events(server: Served) -> None:
    client = server.client()
    whole = client.responses.create(model="verse", input="春江", temperature=0.7)
    assert len(whole.output_text.split("\n")) == 4
    assert whole.status == "completed"
    assert (whole.model_extra or {})["wenfang"]["label"] == LABEL
    items: Any = [{"role": "user", "content": "春江"}]
    events = list(client.responses.create(model="verse", input=items, temperature=0.7, stream=True))
    deltas = [one.delta for one in events if one.type == "response.output_text.delta"]
    assert "".join(deltas) == whole.output_text
    assert events[-1].type == "response.completed"
    again = client.responses.create(
        model="verse", input="春江", temperature=0.7, extra_body={"seed": 1}
    )
    assert again.output_text != whole.output_text
    kept = client.responses.retrieve(whole.id)
    assert kept.output_text == whole.output_text


@pytest.mark.parametrize("more", [{"instructions": "x"}, {"input": [{"role": "system",
                         "content": "x"}, {"role": "user", "content": "x"}]}])  # fmt: skip
def test_a_model_of_one_text_refuses_a_talk(server: Served, more: dict[str, Any]) -> None:
    body = {"model": "verse", "input": "春江", **more}
    assert refused(server, "/v1/responses", body) == (400, "unsupported_content", "input")


def test_a_kept_response_is_not_streamed_and_other_ids_are_nobodys(server: Served) -> None:
    http = server.http()
    for name in ("resp_1", "resp_" + "0" * 24, "%2e%2e", "x" * 600):
        assert http.get(f"/v1/responses/{name}").status_code in (400, 404)
        assert http.delete(f"/v1/responses/{name}").status_code in (400, 404)
    made = server.client().responses.create(model="verse", input="雪")
    answer = http.get(f"/v1/responses/{made.id}", params={"stream": "true"})
    assert answer.json()["error"]["code"] == "unsupported_parameter"


def test_vectors_are_those_of_the_encoder(server: Served) -> None:
    texts = ["the moon over the sea", KIND, "1", "long " * 400]
    client = server.client()
    found = client.embeddings.create(model="encoder", input=texts, encoding_format="float")
    expected = load_embedder("encoder").embed(texts).vectors
    vectors = np.array([one.embedding for one in found.data])
    assert [one.index for one in found.data] == [0, 1, 2, 3]
    assert np.abs(vectors - expected).max() < 1e-5
    assert found.usage.prompt_tokens > 400
    alone = client.embeddings.create(model="encoder", input=texts[1], encoding_format="float")
    assert np.abs(np.array(alone.data[0].embedding) - expected[1]).max() < 1e-5
    width = len(alone.data[0].embedding)
    same = client.embeddings.create(
        model="encoder", input=texts[1], encoding_format="float", dimensions=width
    )
    assert same.data == alone.data


def test_base64_holds_the_same_numbers(server: Served) -> None:
    body = {"model": "encoder", "input": [KIND]}
    plain = server.http().post("/v1/embeddings", json=body).json()["data"][0]["embedding"]
    packed = server.http().post("/v1/embeddings", json={**body, "encoding_format": "base64"})
    data = base64.b64decode(packed.json()["data"][0]["embedding"])
    assert list(struct.unpack(f"<{len(plain)}f", data)) == plain
    # OpenAI's client asks for base64 by itself, and unpacks it.
    loose = server.client(strict=False).embeddings.create(model="encoder", input=[KIND])
    assert loose.data[0].embedding == plain


def test_many_texts_are_read_in_turns(server: Served) -> None:
    texts = [f"text number {number} " + "moon " * 20 for number in range(120)]
    found = server.client().embeddings.create(model="encoder", input=texts, encoding_format="float")
    expected = load_embedder("encoder").embed(texts).vectors
    assert np.abs(np.array([one.embedding for one in found.data]) - expected).max() < 1e-5


BAD_EMBEDDINGS: dict[str, tuple[dict[str, Any], int, str, str | None]] = {
    "tokens": ({"input": [1, 2, 3]}, 400, "unsupported_content", "input"),
    "lists of tokens": ({"input": [[1, 2], [3]]}, 400, "unsupported_content", "input"),
    "empty": ({"input": " "}, 400, "invalid_value", "input"),
    "one empty": ({"input": ["a", ""]}, 400, "invalid_value", "input"),
    "none": ({"input": []}, 400, "invalid_value", None),
    "mixed": ({"input": ["a", 1]}, 400, "invalid_value", None),
    "many": ({"input": ["a"] * 3000}, 400, "invalid_value", None),
    "long": ({"input": ["x" * 15_000] * 14}, 400, "invalid_value", "input"),
    "width": ({"input": "a", "dimensions": 3}, 400, "invalid_value", "dimensions"),
    "format": ({"input": "a", "encoding_format": "int8"}, 400, "invalid_value",
               "encoding_format"),
    "half": ({"input": "\ud800"}, 400, "invalid_value", None),
    "nobody": ({"input": "a", "model": "nobody"}, 404, "model_not_found", "model"),
    "half a name": ({"input": "a", "model": "\ud800"}, 400, "invalid_value", "model"),
    "verse": ({"input": "a", "model": "verse"}, 404, "model_not_found", "model"),
    "a path": ({"input": "a", "model": "encoder+../../etc"}, 404, "model_not_found", "model"),
    "a weight": ({"input": "a", "model": "encoder+verse:1e300"}, 404, "model_not_found", "model"),
    "no adapter": ({"input": "a", "model": "encoder+verse:0.5"}, 422, "bundle", None),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_EMBEDDINGS)
def test_bad_requests_for_vectors_have_one_line(server: Served, name: str) -> None:
    body, status, code, param = BAD_EMBEDDINGS[name]
    found = refused(server, "/v1/embeddings", {"model": "encoder", **body})
    assert found[:2] == (status, code)
    if param:
        assert found[2] == param


def test_offence_is_told_with_the_checks_own_score(server: Served) -> None:
    found = server.client().moderations.create(input=[RUDE, KIND])
    rude, kind = found.results
    assert found.model == "checks"
    assert (rude.flagged, kind.flagged) == (True, False)
    assert (rude.categories.harassment, kind.categories.harassment) == (True, False)
    for text, result in ((RUDE, rude), (KIND, kind)):
        report = judge(Material(text=text), ("offence",))
        assert result.category_scores.harassment == pytest.approx(report.checks[0].value)
        assert result.category_applied_input_types.harassment == ["text"]
        told = (result.model_extra or {})["wenfang"]
        assert "harassment" not in told["unjudged"]
        assert len(told["unjudged"]) == 12


def test_what_is_not_judged_says_so_and_has_no_score(server: Served) -> None:
    found = server.client().moderations.create(model="checks", input="I hate you, you fool.")
    (result,) = found.results
    record = result.model_dump(by_alias=True)
    told = (result.model_extra or {})["wenfang"]
    assert sorted(told["unjudged"]) == sorted(record["categories"])
    assert set(record["categories"].values()) == {False}
    assert set(record["category_scores"].values()) == {0.0}
    assert all(kinds == [] for kinds in record["category_applied_input_types"].values())
    assert len(told["unjudged"]) == 13
    offence = next(one for one in told["checks"] if one["name"] == "offence")
    assert offence["value"] is None
    assert "Chinese" in offence["evidence"][0]


def test_words_hold_a_text_and_personal_data_is_only_told(server: Served) -> None:
    client = server.client()
    (listed,) = client.moderations.create(input="what bullsh1t").results
    assert listed.flagged
    assert (listed.model_extra or {})["wenfang"]["against"] == ["words"]
    (data,) = client.moderations.create(input="write to ana.lima@example.org").results
    assert not data.flagged
    assert (data.model_extra or {})["wenfang"]["against"] == ["personal"]


def test_pictures_are_judged_by_nothing_here(server: Served) -> None:
    parts: Any = [{"type": "text", "text": RUDE},
                  {"type": "image_url", "image_url": {"url": PICTURE}}]  # fmt: skip
    (result,) = server.client().moderations.create(input=parts).results
    told = (result.model_extra or {})["wenfang"]
    assert result.categories.harassment
    assert told["pictures"] == {"count": 1, "judged": 0}
    assert told["notes"]
    (alone,) = server.client().moderations.create(input=parts[1:]).results
    assert not alone.flagged
    assert len((alone.model_extra or {})["wenfang"]["unjudged"]) == 13


def picture(url: str) -> dict[str, Any]:
    return {"input": [{"type": "image_url", "image_url": {"url": url}}]}


BAD_MODERATIONS: dict[str, tuple[dict[str, Any], int, str, str | None]] = {
    "address": (picture("http://127.0.0.1/x.png"), 400, "invalid_value",
                "input.0.image_url.url"),
    "file": (picture("file:///etc/passwd"), 400, "invalid_value", "input.0.image_url.url"),
    "no base64": (picture("data:image/png;base64,###"), 400, "invalid_value",
                  "input.0.image_url.url"),
    "page": (picture("data:text/html;base64,AAAA"), 400, "invalid_value",
             "input.0.image_url.url"),
    "empty part": ({"input": [{"type": "text"}]}, 400, "missing_required_parameter",
                   "input.0.text"),
    "nothing": ({}, 400, "missing_required_parameter", "input"),
    "none": ({"input": []}, 400, "invalid_value", None),
    "long": ({"input": ["x" * 19_000] * 6}, 400, "invalid_value", "input"),
    "pretended": ({"input": "a", "model": "omni-moderation-latest"}, 404, "model_not_found",
                  "model"),
    "unknown": ({"input": "a", "categories": []}, 400, "unknown_parameter", "categories"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_MODERATIONS)
def test_bad_requests_for_moderations_have_one_line(server: Served, name: str) -> None:
    body, status, code, param = BAD_MODERATIONS[name]
    found = refused(server, "/v1/moderations", body)
    assert found[:2] == (status, code)
    if param:
        assert found[2] == param


def test_a_text_without_words_is_flagged_by_nothing(server: Served) -> None:
    (result,) = server.client().moderations.create(input="").results
    assert not result.flagged


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    one = Database.open(f"sqlite:///{tmp_path / 'x.sqlite'}")
    yield one
    one.close()


def test_the_migration_makes_the_table_that_is_used(database: Database) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    def ours(name: str | None, kind: str, parents: object) -> bool:
        return kind != "table" or name == "responses"

    with database.reading() as held:
        how = {"compare_type": True, "include_name": ours}
        context = MigrationContext.configure(held, opts=how)
        assert compare_metadata(context, store.metadata) == []


def test_another_projects_response_is_nobodys_and_an_old_one_is_forgotten(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (
        store.Kept(content={"id": f"resp_{digit * 24}"}, talk=[{"role": "user", "content": "春"}])
        for digit in "ab"
    )
    name = first.content["id"]
    store.keep(database, "ours", "ana", first)
    assert store.find(database, "ours", name) == first
    for act in (store.find, store.forget):
        with pytest.raises(Fault) as caught:
            act(database, "theirs", name)
        assert caught.value.status == 404
    assert store.find(database, "ours", name) == first
    monkeypatch.setattr(store, "KEPT_S", -1.0)
    store.keep(database, "ours", "ana", second)
    with pytest.raises(Fault):
        store.find(database, "ours", name)
    assert store.find(database, "ours", second.content["id"]) == second
    store.forget(database, "ours", second.content["id"])
    with pytest.raises(Fault):
        store.find(database, "ours", second.content["id"])
