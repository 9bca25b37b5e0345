"""Texts that share a model's steps are those that each would be alone."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import tiny_run
from tiny_bundle import BYTES, CHARACTERS, write_bundle
from wenfang import device
from wenfang.backends.shelf import find_bundle
from wenfang.device import DRAWING_THREADS, noise
from wenfang.engine.batching import Handle, Piece, Request, TextBatch, shares
from wenfang.engine.generating import Model
from wenfang.errors import BriefError, BusyError, CheckError, ConfigError
from wenfang.models import MODELS, gpt, gpt2
from wenfang.models.decode.slotted import Slots
from wenfang.models.load import Loaded, load
from wenfang.samplers.shared import (
    PROMPT_TOKENS_A_STEP,
    PROMPT_TOKENS_A_TURN,
    SharedSampler,
    Stream,
)
from wenfang.samplers.tokens import CachedPredict, Drawn, Sampling, sample

CONTEXT, VOCABULARY = 40, 61
SIZES: dict[str, Any] = {
    "vocabulary_size": VOCABULARY,
    "width": 24,
    "layers": 2,
    "context": CONTEXT,
}
FAMILIES: dict[str, Any] = {
    "gpt": gpt.Config(**SIZES, heads=6, kv_heads=3, hidden_width=37),
    "qwen": gpt.Config(
        **SIZES,
        heads=4,
        kv_heads=4,
        hidden_width=37,
        head_width=10,
        attention_bias=True,
        query_key_norm=True,
        tied_head=False,
    ),
    "gpt2": gpt2.Config(**SIZES, heads=4, hidden_width=37),
}
Told = dict[Handle, list[Piece]]


@pytest.fixture(autouse=True, scope="module")
def as_many_threads_as_draw() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(DRAWING_THREADS)
    yield
    torch.set_num_threads(before)


def filled(model: Any, scale: float = 0.3) -> Any:
    """A model far from uniform."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0 if parameter.ndim > 1 else 1.0, scale, generator=generator)
    return model.eval()


def network(family: str) -> Any:
    return filled(MODELS[family.replace("qwen", "gpt")](FAMILIES[family]))


def tokens_of(count: int, seed: int = 2) -> list[int]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, VOCABULARY, (count,), generator=generator).tolist()


@torch.no_grad()
def plain(model: Any, tokens: Sequence[int]) -> Tensor:
    logits: Tensor = model(torch.tensor([list(tokens)]))[0, -1]
    return logits


@pytest.mark.parametrize("learned", [0, 4], ids=["", "after learned vectors"])
@pytest.mark.parametrize("family", FAMILIES)
def test_rows_that_come_and_go_have_the_plain_models_logits(family: str, learned: int) -> None:
    model = network(family)
    if learned:
        vectors = torch.randn(learned, 24, generator=torch.Generator().manual_seed(3))
        model.prompt = nn.Parameter(vectors)
    texts = [tokens_of(30, seed) for seed in range(4)]
    slots, rows, read = Slots(model), [0, 1, 2], [5, 1, 9, 3]
    found = slots.append([texts[row][: read[row]] for row in rows])
    for turn in range(12):
        for logits, row in zip(found, rows, strict=True):
            assert torch.allclose(logits, plain(model, texts[row][: read[row]]), atol=1e-4)
        if turn == 4:
            assert slots.release(0) == 2  # the last row takes the place of the first
            rows = [2, 1]
        if turn == 7:
            new = slots.append([texts[3][: read[3]]])
            assert torch.allclose(new[0], plain(model, texts[3][: read[3]]), atol=1e-4)
            rows = [2, 1, 3]
        found = slots.step([texts[row][read[row]] for row in rows])
        read = [count + (row in rows) for row, count in enumerate(read)]
    assert [slots.length(place) for place in range(3)] == [read[row] + learned for row in rows]


def alone(model: Any, stream: Stream) -> Drawn:
    """What `sample` draws of the same stream."""
    predict = CachedPredict(model, 1, CONTEXT)
    prompt = torch.tensor([list(stream.prompt)])
    return sample(predict, prompt, [noise(*SEED)], stream.sampling, stop=stream.stop)[0]


SEED = (5, "stream")


def test_streams_of_many_kinds_are_drawn_as_alone() -> None:
    model = network("gpt")
    samplings = [
        Sampling(maximum_tokens=20),
        Sampling(temperature=0, maximum_tokens=9),
        Sampling(temperature=0.7, top_k=9, maximum_tokens=20),
        Sampling(temperature=0.7, top_k=9, maximum_tokens=3),
        Sampling(top_p=0.8, min_p=0.02, repetition_penalty=1.3, maximum_tokens=20),
        Sampling(top_p=0.8, min_p=0.02, repetition_penalty=1.3, maximum_tokens=17),
    ]
    streams = [
        Stream(
            prompt=tokens_of(2 + 3 * number, number),
            noise=noise(*SEED),
            sampling=sampling,
            stop=frozenset({1, 2}),
        )
        for number, sampling in enumerate(samplings)
    ]
    sampler, left = SharedSampler(model), list(streams)
    while left or len(sampler):
        if left:  # one more at every step
            sampler.join(left.pop(0))
        sampler.step()
    for stream in streams:
        expected = alone(model, stream)
        assert stream.tokens == expected.tokens
        assert stream.stopped == expected.stopped
        assert stream.log_probabilities == pytest.approx(expected.log_probabilities, abs=1e-4)


def test_prompts_beyond_a_steps_share_wait_for_the_next() -> None:
    model = tiny_run.model(replace(tiny_run.MODEL, context=2 * PROMPT_TOKENS_A_STEP)).eval()
    sampler, long = SharedSampler(model), [3] * (PROMPT_TOKENS_A_STEP - 10)
    for prompt in ([4] * 5, long, long):
        sampler.join(Stream(prompt=prompt, noise=noise(1), sampling=Sampling(maximum_tokens=9)))
    assert [len(sampler.step()) for _ in range(3)] == [2, 1, 3]


def test_who_has_a_first_token_goes_on_between_many_prompts() -> None:
    model = tiny_run.model(replace(tiny_run.MODEL, context=2 * PROMPT_TOKENS_A_STEP)).eval()
    sampler, long = SharedSampler(model), [3] * PROMPT_TOKENS_A_STEP
    streams = [
        Stream(prompt=prompt, noise=noise(1), sampling=Sampling(maximum_tokens=9))
        for prompt in ([4] * 5, *[long] * 7)
    ]
    for stream in streams:
        sampler.join(stream)
    turn = PROMPT_TOKENS_A_TURN // PROMPT_TOKENS_A_STEP
    found = [[streams.index(one) for one in sampler.step()] for _ in range(turn + 2)]
    assert found[: turn + 1] == [[number] for number in range(turn + 1)]
    assert found[turn + 1] == list(range(turn + 1))  # everybody who was begun


def test_idle_cores_are_used_for_what_is_large_and_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cores = len(os.sched_getaffinity(0))
    load = tmp_path / "loadavg"
    monkeypatch.setattr(device, "LOAD", load)
    before = torch.get_num_threads()
    for told, more in (("1/99 7", cores - 1), (f"{cores + 3}/99 7", 0), ("nothing", 0)):
        load.write_text(f"0.10 0.20 0.30 {told}\n")
        with device.idle_threads(device.SHARED_FLOPS):
            assert torch.get_num_threads() == max(before, 1 + more)
        with device.idle_threads(device.SHARED_FLOPS / 2):
            assert torch.get_num_threads() == before
        assert torch.get_num_threads() == before
    load.unlink()
    assert device.idle_cores() == 0


def test_a_core_is_not_idle_where_another_thread_of_ours_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cores = len(os.sched_getaffinity(0))
    load, tasks = tmp_path / "loadavg", tmp_path / "task"
    monkeypatch.setattr(device, "LOAD", load)
    monkeypatch.setattr(device, "THREADS", tasks)
    wait = threading.Event()
    beside = threading.Thread(target=wait.wait)
    beside.start()
    try:
        # This thread, one that waits for tensor work to share, and one that runs Python.
        load.write_text("0.10 0.20 0.30 3/99 7\n")
        for number in (threading.get_native_id(), 1, beside.native_id):
            (tasks / str(number)).mkdir(parents=True)
            (tasks / str(number) / "stat").write_text(f"{number} (python) R 1 2 3\n")
        assert device.idle_cores() == max(0, cores - 2)
        (tasks / str(beside.native_id) / "stat").write_text("7 (python) S 1 2 3\n")
        load.write_text("0.10 0.20 0.30 2/99 7\n")
        assert device.idle_cores() == cores - 1
    finally:
        wait.set()
        beside.join()


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Loaded]:
    folder = tmp_path_factory.mktemp("bundles")
    write_bundle(folder / "bytes", "qwen3", tokenizer=BYTES)
    write_bundle(folder / "gpt2", "gpt2", tokenizer=BYTES)
    write_bundle(folder / "t5", "t5")
    found = {path.name: load(path) for path in folder.iterdir()}
    sizes = {**SIZES, "vocabulary_size": CHARACTERS.size}
    model = filled(gpt.GPT(gpt.Config(**sizes, heads=3, kv_heads=3, hidden_width=32)))
    letters = replace(found["bytes"], model=model, tokenizer=CHARACTERS)
    return {
        **found,
        "characters": letters,
        "answers": replace(letters, layout="completion"),
    }


def finish(batch: TextBatch, waiting: Sequence[Request] = (), every: int = 1) -> Told:
    """All pieces of these requests (and of those in the batch); one joins each `every` steps."""
    left, steps = list(waiting), 0
    told: Told = {}
    while left or not batch.idle:
        if left and steps % every == 0:
            told[batch.join(left.pop(0))] = []
        for piece in batch.step():
            told.setdefault(piece.handle, []).append(piece)
        steps += 1
        assert steps < 2000
    return told


def check(batch: TextBatch, asked: Sequence[Request], told: Told) -> None:
    """Each text, its manifest and its pieces are those of a draw that nobody shared."""
    assert len(told) == len(asked)
    for request, (handle, pieces) in zip(asked, told.items(), strict=True):
        model = Model(batch.loaded)
        expected = model.draw(request.prompt, (request.seed,), request.settings)[0]
        assert handle.result is not None, handle.error
        found = batch.generated(handle)
        assert found.text == expected.text
        assert found.finish == expected.finish == pieces[-1].finished
        assert found.manifest == expected.manifest
        assert found.log_probabilities == pytest.approx(expected.log_probabilities, abs=1e-4)
        assert "".join(piece.text for piece in pieces) == handle.result.text
        assert all(piece.finished is None for piece in pieces[:-1])


LONG = "the moon over the sea, 12 boats; spring river, flower night 海上明月共潮生"
SETTINGS: list[dict[str, Any]] = [
    {},
    {"sampling": {"temperature": 1.2, "maximum_tokens": 70}},
    {"sampling": {"temperature": 0, "maximum_tokens": 20}},
    {"sampling": {"guidance": 2.0, "maximum_tokens": 40}, "against": "the sea"},
    {"sampling": {"guidance": 1.5, "maximum_tokens": 50}, "watermark": False},
    {"sampling": {"repetition_penalty": 1.3, "top_k": 30, "maximum_tokens": 60}},
    {"sampling": {"top_p": 0.9, "min_p": 0.01, "maximum_tokens": 60}, "stop": ["e", "月"]},
    {"constraints": {"pattern": "[a-z ]{3,20}"}, "sampling": {"maximum_tokens": 40}},
    {"constraints": {"required": ["moon"]}, "sampling": {"maximum_tokens": 30}},
    {"sampling": {"maximum_tokens": 1}},
]


@pytest.mark.parametrize("name", ["bytes", "characters", "answers", "gpt2"])
@pytest.mark.parametrize("every", [1, 3])
def test_texts_that_join_one_after_another_are_those_written_alone(
    bundles: dict[str, Loaded], name: str, every: int
) -> None:
    prompts = ["the", LONG, "海上", "s", "the moon over"]
    asked = [
        Request(prompt=prompts[number % len(prompts)], settings=settings, seed=number)
        for number, settings in enumerate(SETTINGS)
    ]
    batch = TextBatch(bundles[name])
    check(batch, asked, finish(batch, asked, every))


def test_watermarks_of_two_texts_do_not_meet(bundles: dict[str, Loaded]) -> None:
    batch = TextBatch(bundles["characters"])
    settings = {"sampling": {"temperature": 1.2, "maximum_tokens": 120}}
    asked = [Request(prompt="the moon", settings=settings, seed=1)] * 2  # the very same contexts
    told = finish(batch, asked, 9)
    check(batch, asked, told)
    facts = batch.generated(next(iter(told))).manifest.facts
    assert "kind" in str(facts["watermark"])


def verses(count: int) -> list[Request]:
    titles = ["春", "", "江花月夜", "秋水", "山雪"]
    kinds: list[dict[str, Any]] = [
        {},
        {"characters": 5, "language": "zh-Hans"},
        {"characters": 5, "rhyme_first": True},
        {"sampling": {"temperature": 1.3, "guidance": 1.0}},
        {"regular_tones": False, "sampling": {"top_p": 0.7, "guidance": 3.0}},
        {"language": "zh-Hans"},
    ]
    return [
        Request(prompt=titles[number % 5], settings=kinds[number % 6], seed=number)
        for number in range(count)
    ]


def test_quatrains_of_a_small_poet_are_those_written_alone(workshop: Path) -> None:
    batch, asked = TextBatch(load(workshop / "bundles/verse")), verses(12)
    check(batch, asked, finish(batch, asked, 2))


def test_quatrains_of_the_shipped_poet_are_those_written_alone() -> None:
    batch, asked = TextBatch(load(find_bundle("verse"))), verses(8)
    told = finish(batch, asked)
    check(batch, asked, told)
    first = next(iter(told.values()))
    assert len(first) > 20, "characters come as they are drawn"


def test_who_leaves_frees_a_slot_and_changes_nobody(bundles: dict[str, Loaded]) -> None:
    batch = TextBatch(bundles["bytes"], slots=3)
    asked = [
        Request(prompt="the moon", settings=SETTINGS[number], seed=number) for number in (1, 3, 5)
    ]
    first, gone, last = [batch.join(one) for one in asked]
    pieces: Told = {first: [], last: []}
    for step in range(200):
        if step == 4:
            batch.leave(gone)
            assert batch.count == 2
            batch.leave(gone)  # a second time changes nothing
            late = batch.join(asked[1])
            pieces[late] = []
        found = batch.step()
        assert step < 4 or all(piece.handle is not gone for piece in found)
        for piece in found:
            pieces.setdefault(piece.handle, []).append(piece)
    assert batch.idle
    assert gone.result is None
    pieces.pop(gone, None)
    check(batch, [asked[0], asked[2], asked[1]], pieces)


def test_one_who_leaves_before_the_first_step_is_never_read(bundles: dict[str, Loaded]) -> None:
    batch = TextBatch(bundles["bytes"])
    batch.leave(batch.join(Request(prompt="the")))
    assert (batch.count, batch.idle, batch.step()) == (0, True, [])


def test_a_full_batch_says_so_and_takes_again_what_has_room(bundles: dict[str, Loaded]) -> None:
    batch = TextBatch(bundles["bytes"], slots=2)
    request = Request(prompt="the", settings={"sampling": {"maximum_tokens": 2}})
    batch.join(request), batch.join(request)
    with pytest.raises(BusyError, match="2 texts already"):
        batch.join(request)
    finish(batch)
    assert batch.count == 0
    batch.join(request)
    assert batch.count == 1


@pytest.mark.parametrize(
    ("error", "prompt", "settings"),
    [
        (ConfigError, "the", {"sampling": {"temperature": -1}}),
        (ConfigError, "the", {"characters": 5}),
        (ConfigError, "the", {"stop": [""]}),
        (ConfigError, "the", {"constraints": {"pattern": "(", "required": []}}),
        (ConfigError, "the", {"constraints": {"required": ["㐀"]}}),
        (BriefError, "", {}),
        (BriefError, "x" * 100_001, {}),
    ],
)
def test_what_cannot_be_answered_is_refused_and_takes_no_slot(
    bundles: dict[str, Loaded], error: type[Exception], prompt: str, settings: dict[str, Any]
) -> None:
    batch = TextBatch(bundles["characters"])
    with pytest.raises(error):
        batch.join(Request(prompt=prompt, settings=settings))
    assert batch.idle


@pytest.mark.parametrize(
    ("error", "prompt", "settings"),
    [
        (ConfigError, "春", {"characters": 6}),
        (ConfigError, "春", {"stop": ["月"]}),
        (BriefError, "spring", {}),
        (BriefError, "春" * 30, {}),
        (BriefError, "㐀", {}),
    ],
)
def test_a_poet_refuses_too(
    workshop: Path, error: type[Exception], prompt: str, settings: dict[str, Any]
) -> None:
    batch = TextBatch(load(workshop / "bundles/verse"))
    with pytest.raises(error):
        batch.join(Request(prompt=prompt, settings=settings))
    assert batch.idle


def test_a_text_that_fails_ends_alone(bundles: dict[str, Loaded]) -> None:
    batch = TextBatch(bundles["characters"])
    bad = batch.join(
        Request(
            prompt="the",
            settings={"constraints": {"pattern": "[a-z]{30}"}, "sampling": {"maximum_tokens": 4}},
        )
    )
    good = Request(prompt="the", settings={"sampling": {"maximum_tokens": 9}}, seed=3)
    told = finish(batch, [good])
    assert isinstance(bad.error, CheckError)
    assert (bad.result, told.pop(bad)[-1].finished) == (None, "error")
    check(batch, [good], told)


def test_pieces_keep_back_what_may_become_a_stop_text(bundles: dict[str, Loaded]) -> None:
    loaded = bundles["characters"]
    settings: dict[str, Any] = {"sampling": {"maximum_tokens": 40}}
    texts = (Model(loaded).draw("the", (seed,), settings)[0].text for seed in range(20))
    seed, whole = next((seed, text) for seed, text in enumerate(texts) if len(text) > 30)
    stop, almost = whole[20:23], whole[8:10]
    batch = TextBatch(loaded)
    asked = Request(
        prompt="the", settings={**settings, "stop": [stop, f"{almost}, never"]}, seed=seed
    )
    told = finish(batch, [asked])
    check(batch, [asked], told)
    ((handle, pieces),) = told.items()
    assert pieces[-1].finished == "stop"
    assert handle.result is not None
    assert "the" + handle.result.text == whole[: whole.index(stop, 3)]
    shown = [piece.text for piece in pieces]
    # What may be the beginning of a stop text comes later, with what shows that it is none.
    assert any(len(text) > len(almost) for text in shown)
    for count in range(len(shown)):
        assert not ("the" + "".join(shown[:count])).endswith(almost)


def test_pieces_of_bytes_are_whole_characters(bundles: dict[str, Loaded]) -> None:
    batch = TextBatch(bundles["bytes"])
    pattern = "[春秋江月]{4,9}"
    asked = [
        Request(prompt="海", settings={"constraints": {"pattern": pattern}}, seed=seed)
        for seed in range(3)
    ]
    told = finish(batch, asked)
    check(batch, asked, told)
    for handle, pieces in told.items():
        assert len(pieces) < handle.tokens, "a character is several tokens here"
        assert "\ufffd" not in "".join(piece.text for piece in pieces)


def test_models_whose_steps_cannot_be_shared_are_told_apart(
    bundles: dict[str, Loaded], workshop: Path
) -> None:
    assert all(shares(bundles[name]) for name in ("bytes", "characters", "answers", "gpt2"))
    assert shares(load(workshop / "bundles/verse"))
    assert not shares(bundles["t5"])
    assert not shares(load(workshop / "bundles/translator"))
    assert not shares(load(find_bundle("picture-encoder")))
