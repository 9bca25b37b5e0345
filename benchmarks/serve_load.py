"""A server under load: does it stay awake, and does it stay as large as it was.

    python benchmarks/serve_load.py [--parts start,slow,memory] [--requests 10000] [--json]

start   from the command to the first 200 of /readyz, three times.
slow    200 slow clients at once and an upload of 1 GB, from processes of their own: 70 send a head
        a few bytes at a time, 70 a body, 60 read a streamed poem as slowly, with half a second
        between; whoever is done begins again. Meanwhile /healthz is asked every 50 ms, from its
        head to the end of its answer. Bar: 100 ms at the 99th percentile. Beside it a server that
        does nothing else is asked as often: what it takes longer than a millisecond, the machine
        took for other work.
memory  10,000 requests of cheap kinds, four at once: health, models, texts of four tokens,
        moderations, vectors, files and jobs that come and go, streams that are left, and errors.
        After every thousand the resident memory of the server and of its models' process is read
        from /proc. Bar: at most 5 % more after the last than after two thousand, and a straight
        line through what lies between rises by no more than that either.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import multiprocessing
import os
import socket
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from serving import Served, serving
from tiny_bundle import write_bundle

STARTS = 3
UPLOAD_BYTES, BLOCK_BYTES = 2**30, 2**16
HEADS, BODIES, READERS = 70, 70, 60
FEW_BYTES, PAUSE_S = 7, 0.5
PROBES_LEAST, PROBE_PAUSE_S, SLOW_MOST_S = 300, 0.05, 300.0
THOUSAND, AT_ONCE = 1000, 4
WARM_THOUSANDS = 2
GROWTH_MOST = 0.05
POEM = {"model": "verse", "prompt": "春江", "stream": True}
TEXT = {"model": "gpt2", "prompt": "the moon", "max_tokens": 4}
WORK = {"model": "gpt2", "prompt": "the moon", "seeds": [1], "settings": {}}
BOUNDARY = "between"


def main() -> int:
    """Run the parts, print, and return 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--parts", default="start,slow,memory")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found: dict[str, Any] = {"load_average": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        write_bundle(home / "bundles" / "gpt2", "gpt2")
        for part in asked.parts.split(","):
            if part == "start":
                found[part] = started(home)
            elif part == "slow":
                with serving(home) as served:
                    found[part] = slow(served)
            else:
                with serving(home) as served:
                    found[part] = asyncio.run(memory(served, asked.requests))
    print(json.dumps(found) if asked.json else "\n".join(_lines(found)))
    return int(any(not part["good"] for part in found.values() if isinstance(part, dict)))


def _lines(found: dict[str, Any]) -> list[str]:
    lines = [f"load average at the beginning: {found['load_average']:.1f}"]
    if part := found.get("start"):
        lines.append(f"start to ready: {', '.join(f'{one:.1f} s' for one in part['seconds'])}")
    if part := found.get("slow"):
        lines.append(
            f"/healthz under load, ms: p50 {part['p50_ms']:.1f}, p99 {part['p99_ms']:.1f}, "
            f"max {part['most_ms']:.1f} of {part['probes']} probes; upload {part['upload_s']:.0f} s"
            f", {part['processor_share']:.0%} of a core"
        )
        idle = part["idle"]
        lines.append(
            f"a server that does nothing else, ms: p50 {idle['p50_ms']:.1f}, "
            f"p99 {idle['p99_ms']:.1f}, max {idle['most_ms']:.1f}"
        )
        lines.append(f"slow clients, finished: {part['clients']}")
    if part := found.get("memory"):
        lines.append(f"requests by status: {part['statuses']}")
        for name, one in part["processes"].items():
            lines.append(
                f"{name}, MiB after each thousand: {', '.join(f'{mib:.1f}' for mib in one['mib'])};"
                f" growth {one['growth']:+.2%}, slope {one['slope_kib']:+.0f} KiB a thousand"
            )
    return lines


def started(home: Path) -> dict[str, Any]:
    """Seconds from the command to ready."""
    seconds = []
    for _ in range(STARTS):
        began = time.monotonic()
        with serving(home):
            seconds.append(time.monotonic() - began)
    return {"seconds": seconds, "good": statistics.median(seconds) <= 6}


# --- slow clients


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where the server listens."""

    host: str
    port: int

    @classmethod
    def of(cls, served: Served) -> Address:
        """Of a server that runs."""
        parts = urlsplit(served.url)
        return cls(host=str(parts.hostname), port=int(parts.port or 80))


def slow(served: Served) -> dict[str, Any]:
    """/healthz while slow clients and an upload are there."""
    address = Address.of(served)
    context = multiprocessing.get_context("spawn")
    over, told = context.Event(), context.Queue()
    uploading = context.Process(target=_upload, args=(address, told))
    crowd = context.Process(target=_crowd, args=(address, over, told))
    bare = context.Process(target=_bare, args=(told,), daemon=True)
    bare.start()
    idle = Address(host=address.host, port=told.get(timeout=60))
    for one in (crowd, uploading):
        one.start()
        assert told.get(timeout=60) == "ready"
    began = time.monotonic(), _worked_s(served.process.pid)
    times_ms, idle_ms, upload_s = _probe(address, idle, uploading)
    share = (_worked_s(served.process.pid) - began[1]) / (time.monotonic() - began[0])
    over.set()
    bare.terminate()
    kinds: dict[str, Any] = {}
    for _ in range(2):
        kinds |= told.get(timeout=60)
    for one in (uploading, crowd):
        one.join(60)
    of_server = _percentiles(times_ms)
    return {
        "probes": len(times_ms),
        **of_server,
        "idle": _percentiles(idle_ms),
        "processor_share": share,
        "upload_s": upload_s,
        "upload": kinds.pop("upload"),
        "clients": kinds,
        "good": of_server["p99_ms"] < 100 and len(times_ms) >= PROBES_LEAST,
    }


def _percentiles(times_ms: Sequence[float]) -> dict[str, float]:
    ordered = sorted(times_ms)
    p99 = ordered[int(0.99 * len(ordered))]
    return {"p50_ms": statistics.median(ordered), "p99_ms": p99, "most_ms": ordered[-1]}


def _probe(
    address: Address, idle: Address, uploading: Any
) -> tuple[list[float], list[float], float]:
    """Milliseconds of each probe of both servers, until the upload has ended and there are enough;
    and how long that took.
    """
    asked, other = (
        http.client.HTTPConnection(one.host, one.port, timeout=60) for one in (address, idle)
    )
    times_ms: list[float] = []
    idle_ms: list[float] = []
    began = time.monotonic()
    upload_s = 0.0
    while time.monotonic() - began < SLOW_MOST_S:
        times_ms.append(_asked_ms(asked))
        idle_ms.append(_asked_ms(other))
        if not upload_s and not uploading.is_alive():
            upload_s = time.monotonic() - began
        if upload_s and len(times_ms) >= PROBES_LEAST:
            break
        time.sleep(PROBE_PAUSE_S)
    asked.close()
    other.close()
    return times_ms, idle_ms, upload_s


def _asked_ms(connection: http.client.HTTPConnection) -> float:
    at = time.perf_counter()
    connection.request("GET", "/healthz")
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200
    return (time.perf_counter() - at) * 1000


def _worked_s(pid: int) -> float:
    """Seconds of a processor that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _bare(told: Any) -> None:
    asyncio.run(_answer_all(told))


async def _answer_all(told: Any) -> None:
    """A server that answers each line at once; its port is told."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(EOFError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    told.put(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def _upload(address: Address, told: Any) -> None:
    """Send 1 GB as fast as it is taken."""
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n'
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="big"\r\n\r\n'
    ).encode()
    foot = f"\r\n--{BOUNDARY}--\r\n".encode()
    connection = http.client.HTTPConnection(address.host, address.port, timeout=SLOW_MOST_S)
    connection.putrequest("POST", "/v1/files")
    connection.putheader("content-type", f"multipart/form-data; boundary={BOUNDARY}")
    connection.putheader("content-length", str(len(head) + UPLOAD_BYTES + len(foot)))
    connection.endheaders(head)
    told.put("ready")
    block = bytes(BLOCK_BYTES)
    for _ in range(UPLOAD_BYTES // BLOCK_BYTES):
        connection.send(block)
    connection.send(foot)
    answer = connection.getresponse()
    told.put({"upload": [answer.status, json.loads(answer.read()).get("bytes")]})


def _crowd(address: Address, over: Event, told: Any) -> None:
    told.put(asyncio.run(_slow_clients(address, over, told)))


async def _slow_clients(address: Address, over: Event, told: Any) -> dict[str, Any]:
    """So many at once, until it is over; how many requests of each kind were answered how."""
    answers: dict[str, Counter[str]] = {"head": Counter(), "body": Counter(), "reader": Counter()}
    acts: list[tuple[str, Callable[[Address], Awaitable[str]]]] = [
        *[("head", _slow_head)] * HEADS,
        *[("body", _slow_body)] * BODIES,
        *[("reader", _slow_reader)] * READERS,
    ]

    async def again(kind: str, act: Callable[[Address], Awaitable[str]], number: int) -> None:
        await asyncio.sleep(number / len(acts))  # they do not breathe in time
        while not over.is_set():
            try:
                answers[kind][await act(address)] += 1
            except (OSError, EOFError) as error:
                answers[kind][type(error).__name__] += 1

    tasks = [asyncio.create_task(again(*one, number)) for number, one in enumerate(acts)]
    await asyncio.sleep(2)
    told.put("ready")
    while not over.is_set():
        await asyncio.sleep(0.1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return {kind: dict(count) for kind, count in answers.items()}


def _request(method: str, path: str, body: bytes = b"") -> tuple[bytes, bytes]:
    head = f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n"
    if body:
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return f"{head}\r\n".encode(), body


async def _slow_head(address: Address) -> str:
    head, body = _request("GET", "/v1/models")
    return await _exchange(address, slowly=head, at_once=body)


async def _slow_body(address: Address) -> str:
    head, body = _request("POST", "/v1/moderations", json.dumps({"input": "春江潮水" * 8}).encode())
    return await _exchange(address, first=head, slowly=body)


async def _slow_reader(address: Address) -> str:
    head, body = _request("POST", "/v1/completions", json.dumps(POEM).encode())
    return await _exchange(address, first=head + body, few=256)


async def _exchange(
    address: Address, *, first: bytes = b"", slowly: bytes = b"", at_once: bytes = b"", few: int = 0
) -> str:
    """Send, and read; the status. `few` bytes are read at a time, all at once where it is 0."""
    raw = socket.socket()
    if few:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    raw.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(raw, (address.host, address.port))
    reader, writer = await asyncio.open_connection(sock=raw, limit=2**12)
    try:
        writer.write(first)
        for place in range(0, len(slowly), FEW_BYTES):
            writer.write(slowly[place : place + FEW_BYTES])
            await writer.drain()
            await asyncio.sleep(PAUSE_S)
        writer.write(at_once)
        await writer.drain()
        read = bytearray()
        while part := await reader.read(few or 2**16):
            read += part
            if few:
                await asyncio.sleep(PAUSE_S)
    finally:
        writer.close()
    status = read.split(b" ", 2)[1].decode() if read.startswith(b"HTTP/1.1 ") else "nothing"
    whole = not few or b"[DONE]" in read
    return status if whole else f"{status}, broken off"


# --- memory


async def memory(served: Served, count: int) -> dict[str, Any]:
    """Resident memory of the server's processes after each thousand requests."""
    statuses: Counter[int] = Counter()
    processes = {"server": served.process.pid, "models": _models_process(served.process.pid)}
    mib: dict[str, list[float]] = {name: [] for name in processes}
    async with httpx.AsyncClient(base_url=served.url, timeout=120) as client:
        for thousand in range(count // THOUSAND):
            numbers = iter(range(thousand * THOUSAND, (thousand + 1) * THOUSAND))

            async def ask(numbers: Any = numbers) -> None:
                for number in numbers:
                    statuses[await MIX[number % len(MIX)](client)] += 1

            await asyncio.gather(*(ask() for _ in range(AT_ONCE)))
            for name, pid in processes.items():
                mib[name].append(_resident_mib(pid))
            print(f"{(thousand + 1) * THOUSAND}: " + ", ".join(
                f"{name} {values[-1]:.1f} MiB" for name, values in mib.items()
            ), file=sys.stderr, flush=True)  # fmt: skip
    found = {name: _judged(values) for name, values in mib.items()}
    return {
        "statuses": dict(sorted(statuses.items())),
        "processes": found,
        "good": all(one["good"] for one in found.values()),
    }


def _judged(mib: Sequence[float]) -> dict[str, Any]:
    """How much more there is at the end than once it was warm, and the slope in between."""
    warm = mib[WARM_THOUSANDS - 1 :] if len(mib) > WARM_THOUSANDS else mib
    growth = warm[-1] / warm[0] - 1
    places = range(len(warm))
    slope = statistics.linear_regression(places, warm).slope if len(warm) > 1 else 0.0
    risen = slope * (len(warm) - 1) / warm[0]
    return {
        "mib": list(mib),
        "growth": growth,
        "slope_kib": slope * 1024,
        "good": max(growth, risen) <= GROWTH_MOST,
    }


def _resident_mib(pid: int) -> float:
    rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(row.split()[1]) / 1024 for row in rows if row.startswith("Rss:"))


def _models_process(server: int) -> int:
    """The largest child of the server: it was started to load models."""
    children = [
        int(one)
        for place in Path(f"/proc/{server}/task").glob("*/children")
        for one in place.read_text().split()
    ]
    return max(children, key=_resident_mib)


async def _ask(client: httpx.AsyncClient, method: str, path: str, **more: Any) -> int:
    return (await client.request(method, path, **more)).status_code


def _asks(method: str, path: str, **more: Any) -> Callable[[httpx.AsyncClient], Awaitable[int]]:
    async def ask(client: httpx.AsyncClient) -> int:
        return await _ask(client, method, path, **more)

    return ask


async def _job(client: httpx.AsyncClient) -> int:
    """A job is queued and deleted."""
    made = await client.post("/v1/jobs", json={"kind": "generate", "request": WORK})
    return await _ask(client, "DELETE", f"/v1/jobs/{made.json()['id']}")


async def _left(client: httpx.AsyncClient) -> int:
    """A stream that somebody leaves after its first words."""
    asked = {**TEXT, "max_tokens": 20, "stream": True}
    async with client.stream("POST", "/v1/completions", json=asked) as answer:
        async for _ in answer.aiter_bytes():
            break
    return answer.status_code


async def _file(client: httpx.AsyncClient) -> int:
    """A file comes and goes; such pairs count as one request."""
    made = await client.post(
        "/v1/files", data={"purpose": "user_data"}, files={"file": ("a.txt", bytes(2000))}
    )
    return await _ask(client, "DELETE", f"/v1/files/{made.json()['id']}")


MIX = (
    _asks("GET", "/healthz"),
    _asks("GET", "/v1/models"),
    _asks("POST", "/v1/completions", json=TEXT),
    _asks("POST", "/v1/moderations", json={"input": "春江潮水连海平"}),
    _asks("POST", "/v1/embeddings", json={"model": "encoder", "input": "海上明月共潮生"}),
    _file,
    _job,
    _left,
    _asks("GET", "/v1/jobs"),
    _asks("GET", "/v1/nowhere"),
    _asks("POST", "/v1/completions", json={**TEXT, "colour": "red"}),
    _asks("POST", "/v1/completions", json={**TEXT, "settings": {"nothing": 1}}),
)


if __name__ == "__main__":
    sys.exit(main())
