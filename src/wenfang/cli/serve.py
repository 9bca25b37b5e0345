"""serve: the server."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from wenfang.cli.options import Settings, missing
from wenfang.errors import ConfigError
from wenfang.language import t

Plug = Annotated[
    list[str] | None, typer.Option(help=t("A chat model: hub:FOLDER or openai:URL#MODEL."))
]


def serve(
    port: Annotated[int | None, typer.Option(help=t("The port; 8420."))] = None,
    host: Annotated[str | None, typer.Option(help=t("The address; only this machine."))] = None,
    plug: Plug = None,
    settings: Settings = None,
) -> int:
    """Serve models, pieces and jobs over HTTP, in OpenAI's wire format."""
    return _serve(port, host, plug, settings, ())


def _serve(
    port: int | None,
    host: str | None,
    plug: list[str] | None,
    settings: list[str] | None,
    mounts: tuple[Callable[..., None], ...],
) -> int:
    from wenfang.config import override

    try:
        import uvicorn

        from wenfang.database import Database
        from wenfang.server import ServeSettings, build_app
        from wenfang.server.patience import end_quietly, patient
        from wenfang.server.people import People
        from wenfang.server.tokens import new_printed_key
    except ModuleNotFoundError as error:
        raise missing(error, "server") from None
    given = [f"{k}={v}" for k, v in (("port", port), ("host", host)) if v is not None]
    chosen = override(ServeSettings(plugged=tuple(plug or ())), [*given, *(settings or ())])
    database = Database.open()
    token = new_printed_key() if chosen.on_loopback else ""
    if not chosen.on_loopback and not People(database=database).admins():
        raise ConfigError(
            "{host} is open to others, and nobody is admin yet; first: wenfang people add NAME "
            "--role admin",
            host=chosen.host,
        )
    address = f"http://{chosen.host}:{chosen.port}"
    if mounts:
        print(t("the studio is at {address}/studio", address=address))
    print(t("serving at {address}; its API is described at {address}/docs", address=address))
    if token:
        print(t("an admin's key until it stops: {token}", token=token))
    sys.stdout.flush()
    end_quietly()
    uvicorn.run(
        build_app(chosen, database, mounts, token=token),
        host=chosen.host,
        port=chosen.port,
        log_level="warning",
        http=patient(chosen.head_s),
        ws="none",
        timeout_keep_alive=30,
        timeout_graceful_shutdown=5,
        server_header=False,
    )
    return 0


def studio(
    port: Annotated[int | None, typer.Option(help=t("The port; 8420."))] = None,
    host: Annotated[str | None, typer.Option(help=t("The address; only this machine."))] = None,
    plug: Plug = None,
    settings: Settings = None,
) -> int:
    """Serve, with the studio: pages for people who write no code, at /studio."""
    try:
        from wenfang.studio import mount_studio
    except ModuleNotFoundError as error:
        raise missing(error, "studio") from None
    return _serve(port, host, plug, settings, (mount_studio,))


COMMANDS: dict[str, Callable[..., int]] = {"serve": serve, "studio": studio}
