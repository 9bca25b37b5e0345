"""The server: the engine's verbs over HTTP, in the wire format that existing clients speak.

No logic of content lives here. Models work in a process of their own (`engine.serving`), long work
is queued as jobs, and this process only reads requests and writes answers, so that it stays awake.
"""

from wenfang.server.app import build_app
from wenfang.server.settings import ServeSettings

__all__ = ["ServeSettings", "build_app"]
