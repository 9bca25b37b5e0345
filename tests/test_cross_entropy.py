"""Cross-entropy in the memory of its logits is torch's, gradient and all."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from wenfang.objectives import cross_entropy as room
from wenfang.objectives.cross_entropy import cross_entropy

ROWS, VOCABULARY = 37, 11


@pytest.fixture(params=[1, 4 * VOCABULARY * 5, 2**21], ids=["one row", "five rows", "all rows"])
def _at_a_time(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "BYTES_AT_ONCE", request.param)


def made(kind: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    """A head's input and matrix, and the tokens that it should have told."""
    rng = torch.Generator().manual_seed(3)
    hidden = torch.randn(ROWS, 6, generator=rng, dtype=kind)
    head = torch.randn(VOCABULARY, 6, generator=rng, dtype=kind, requires_grad=True)
    return hidden, head, torch.randint(VOCABULARY, (ROWS,), generator=rng)


@pytest.mark.usefixtures("_at_a_time")
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_values_and_gradients_are_torchs(smoothing: float) -> None:
    hidden, head, target = made()
    weight = torch.linspace(0.5, 2, ROWS)
    smoothed, plain = cross_entropy(hidden @ head.T, target, smoothing)
    (smoothed * weight).sum().backward()  # type: ignore[no-untyped-call]
    found, head.grad = head.grad, None
    logits = hidden @ head.T
    expected = functional.cross_entropy(logits, target, reduction="none", label_smoothing=smoothing)
    (expected * weight).sum().backward()  # type: ignore[no-untyped-call]
    assert torch.allclose(smoothed, expected, atol=1e-6)
    assert torch.allclose(plain, functional.cross_entropy(logits, target, reduction="none"))
    assert not plain.requires_grad
    assert found is not None
    assert head.grad is not None
    assert torch.allclose(found, head.grad, atol=1e-5)


@pytest.mark.usefixtures("_at_a_time")
def test_the_gradient_is_that_of_finite_differences() -> None:
    hidden, head, target = made(torch.float64)

    def loss(matrix: Tensor) -> Tensor:
        return cross_entropy(hidden @ matrix.T, target, 0.2)[0].square().sum()

    loss(head).backward()  # type: ignore[no-untyped-call]
    assert head.grad is not None
    step = 1e-6 * torch.randn(head.shape, generator=torch.Generator().manual_seed(1)).double()
    with torch.no_grad():
        difference = float(loss(head + step) - loss(head - step)) / 2
    assert float((head.grad * step).sum()) == pytest.approx(difference, rel=1e-6)


def test_logits_of_any_size_are_finite() -> None:
    logits = torch.tensor([[1e4, -1e4, 0.0], [-1e30, 0.0, 0.0]], requires_grad=True)
    nll, _ = cross_entropy(logits, torch.tensor([0, 0]))
    assert nll.tolist() == pytest.approx([0.0, 1e30])
    nll.sum().backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert bool(logits.grad.isfinite().all())


def test_a_leaf_keeps_its_values() -> None:
    logits = torch.randn(4, 3, requires_grad=True)
    before = logits.detach().clone()
    cross_entropy(logits, torch.tensor([0, 1, 2, 0]))[0].sum().backward()  # type: ignore[no-untyped-call]
    assert torch.equal(logits.detach(), before)


def test_reading_the_overwritten_logits_again_is_refused() -> None:
    hidden, head, target = made()
    loss = cross_entropy(hidden @ head.T, target)[0].sum()
    loss.backward(retain_graph=True)  # type: ignore[no-untyped-call]
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()  # type: ignore[no-untyped-call]


def test_no_rows_have_no_loss() -> None:
    logits = torch.zeros(0, 5, requires_grad=True)
    smoothed, plain = cross_entropy(logits, torch.zeros(0, dtype=torch.int64), 0.1)
    smoothed.sum().backward()  # type: ignore[no-untyped-call]
    assert len(smoothed) == len(plain) == 0
