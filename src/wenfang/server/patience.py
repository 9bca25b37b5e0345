"""HTTP connections that somebody opens and then says little on: they are closed after a while.

uvicorn waits for ever for a head that never ends. Here a connection has so many seconds for one,
from its opening or from the first byte after an answer; the body has bounds of its own, in the
gate. What is no HTTP is refused in the same shape as everything else.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from wenfang.server.faults import Fault, answer_of


def end_quietly() -> None:
    """No line and no trace in the log for answers that are broken off because the server ends.

    A page of the studio holds one open for as long as it is looked at.
    """
    logging.getLogger("uvicorn.error").addFilter(_is_fault)


def _is_fault(record: logging.LogRecord) -> bool:
    broken = record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError)
    return not broken and "timeout graceful shutdown exceeded" not in record.getMessage()


def patient(head_s: float) -> type[asyncio.Protocol]:
    """The protocol of a server whose clients have `head_s` seconds for the head of a request."""

    class Patient(H11Protocol):
        """One connection."""

        _until: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._wait()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._asks_nothing():
                self._wait()  # a second head begins on an open connection
            else:
                self._unwait()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if self._asks_nothing() and self.conn.trailing_data[0]:
                self._wait()  # it came together with the request that is answered now

        def connection_lost(self, exc: Exception | None) -> None:
            self._unwait()
            super().connection_lost(exc)

        def _asks_nothing(self) -> bool:
            return self.cycle is None or self.cycle.response_complete

        def _wait(self) -> None:
            if self._until is None and not self.transport.is_closing():
                self._until = self.loop.call_later(head_s, self._give_up)

        def _unwait(self) -> None:
            if self._until is not None:
                self._until.cancel()
                self._until = None

        def _give_up(self) -> None:
            self._until = None
            if not self._asks_nothing() or self.transport.is_closing():
                return
            if self.conn.trailing_data[0]:  # who has said nothing is told nothing
                message = "the head of the request did not come in time; send it again"
                self.transport.write(_refusal(Fault(408, message, "request_timeout")))
            self.transport.close()

        def send_400_response(self, msg: str) -> None:
            if self._asks_nothing():
                message = "this is no HTTP request, or its head is too long"
                self.transport.write(_refusal(Fault(400, message, "invalid_request")))
            self.transport.close()

    return Patient


def _refusal(fault: Fault) -> bytes:
    """A whole answer, for what never became a request."""
    body = bytes(answer_of(fault).body)
    head = (
        f"HTTP/1.1 {fault.status} {HTTPStatus(fault.status).phrase}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
        f"x-request-id: req_{secrets.token_hex(12)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
