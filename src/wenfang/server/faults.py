"""Every error as OpenAI's clients expect it: a status, one line, and a request id."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from wenfang.errors import WenfangError
from wenfang.language import t
from wenfang.store import home

# What OpenAI calls kinds of errors, by status.
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
}
OURS = "we made a mistake; the server's log has it under this request id"


class Fault(Exception):  # noqa: N818 - it is not always an error of ours
    """A request that cannot be answered.

    status  of HTTP
    code    a word that programs branch on
    param   the field that is wrong
    headers that go with it, such as when to try again
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        *,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code
        self.param, self.headers = param, dict(headers or {})

    @classmethod
    def told(cls, error: Mapping[str, Any]) -> Fault:
        """As the models' process told it."""
        message = _without_places(str(error["message"])) or t(OURS)
        return cls(int(error["status"]), message, _code(str(error["type"])))

    @classmethod
    def of(cls, error: WenfangError) -> Fault:
        """An error of the engine."""
        return cls(error.http_status, _without_places(str(error)), _code(type(error).__name__))


def _without_places(message: str) -> str:
    """A line for people elsewhere, who need not know where this home is."""
    return message.replace(str(home()), "~")


def _code(name: str) -> str:
    """`NotFoundError` -> `not_found`."""
    words = "".join(f"_{c.lower()}" if c.isupper() else c for c in name.removesuffix("Error"))
    return words.strip("_")


def body_of(fault: Fault) -> dict[str, Any]:
    """The JSON of an error."""
    kind = TYPES.get(fault.status, "server_error" if fault.status >= 500 else TYPES[400])
    return {
        "error": {
            "message": fault.message,
            "type": kind,
            "param": fault.param,
            "code": fault.code,
        }
    }


def answer_of(fault: Fault) -> JSONResponse:
    """The whole answer of an error."""
    return JSONResponse(body_of(fault), status_code=fault.status, headers=fault.headers)


def _of_validation(error: RequestValidationError) -> Fault:
    """The first thing that is wrong with a request."""
    first = error.errors()[0]
    place = [str(part) for part in first["loc"] if part not in ("body", "query", "path", "header")]
    name = ".".join(place)
    if first["type"] == "json_invalid":
        return Fault(400, t("the body is not JSON: {reason}", reason=first["msg"]), "invalid_json")
    if first["type"] == "extra_forbidden":
        message = t("there is no field {name}; remove it", name=name)
        return Fault(400, message, "unknown_parameter", param=name)
    message = f"{name}: {first['msg']}" if name else str(first["msg"])
    code = "missing_required_parameter" if first["type"] == "missing" else "invalid_value"
    return Fault(400, message, code, param=name or None)


def add_faults(app: FastAPI) -> None:
    """Answer every error of `app` in one shape."""

    @app.exception_handler(Fault)
    async def _fault(request: Request, error: Fault) -> JSONResponse:
        return answer_of(error)

    @app.exception_handler(WenfangError)
    async def _known(request: Request, error: WenfangError) -> JSONResponse:
        return answer_of(Fault.of(error))

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return answer_of(_of_validation(error))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        if isinstance(error.__cause__, Fault):  # of the gate, while the body was read
            return answer_of(error.__cause__)
        message = str(error.detail or HTTPStatus(error.status_code).phrase)
        return answer_of(Fault(error.status_code, message, headers=error.headers))

    @app.exception_handler(Exception)
    async def _ours(request: Request, error: Exception) -> JSONResponse:
        return answer_of(Fault(500, t(OURS), "internal_error"))
