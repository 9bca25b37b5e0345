"""Device, threads, streams of randomness, and the fingerprint of the environment.

The only file that asks the hardware. Noise is drawn by counter: sample i of seed s has its own
Philox stream (Salmon et al. 2011), so a result depends neither on the batch that it was drawn in
nor on the machine's vector unit, as `torch.randn` would.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import resource
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import numpy as np
import torch

NoiseStream = np.random.Generator


def best_device() -> torch.device:
    """CUDA or Apple's GPU where there is one, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def owned_devices() -> tuple[str, ...]:
    """What a worker may own here: every GPU, or else one place for each two cores."""
    count = torch.cuda.device_count()
    if count:
        return tuple(f"cuda:{number}" for number in range(count))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return tuple(f"cpu:{number}" for number in range(max(1, (cores or 1) // 2)))


def noise(seed: int, *counters: int | str) -> NoiseStream:
    """The stream of randomness that belongs to `seed` and `counters`, the same on every machine."""
    name = repr((int(seed), *counters)).encode("utf-8")
    key = np.frombuffer(hashlib.sha256(name).digest()[:16], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key))


# A model of some million parameters is drawn from as fast on one thread as on two, and one thread
# never waits for another that the system has set aside (23 s of waiting were seen for 4 s of work).
DRAWING_THREADS = 1


def set_threads(count: int) -> None:
    """Use `count` threads for tensor work in this process."""
    torch.set_num_threads(count)


SHARED_FLOPS = 2e9  # from here on work is large enough to be shared between threads: 20 ms of one
LOAD, THREADS = Path("/proc/loadavg"), Path("/proc/self/task")


def idle_cores() -> int:
    """Cores on which nothing else runs at this moment, but for one that we have; 0 where the system
    does not tell.
    """
    # Not tensor threads that have just shared something: they wait for the next, which looks busy.
    beside = {thread.native_id for thread in threading.enumerate()} - {threading.get_native_id()}
    try:
        running = int(LOAD.read_text("ascii").split()[3].partition("/")[0])
        own = 0
        for path in THREADS.glob("*/stat"):
            state = path.read_text("ascii").rpartition(")")[2].split()[0]
            own += state == "R" and int(path.parent.name) not in beside
    except (OSError, ValueError, IndexError):
        return 0
    return max(0, len(os.sched_getaffinity(0)) - 1 - max(0, running - own))


@contextmanager
def idle_threads(flops: float) -> Iterator[None]:
    """Inside, work of so many operations is done on the cores that idle, too.

    Only then: beside another program two threads wait for each other so long that one is faster
    (prompts of 256 tokens, 34 M parameters: 0.24 s of one thread, 1.6 s of two).
    """
    before = torch.get_num_threads()
    wanted = 1 + idle_cores() if flops >= SHARED_FLOPS else before
    if wanted <= before:
        yield
        return
    torch.set_num_threads(wanted)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@cache
def wastes_vector_units() -> bool:
    """Whether MKL runs without this processor's AVX-512, and oneDNN is here to use it."""
    if (
        torch.backends.cpu.get_cpu_capability() != "AVX512"
        or not torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    ):
        return False
    try:
        facts = Path("/proc/cpuinfo").read_text("utf-8", errors="replace")
    except OSError:
        return False
    return "AuthenticAMD" in facts


# glibc's mallopt: what they are called in malloc.h, and what its own adjustment ends at.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4
USUAL = {M_TRIM_THRESHOLD: 64 * 2**20, M_MMAP_THRESHOLD: 32 * 2**20, M_MMAP_MAX: 65536}
KEPT = {M_TRIM_THRESHOLD: 2**31 - 1, M_MMAP_MAX: 0}


@contextmanager
def kept_memory() -> Iterator[bool]:
    """Inside, freed memory stays with the process; yields whether that could be had.

    A training step frees all that it allocates. Given back to the system, the memory comes again
    page by page, zeroed, at each step: a fifth of the time of one of 34 M parameters.
    """
    c_library = ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
    if c_library is None:
        yield False
        return
    for name, value in KEPT.items():
        c_library.mallopt(name, value)
    try:
        yield True
    finally:
        for name, value in USUAL.items():
            c_library.mallopt(name, value)
        c_library.malloc_trim(0)


def peak_memory_bytes() -> int:
    """The most resident memory that this process held, since `forget_peak_memory` where it can."""
    with suppress(OSError, ValueError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def forget_peak_memory() -> None:
    """Measure the most memory from here on; Linux only, elsewhere the process's peak stays."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def environment() -> dict[str, str | int]:
    """What decides whether a computation comes out bit-equal: versions, capability, threads."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "machine": platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "device": best_device().type,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count() or 1,
    }
