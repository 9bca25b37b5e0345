"""One decoding step of a GPT as a single compiled function (numba: LLVM, no C compiler needed).

Eager decoding of one token spends most of its time between operations, and the rest in a
matrix-vector product that reads memory at half of its speed. Here a step is one call without the
interpreter: every matrix is read once, row by row, for all samples of the batch.

Weights are float32, or int8 with one scale a row (`scale` is 1 for float32); all arithmetic is
float32. Compiled code is kept by numba beside this file, or in the user's cache folder where that
cannot be written.

B batch, D width, Q width of query + key + value, F hidden width, H heads, G key/value heads,
K width of a head, L layers, C capacity, V vocabulary
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numba
import numpy as np

Array = np.ndarray
Kernel = TypeVar("Kernel", bound=Callable[..., None])

# Sums may be reordered, which is what lets them use vector units; infinities keep their meaning.
REORDERED = {"reassoc", "contract", "nsz", "arcp"}


def kernel(function: Kernel) -> Kernel:
    """Compile at the first call for the types that it is given; other threads go on meanwhile."""
    compiled: Kernel = numba.njit(
        nogil=True, cache=True, fastmath=REORDERED, error_model="numpy", boundscheck=False
    )(function)
    return compiled


@kernel
def product(weight: Array, scale: Array, x: Array, out: Array) -> None:
    """out[b, n] = scale[n] * sum over k of weight[n, k] * x[b, k]: (N, K), (N,), (B, K) -> (B, N).

    Tiles of four rows by four samples: each number that is read serves four sums.
    """
    rows, width = weight.shape
    batch = x.shape[0]
    zero = np.float32(0)
    whole, fours = rows - rows % 4, batch - batch % 4
    for n in range(0, whole, 4):
        w0, w1, w2, w3 = weight[n], weight[n + 1], weight[n + 2], weight[n + 3]
        for b in range(0, fours, 4):
            x0, x1, x2, x3 = x[b], x[b + 1], x[b + 2], x[b + 3]
            s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = zero
            s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = zero
            for k in range(width):
                a0, a1, a2, a3 = x0[k], x1[k], x2[k], x3[k]
                c0, c1 = np.float32(w0[k]), np.float32(w1[k])
                c2, c3 = np.float32(w2[k]), np.float32(w3[k])
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
            r0, r1, r2, r3 = scale[n], scale[n + 1], scale[n + 2], scale[n + 3]
            out[b, n], out[b, n + 1], out[b, n + 2], out[b, n + 3] = (
                s00 * r0, s10 * r1, s20 * r2, s30 * r3,
            )
            out[b + 1, n], out[b + 1, n + 1], out[b + 1, n + 2], out[b + 1, n + 3] = (
                s01 * r0, s11 * r1, s21 * r2, s31 * r3,
            )
            out[b + 2, n], out[b + 2, n + 1], out[b + 2, n + 2], out[b + 2, n + 3] = (
                s02 * r0, s12 * r1, s22 * r2, s32 * r3,
            )
            out[b + 3, n], out[b + 3, n + 1], out[b + 3, n + 2], out[b + 3, n + 3] = (
                s03 * r0, s13 * r1, s23 * r2, s33 * r3,
            )
        for b in range(fours, batch):
            x0 = x[b]
            t0 = t1 = t2 = t3 = zero
            for k in range(width):
                a0 = x0[k]
                t0 += np.float32(w0[k]) * a0
                t1 += np.float32(w1[k]) * a0
                t2 += np.float32(w2[k]) * a0
                t3 += np.float32(w3[k]) * a0
            out[b, n] = t0 * scale[n]
            out[b, n + 1] = t1 * scale[n + 1]
            out[b, n + 2] = t2 * scale[n + 2]
            out[b, n + 3] = t3 * scale[n + 3]
    for n in range(whole, rows):
        w0 = weight[n]
        for b in range(batch):
            x0 = x[b]
            t0 = zero
            for k in range(width):
                t0 += np.float32(w0[k]) * x0[k]
            out[b, n] = t0 * scale[n]


@kernel
def exponential(x: Array) -> None:
    """x = e**x in place, to float32's precision; below e**-87 it is next to nothing.

    e**x = (e**(x/1024))**1024: a short series and ten squarings in float64, which use vector
    units where a call of the mathematical library for each number does not.
    """
    for i in range(x.shape[0]):
        r = np.float64(min(max(x[i], np.float32(-87.0)), np.float32(87.0))) / 1024.0
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
def attend(query: Array, keys: Array, values: Array, length: int, score: Array, out: Array) -> None:
    """Softmax attention of one head: query (K,), keys and values (C, K) up to length -> out (K,)."""
    width = query.shape[0]
    highest = np.float32(-np.inf)
    factor = np.float32(1) / np.sqrt(np.float32(width))
    for time in range(length):
        key = keys[time]
        total = np.float32(0)
        for i in range(width):
            total += query[i] * key[i]
        score[time] = total * factor
        highest = max(highest, score[time])
    for time in range(length):
        score[time] -= highest
    exponential(score[:length])
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
def read_layer(
    mixed: Array, bias: Array, gains: Array, epsilon: float, turn: Array,
    keys: Array, values: Array, length: int, score: Array, out: Array,
) -> None:
    """Attention of one layer and one sample.

    mixed  (Q,) query, key and value, without bias; bias (Q,), empty for none
    gains  (2, K) of the norms of queries and keys, empty for none
    turn   (2, K) cosine and sine of this position
    keys, values  (G, C, K), whose position `length` is filled here; out (H * K,)
    """
    kv_heads, _, width = keys.shape
    heads = out.shape[0] // width
    for i in range(bias.shape[0]):
        mixed[i] += bias[i]
    for head in range(heads + kv_heads):
        one = mixed[head * width : (head + 1) * width]
        if gains.shape[0]:
            normalise(one, gains[0 if head < heads else 1], epsilon, one)
        rotate(one, turn[0], turn[1])
    for head in range(kv_heads):
        start = (heads + head) * width
        keys[head, length] = mixed[start : start + width]
        start += kv_heads * width
        values[head, length] = mixed[start : start + width]
    for head in range(heads):
        group = head // (heads // kv_heads)
        part = slice(head * width, (head + 1) * width)
        attend(mixed[part], keys[group], values[group], length + 1, score, out[part])


@kernel
def gate(both: Array, sigmoid: Array, out: Array) -> None:
    """SwiGLU's product of one sample: both (2F,) gate and up -> out (F,)."""
    hidden = out.shape[0]
    for i in range(hidden):
        sigmoid[i] = -both[i]
    exponential(sigmoid)
    for i in range(hidden):
        out[i] = both[i] / (np.float32(1) + sigmoid[i]) * both[hidden + i]


@kernel
def step(
    x: Array, weights: tuple[Array, ...], scales: tuple[Array, ...], bias: Array,
    gains: Array, head_gains: Array, epsilon: float, turn: Array,
    keys: Array, values: Array, length: int, logits: Array,
) -> None:
    """One token of every sample through all blocks and the head.

    x        (B, D) the tokens' vectors; changed
    weights  query-key-value (L, Q, D), output (L, D, H * K), gate-up (L, 2F, D),
             down (L, D, F), head (V, D); scales: the same without the last axis
    bias     (L, Q) or (L, 0); gains (2L + 1, D) of the norms; head_gains (L, 2, K) or (L, 0, K)
    keys, values  (L, B, G, C, K), whose position `length` is filled
    logits   (B, V), the result
    """
    mix, output, gate_up, down, head = weights
    mix_scale, output_scale, gate_up_scale, down_scale, head_scale = scales
    batch, width = x.shape
    layers, hidden = mix.shape[0], down.shape[2]
    normal = np.empty((batch, width), np.float32)
    mixed = np.empty((batch, mix.shape[1]), np.float32)
    read = np.empty((batch, output.shape[2]), np.float32)
    added = np.empty((batch, width), np.float32)
    both = np.empty((batch, 2 * hidden), np.float32)
    gated = np.empty((batch, hidden), np.float32)
    score = np.empty(max(length + 1, hidden), np.float32)
    for layer in range(layers):
        for b in range(batch):
            normalise(x[b], gains[2 * layer], epsilon, normal[b])
        product(mix[layer], mix_scale[layer], normal, mixed)
        for b in range(batch):
            read_layer(
                mixed[b], bias[layer], head_gains[layer], epsilon, turn,
                keys[layer, b], values[layer, b], length, score, read[b],
            )
        product(output[layer], output_scale[layer], read, added)
        for b in range(batch):
            for i in range(width):
                x[b, i] += added[b, i]
            normalise(x[b], gains[2 * layer + 1], epsilon, normal[b])
        product(gate_up[layer], gate_up_scale[layer], normal, both)
        for b in range(batch):
            gate(both[b], score[:hidden], gated[b])
        product(down[layer], down_scale[layer], gated, added)
        for b in range(batch):
            for i in range(width):
                x[b, i] += added[b, i]
    for b in range(batch):
        normalise(x[b], gains[2 * layers], epsilon, normal[b])
    product(head, head_scale, normal, logits)
