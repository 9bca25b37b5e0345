"""What starts in a process of its own, named here so that its code is loaded only there."""

from __future__ import annotations

from multiprocessing.connection import Connection


def serve_models(connection: Connection) -> None:
    """Answer a server's calls until the connection is closed."""
    from wenfang.engine.serving import serve

    serve(connection)
