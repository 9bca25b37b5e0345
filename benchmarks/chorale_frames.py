"""How likely does a small model hold the frames of chorales that it has not seen?

    python benchmarks/chorale_frames.py --data DATA [--kind joint|independent] [--steps N] [--json]

The standard task (Boulanger-Lewandowski et al. 2012, arXiv:1206.6392): quarter-note frames of the
JSB chorales in the official parts, nats a frame given all before it, every frame counted. Both
models are Transformers of at most a million weights, trained on the training part alone in other
keys; the step with the best validation part is what the test part is measured with.

joint        the notes of a frame one after another from the top, then its end: a distribution over
             chords. `mixture` is the mean of the probabilities that the same model gives in seven
             keys around
independent  88 keys at once, each by itself, as TCN (8.10) and LSTM (8.45) are scored
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from wenfang import optim
from wenfang.device import noise, set_threads
from wenfang.models import gpt
from wenfang.models.products import fast_products

FILE, PARTS = "jsb-chorales-quarter.json", ("train", "valid", "test")
LOWEST, KEYS = 21, 88
BEGIN, END, FIRST_NOTE = 0, 1, 2
PADDING = -1
FARTHEST, LONGEST, BATCH, AT_ONCE = 6, 64, 16, 16
MIXED = range(-3, 4)
Piece = list[list[int]]
Data = dict[str, list[Piece]]

JOINT = gpt.Config(
    vocabulary_size=FIRST_NOTE + KEYS, width=128, layers=4, heads=4, kv_heads=4, hidden_width=320,
    context=1024, dropout=0.2,
)  # fmt: skip


def joint_tokens(piece: Piece, shift: int = 0) -> list[int]:
    """Notes of each frame from the highest, and its end."""
    found = [BEGIN]
    for frame in piece:
        found += [note - LOWEST + shift + FIRST_NOTE for note in sorted(set(frame), reverse=True)]
        found.append(END)
    return found


def padded(rows: Sequence[Sequence[int]]) -> Tensor:
    """(B, T) with PADDING behind the shorter ones."""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[PADDING] * (longest - len(row))] for row in rows])


class Joint(nn.Module):
    """A frame note by note."""

    def __init__(self) -> None:
        super().__init__()
        self.model = gpt.GPT(JOINT)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights."""
        self.model.initialise(generator)

    def nats(self, pieces: Sequence[Piece], shifts: Sequence[int]) -> Tensor:
        """(B, T) of each token, 0 where there is none."""
        rows = padded([joint_tokens(*one) for one in zip(pieces, shifts, strict=True)])
        target = rows[:, 1:]
        logits = self.model(rows[:, :-1].clamp_min(0))
        nats = functional.cross_entropy(
            logits.transpose(1, 2), target, ignore_index=PADDING, reduction="none"
        )
        return nats


class Independent(nn.Module):
    """88 keys at once, from a Transformer over frames."""

    def __init__(self) -> None:
        super().__init__()
        self.read = nn.Linear(KEYS, JOINT.width)
        self.decoder = gpt.Decoder(JOINT)
        self.head = nn.Linear(JOINT.width, KEYS)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights; rarely does a key sound, which is where it begins."""
        for name, weight in self.named_parameters():
            if weight.ndim == 1:
                nn.init.constant_(weight, 1.0 if "norm" in name else 0.0)
            else:
                nn.init.normal_(weight, std=1 / math.sqrt(weight.shape[1]), generator=generator)
        nn.init.constant_(self.head.bias, -3.0)

    def nats(self, pieces: Sequence[Piece], shifts: Sequence[int]) -> Tensor:
        """(B, T) of each frame, 0 where there is none."""
        longest = max(map(len, pieces))
        rolls = torch.zeros(len(pieces), longest, KEYS)
        there = torch.zeros(len(pieces), longest)
        for row, (piece, shift) in enumerate(zip(pieces, shifts, strict=True)):
            there[row, : len(piece)] = 1
            for at, frame in enumerate(piece):
                rolls[row, at, [note - LOWEST + shift for note in frame]] = 1
        x = self.read(functional.pad(rolls[:, :-1], (0, 0, 1, 0)))
        for layer in self.decoder.layers:
            x = layer(x, self.decoder.rotary, None)
        logits = self.head(self.decoder.norm(x))
        nats = functional.binary_cross_entropy_with_logits(logits, rolls, reduction="none")
        return nats.sum(2) * there


def read(folder: Path) -> Data:
    """The three parts."""
    found: Data = json.loads((folder / FILE).read_text("utf-8"))
    return found


def batches(pieces: list[Piece], steps: int) -> Iterator[tuple[list[Piece], list[int]]]:
    """Pieces, or LONGEST frames of them, in any key that the training part's range allows."""
    low = min(note for piece in pieces for frame in piece for note in frame) - 1
    high = max(note for piece in pieces for frame in piece for note in frame) + 1
    for step in range(steps):
        drawn = noise(0, "frames", step)
        chosen, shifts = [], []
        for number in drawn.choice(len(pieces), BATCH, replace=False):
            piece = pieces[int(number)]
            notes = [note for frame in piece for note in frame]
            least, most = max(-FARTHEST, low - min(notes)), min(FARTHEST, high - max(notes))
            shifts.append(int(drawn.integers(least, most + 1)) if least <= most else 0)
            first = int(drawn.integers(max(1, len(piece) - LONGEST + 1)))
            chosen.append(piece[first : first + LONGEST])
        yield chosen, shifts


@torch.no_grad()
def nats_a_frame(model: Joint | Independent, pieces: list[Piece], keys: Sequence[int]) -> float:
    """Mean over all frames; of several keys, of the mean of their probabilities."""
    model.eval()
    total, frames = 0.0, sum(map(len, pieces))
    for first in range(0, len(pieces), AT_ONCE):
        part = pieces[first : first + AT_ONCE]
        found = torch.stack([-model.nats(part, [key] * len(part)) for key in keys])
        mixed = torch.logsumexp(found, 0) - math.log(len(keys))
        total -= float(mixed.double().sum())
    model.train()
    return total / frames


def trained(kind: str, data: Data, steps: int) -> tuple[Joint | Independent, dict[str, float]]:
    """The model of the best validation part, and how it went."""
    model: Joint | Independent = Joint() if kind == "joint" else Independent()
    model.initialise(torch.Generator().manual_seed(0))
    torch.manual_seed(0)  # of dropout
    weights = {
        name: weight for name, weight in model.named_parameters()
        if kind == "joint" or "embed_tokens" not in name
    }  # fmt: skip
    count = sum(weight.numel() for weight in weights.values())
    optimizers = optim.build(
        weights.items(), optim.OptimConfig(kind="muon", lr=2e-3, matrix_lr=0.01, weight_decay=0.1)
    )
    average = optim.Average(model, 0.995)
    best, kept, began = math.inf, dict[str, Tensor](), time.monotonic()
    every = max(1, steps // 12)
    for step, (pieces, shifts) in enumerate(batches(data["train"], steps), 1):
        optim.set_rate(optimizers, min(1, step / 50) * min(1.0, (steps - step + 1) / (0.5 * steps)))
        for one in optimizers:
            one.zero_grad()
        loss = model.nats(pieces, shifts).sum() / sum(map(len, pieces))
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(weights.values(), 1.0)
        for one in optimizers:
            one.step()
        average.update(model)
        if step % every == 0 or step == steps:
            average.swap(model)
            value = nats_a_frame(model, data["valid"], [0])
            if value < best:
                best = value
                kept = {name: one.clone() for name, one in model.state_dict().items()}
            average.swap(model)
            print(f"step {step}: valid {value:.3f}", file=sys.stderr, flush=True)
    model.load_state_dict(kept)
    return model, {"parameters": float(count), "seconds": time.monotonic() - began}


def main() -> None:
    """Train, measure, print."""
    asked = arguments()
    set_threads(asked.threads)
    data = read(
        asked.data / "jsb_chorales" if (asked.data / "jsb_chorales").is_dir() else asked.data
    )
    with fast_products():
        model, numbers = trained(asked.kind, data, asked.steps)
        found: dict[str, Any] = {"kind": asked.kind, "steps": asked.steps, **numbers}
        for part in ("valid", "test"):
            found[f"{part}_nats_a_frame"] = nats_a_frame(model, data[part], [0])
            if asked.kind == "joint":
                found[f"{part}_nats_a_frame_mixture"] = nats_a_frame(model, data[part], MIXED)
    if asked.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name}  {value if isinstance(value, str) else round(float(np.round(value, 3)), 3)}")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    root = os.environ.get("WENFANG_DATA")
    parser.add_argument(
        "--data", type=Path, default=Path(root) if root else None, required=not root
    )
    parser.add_argument("--kind", choices=("joint", "independent"), default="joint")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
