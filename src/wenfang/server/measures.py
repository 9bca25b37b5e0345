"""Counts and times for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
SECONDS = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 300.0)


class Measures:
    """What is counted; one registry a server, so that two in one program do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "wenfang_requests",
            "Requests by method, route and status",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "wenfang_request_seconds",
            "Time from a request's head to the end of its answer",
            ("route",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.left = Counter(
            "wenfang_clients_left",
            "Requests whose client left before the answer was complete",
            ("route",),
            registry=self.registry,
        )
        self.tokens = Counter(
            "wenfang_tokens", "Tokens written", ("model",), registry=self.registry
        )

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request; a method of a client's own making is counted among the others."""
        known = method if method in METHODS else "other"
        self._requests.labels(known, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def watch(self, name: str, help_: str, ask: Callable[[], float]) -> None:
        """A number that is asked for when somebody looks."""
        Gauge(name, help_, registry=self.registry).set_function(ask)

    def text(self) -> bytes:
        """All of it in Prometheus' format."""
        return generate_latest(self.registry)
