"""One decoding step of a GPT as a single compiled function (numba: LLVM, no C compiler needed).

Eager decoding of one token spends most of its time between operations, and the rest in
matrix-vector products that read memory at half of its speed. Here a step is one call without the
interpreter, and every matrix is read once, row by row, for all samples of the batch. Threads share
the rows of a product and the heads of attention, and meet after each part; a row's sum does not
depend on who computes it.

Weights are float32, or int8 with one scale a row; all arithmetic is float32.

B batch, D width, Q width of query + key + value, F hidden width, H heads, G key/value heads,
K width of a head, L layers, C capacity, V vocabulary
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from wenfang.models.kernel import kernel

Array = np.ndarray
Rows = tuple[int, int, int, int]
# How long a thread that waits looks again before it offers its core to others.
LOOKS = 2000


class Weights(NamedTuple):
    """Matrices: float32 or int8 (or, with one axis less, the scales of their rows)."""

    mix: Array  # (L, Q, D) query, key and value
    output: Array  # (L, D, H * K)
    gate_up: Array  # (L, 2F, D)
    down: Array  # (L, D, F)
    head: Array  # (V, D)


class Vectors(NamedTuple):
    """What is not a matrix of a product, float32."""

    embedding: Array  # (V, D)
    gains: Array  # (2L + 1, D) of the norms, the last one's at the end
    bias: Array  # (L, Q) of query, key and value; (L, 0) for none
    head_gains: Array  # (L, 2, K) norms of queries and keys; (L, 0, K) for none
    turn: Array  # (2, context, K) cosine and sine of every position


class Memory(NamedTuple):
    """What the threads share: the cache, and what one part hands to the next."""

    keys: Array  # (L, B, G, C, K)
    values: Array  # (L, B, G, C, K)
    mixed: Array  # (B, Q)
    read: Array  # (B, H * K)
    added: Array  # (B, D)
    gates: Array  # (B, F)
    ups: Array  # (B, F)
    gated: Array  # (B, F)
    arrived: Array  # (1,) int64, 0 at the start of a step: how often a thread has come to a meeting


class Team(NamedTuple):
    """Which thread this is, and of how many."""

    rank: int
    threads: int


def _add_atomically(context: Any, array: Any, amount: Any) -> Any:
    """array[0] += amount as one indivisible operation; returns the value before."""

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = target.make_array(signature.args[0])(target, builder, arguments[0]).data
        return builder.atomic_rmw("add", data, arguments[1], "seq_cst")

    return types.int64(array, types.int64), generate


def _read_atomically(context: Any, array: Any) -> Any:
    """array[0] as other threads left it."""

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = target.make_array(signature.args[0])(target, builder, arguments[0]).data
        return builder.load_atomic(data, "seq_cst", 8)

    return types.int64(array), generate


def _offer_core(context: Any) -> Any:
    """The system's sched_yield."""

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(32), [])
        found = builder.module.globals.get("sched_yield")
        return builder.call(found or ir.Function(builder.module, kind, "sched_yield"), [])

    return types.int32(), generate


add_atomically: Callable[[Array, int], int] = intrinsic(_add_atomically)
read_atomically: Callable[[Array], int] = intrinsic(_read_atomically)
offer_core: Callable[[], int] = intrinsic(_offer_core)


@kernel
def meet(arrived: Array, threads: int, meeting: int) -> int:
    """Wait until all threads have come to this meeting; returns the next one's number."""
    if threads == 1:
        return meeting + 1
    add_atomically(arrived, 1)
    looks = 0
    while read_atomically(arrived) < threads * meeting:
        looks += 1
        if looks > LOOKS:
            offer_core()
    return meeting + 1


@kernel
def tile(weight: Array, scale: Array, x: Array, out: Array, rows: Rows, b: int) -> None:
    """Four rows by four samples: each number that is read serves four sums."""
    i, j, m, n = rows
    w0, w1, w2, w3 = weight[i], weight[j], weight[m], weight[n]
    x0, x1, x2, x3 = x[b], x[b + 1], x[b + 2], x[b + 3]
    s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = np.float32(0)
    s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = np.float32(0)
    for k in range(weight.shape[1]):
        a0, a1, a2, a3 = x0[k], x1[k], x2[k], x3[k]
        c0, c1, c2, c3 = np.float32(w0[k]), np.float32(w1[k]), np.float32(w2[k]), np.float32(w3[k])
        s00 += c0 * a0
        s01 += c0 * a1
        s02 += c0 * a2
        s03 += c0 * a3
        s10 += c1 * a0
        s11 += c1 * a1
        s12 += c1 * a2
        s13 += c1 * a3
        s20 += c2 * a0
        s21 += c2 * a1
        s22 += c2 * a2
        s23 += c2 * a3
        s30 += c3 * a0
        s31 += c3 * a1
        s32 += c3 * a2
        s33 += c3 * a3
    r0, r1, r2, r3 = scale[i], scale[j], scale[m], scale[n]
    o0, o1, o2, o3 = out[b], out[b + 1], out[b + 2], out[b + 3]
    o0[i], o0[j], o0[m], o0[n] = s00 * r0, s10 * r1, s20 * r2, s30 * r3
    o1[i], o1[j], o1[m], o1[n] = s01 * r0, s11 * r1, s21 * r2, s31 * r3
    o2[i], o2[j], o2[m], o2[n] = s02 * r0, s12 * r1, s22 * r2, s32 * r3
    o3[i], o3[j], o3[m], o3[n] = s03 * r0, s13 * r1, s23 * r2, s33 * r3


@kernel
def column(weight: Array, scale: Array, x: Array, out: Array, rows: Rows) -> None:
    """Four rows by one sample: x (K,), out (N,)."""
    i, j, m, n = rows
    w0, w1, w2, w3 = weight[i], weight[j], weight[m], weight[n]
    s0 = s1 = s2 = s3 = np.float32(0)
    for k in range(weight.shape[1]):
        a = x[k]
        s0 += np.float32(w0[k]) * a
        s1 += np.float32(w1[k]) * a
        s2 += np.float32(w2[k]) * a
        s3 += np.float32(w3[k]) * a
    out[i], out[j], out[m], out[n] = s0 * scale[i], s1 * scale[j], s2 * scale[m], s3 * scale[n]


@kernel
def product(weight: Array, scale: Array, x: Array, out: Array, first: int, last: int) -> None:
    """out[b, n] = scale[n] * sum over k of weight[n, k] * x[b, k] for n of first..last.

    The four rows of a tile lie a quarter of all rows apart: memory is read faster as four long
    streams than as one (8 bits: 38 against 19 GB/s).

    weight (N, K), scale (N,), x (B, K), out (B, N or more)
    """
    batch = x.shape[0]
    fours = batch - batch % 4
    apart = (last - first) // 4
    for n in range(first, first + apart):
        rows = n, n + apart, n + 2 * apart, n + 3 * apart
        for b in range(0, fours, 4):
            tile(weight, scale, x, out, rows, b)
        for b in range(fours, batch):
            column(weight, scale, x[b], out[b], rows)
    for n in range(first + 4 * apart, last):
        row = weight[n]
        for b in range(batch):
            one, total = x[b], np.float32(0)
            for k in range(row.shape[0]):
                total += np.float32(row[k]) * one[k]
            out[b, n] = total * scale[n]


@kernel
def exponential(x: Array) -> None:
    """x = e**x in place, to float32's precision, for x of -87..87 (beyond: as at that end).

    e**x = (e**(x/1024))**1024: a short series and ten squarings in float64, which use vector
    units where a call of the mathematical library for each number does not.
    """
    for i in range(x.shape[0]):
        r = np.float64(min(max(x[i], np.float32(-87)), np.float32(87))) / 1024.0
        y = 1.0 + r * (1.0 + r / 2 * (1.0 + r / 3 * (1.0 + r / 4 * (1.0 + r / 5 * (1.0 + r / 6)))))
        y *= y
        y *= y
        y *= y
        y *= y
        y *= y
        y *= y
        y *= y
        y *= y
        y *= y
        y *= y
        x[i] = np.float32(y)


@kernel
def normalise(x: Array, gain: Array, epsilon: float, out: Array) -> None:
    """RMSNorm of one vector: x (D,), gain (D,) -> out (D,)."""
    total = np.float32(0)
    for i in range(x.shape[0]):
        total += x[i] * x[i]
    factor = np.float32(1) / np.sqrt(total / np.float32(x.shape[0]) + np.float32(epsilon))
    for i in range(x.shape[0]):
        out[i] = x[i] * factor * gain[i]


@kernel
def rotate(x: Array, cosine: Array, sine: Array) -> None:
    """Rotary position of one head in place: x (K,), halves paired; cosine, sine (K,)."""
    half = x.shape[0] // 2
    for i in range(half):
        low, high = x[i], x[i + half]
        x[i] = low * cosine[i] - high * sine[i]
        x[i + half] = high * cosine[i + half] + low * sine[i + half]


@kernel
def attend(query: Array, keys: Array, values: Array, score: Array, out: Array) -> None:
    """Softmax attention of one head: query (K,), keys, values (T, K), score (T,) -> out (K,)."""
    length, width = keys.shape
    highest = np.float32(-np.inf)
    factor = np.float32(1) / np.sqrt(np.float32(width))
    for time in range(length):
        key, total = keys[time], np.float32(0)
        for i in range(width):
            total += query[i] * key[i]
        score[time] = total * factor
        highest = max(highest, score[time])
    for time in range(length):
        score[time] -= highest
    exponential(score)
    whole = np.float32(0)
    for time in range(length):
        whole += score[time]
    for i in range(width):
        out[i] = 0
    for time in range(length):
        share, value = score[time] / whole, values[time]
        for i in range(width):
            out[i] += share * value[i]


@kernel
def prepare(
    head: Array, bias: Array, gains: Array, which: int, epsilon: float, turn: Array
) -> None:
    """A query or a key before attention: head (K,) with bias, norm `which` of gains, position."""
    for i in range(bias.shape[0]):
        head[i] += bias[i]
    if gains.shape[0]:
        normalise(head, gains[which], epsilon, head)
    rotate(head, turn[0], turn[1])


@kernel
def attention(
    vectors: Vectors, memory: Memory, epsilon: float, layer: int, length: int, team: Team
) -> None:
    """memory.mixed -> memory.read for this thread's key/value heads; fills position `length`."""
    _, batch, groups, _, width = memory.keys.shape
    heads = memory.read.shape[1] // width
    shared = heads // groups
    bias, gains = vectors.bias[layer], vectors.head_gains[layer]
    turn = vectors.turn[:, length]
    score = np.empty(length + 1, np.float32)
    for pair in range(team.rank, batch * groups, team.threads):
        b, group = pair // groups, pair % groups
        mixed = memory.mixed[b]
        keys, values = memory.keys[layer, b, group], memory.values[layer, b, group]
        start = (heads + group) * width
        prepare(mixed[start : start + width], bias[start : start + width], gains, 1, epsilon, turn)
        keys[length] = mixed[start : start + width]
        start += groups * width
        for i in range(bias[start : start + width].shape[0]):
            mixed[start + i] += bias[start + i]
        values[length] = mixed[start : start + width]
        for head in range(group * shared, (group + 1) * shared):
            part = slice(head * width, (head + 1) * width)
            prepare(mixed[part], bias[part], gains, 0, epsilon, turn)
            past = slice(0, length + 1)
            attend(mixed[part], keys[past], values[past], score, memory.read[b, part])


@kernel
def gate(gates: Array, ups: Array, first: int, last: int, out: Array) -> None:
    """SwiGLU's product of one sample: silu(gates) * ups, all (F,), of first..last."""
    sigmoid = -gates[first:last]
    exponential(sigmoid)
    for i in range(first, last):
        out[i] = gates[i] / (np.float32(1) + sigmoid[i - first]) * ups[i]


@kernel
def add(x: Array, more: Array) -> None:
    """x += more, both (B, D)."""
    for b in range(x.shape[0]):
        one, other = x[b], more[b]
        for i in range(one.shape[0]):
            one[i] += other[i]


@kernel
def normalise_all(x: Array, gain: Array, epsilon: float, out: Array) -> None:
    """RMSNorm of every sample: (B, D) -> (B, D)."""
    for b in range(x.shape[0]):
        normalise(x[b], gain, epsilon, out[b])


@kernel
def part_of(rows: int, team: Team) -> tuple[int, int]:
    """First and last row of this thread; whole tiles of four, so that no sum's order changes."""
    tiles = (rows + 3) // 4
    first = tiles * team.rank // team.threads * 4
    return first, min(rows, tiles * (team.rank + 1) // team.threads * 4)


@kernel
def step(
    tokens: Array,
    weights: Weights,
    scales: Weights,
    vectors: Vectors,
    memory: Memory,
    where: tuple[int, float],
    team: Team,
    logits: Array,
) -> None:
    """One token of every sample through all blocks and the head, by each thread of a team.

    tokens  (B,) int64; logits (B, V or more), the result
    where   position of the tokens, which is the cache's length, and the norms' epsilon
    """
    length, epsilon = where
    gains, threads = vectors.gains, team.threads
    layers, width = weights.down.shape[0], weights.down.shape[1]
    hidden = weights.down.shape[2]
    x = np.empty((tokens.shape[0], width), np.float32)
    for b in range(tokens.shape[0]):
        x[b] = vectors.embedding[tokens[b]]
    normal = np.empty_like(x)
    of_mix = part_of(weights.mix.shape[1], team)
    of_width, of_hidden = part_of(width, team), part_of(hidden, team)
    meeting = 1
    for layer in range(layers):
        normalise_all(x, gains[2 * layer], epsilon, normal)
        matrix, scale = weights.mix[layer], scales.mix[layer]
        product(matrix, scale, normal, memory.mixed, of_mix[0], of_mix[1])
        meeting = meet(memory.arrived, threads, meeting)
        attention(vectors, memory, epsilon, layer, length, team)
        meeting = meet(memory.arrived, threads, meeting)
        matrix, scale = weights.output[layer], scales.output[layer]
        product(matrix, scale, memory.read, memory.added, of_width[0], of_width[1])
        meeting = meet(memory.arrived, threads, meeting)
        add(x, memory.added)
        normalise_all(x, gains[2 * layer + 1], epsilon, normal)
        matrix, scale = weights.gate_up[layer], scales.gate_up[layer]
        first, last = of_hidden
        product(matrix[:hidden], scale[:hidden], normal, memory.gates, first, last)
        product(matrix[hidden:], scale[hidden:], normal, memory.ups, first, last)
        for b in range(x.shape[0]):
            gate(memory.gates[b], memory.ups[b], first, last, memory.gated[b])
        meeting = meet(memory.arrived, threads, meeting)
        matrix, scale = weights.down[layer], scales.down[layer]
        product(matrix, scale, memory.gated, memory.added, of_width[0], of_width[1])
        meeting = meet(memory.arrived, threads, meeting)
        add(x, memory.added)
    normalise_all(x, gains[2 * layers], epsilon, normal)
    first, last = part_of(weights.head.shape[0], team)
    product(weights.head, scales.head, normal, logits, first, last)
    meet(memory.arrived, threads, meeting)
