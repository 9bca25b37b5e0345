"""The studio in the server: one page for each language, and the way to it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, RedirectResponse
from starlette.datastructures import MutableHeaders
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wenfang.language import LANGUAGES, speaking, t
from wenfang.server.login import LANGUAGE_COOKIE as COOKIE
from wenfang.server.place import Place
from wenfang.store import home
from wenfang.studio import files
from wenfang.studio.create import create_page
from wenfang.studio.desk import UNASKED, Desk
from wenfang.studio.jobs import jobs_page
from wenfang.studio.library import library_page
from wenfang.studio.look import CSS, theme
from wenfang.studio.make import make_page
from wenfang.studio.models import models_page
from wenfang.studio.review import review_page
from wenfang.studio.train import train_page
from wenfang.studio.verify import verify_page

NAMES = {"en": "English", "zh": "中文"}
UPLOAD_BYTES = 512 * 2**20
KEPT_S = 86_400  # of what was dropped here

# Gradio follows the browser's language; the page's own is the one that was chosen. It must stand
# in the page before Gradio's own scripts, which is earlier than its argument `head` comes.
HEAD = """<head><script>
Object.defineProperty(navigator, "language", {{get: () => "{code}"}});
Object.defineProperty(navigator, "languages", {{get: () => ["{code}"]}});
document.documentElement.lang = "{code}";
(async () => {{
  const answer = await fetch("/session");
  const told = answer.ok ? await answer.json() : {{}};
  if (!told.csrf_token) return;  // at this machine, or by a key: there is nothing to leave
  const waiting = setInterval(() => {{
    const place = document.querySelector(".wf-who");
    if (!place) return;
    clearInterval(waiting);
    place.querySelector("span").textContent = told.name;
    place.querySelector("button").onclick = async () => {{
      const headers = {{"x-csrf-token": told.csrf_token}};
      await fetch("/session", {{method: "DELETE", headers}});
      location.replace("/login");
    }};
    place.hidden = false;
  }}, 200);
}})();
</script><style>
/* Gradio puts its own name before every rule of studio.css, which these would not match then. */
@media (max-width: 640px) {{
  .gradio-container.gradio-container.gradio-container {{ padding: 0 4px 40px !important; }}
  .gradio-container.gradio-container .main {{ padding: 8px !important; }}
}}
</style>"""
CODES = {"en": "en", "zh": "zh-CN"}


def mount_studio(app: FastAPI, place: Place) -> None:
    """Put the studio at /studio of a server."""
    cache = home() / "studio"
    os.environ["GRADIO_TEMP_DIR"] = str(cache)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

    app.include_router(files.router)

    @app.get("/favicon.ico", include_in_schema=False)
    async def _icon() -> FileResponse:
        return FileResponse(Path(__file__).with_name("favicon.png"))

    @app.get("/studio", include_in_schema=False)
    async def _begin(request: Request) -> RedirectResponse:
        return RedirectResponse(f"/studio/{_language_of(request)}/", status_code=307)

    for code in LANGUAGES:
        desk = Desk(place=place, language=code)
        with speaking(code):
            blocks = _blocks(desk)
        gr.mount_gradio_app(
            app,
            blocks.queue(default_concurrency_limit=16),
            path=f"/studio/{code}",
            theme=theme(),
            css=CSS,
            footer_links=[],
            ssr_mode=False,
            max_file_size=UPLOAD_BYTES,
            show_error=False,
            enable_monitoring=False,
            allowed_paths=[],
        )
        mounted = next(one for one in app.routes if getattr(one, "path", "") == f"/studio/{code}")
        assert isinstance(mounted, Mount)
        mounted.app = _Headed(app=mounted.app, head=HEAD.format(code=CODES[code]).encode())


@dataclass(frozen=True, kw_only=True)
class _Headed:
    """An application whose pages begin with a script of ours."""

    app: ASGIApp
    head: bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hold a page back until it is whole, and send it with the script; all else as it comes."""
        if scope["type"] != "http" or scope["method"] == "HEAD":  # which has no page in its body
            await self.app(scope, receive, send)
            return
        held: list[Message] = []

        async def forward(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_page(message):
                held.append(message)
                return
            if not held or message["type"] != "http.response.body":
                await send(message)
                return
            held.append(message)
            if not message.get("more_body"):
                await self._send(held, send)

        await self.app(scope, receive, forward)

    async def _send(self, held: list[Message], send: Send) -> None:
        start, *parts = held
        whole = b"".join(part.get("body", b"") for part in parts)
        whole = whole.replace(b"<head>", self.head, 1)
        headers = MutableHeaders(raw=list(start["headers"]))
        headers["content-length"] = str(len(whole))
        await send({**start, "headers": headers.raw})
        await send({"type": "http.response.body", "body": whole})


def _is_page(start: Message) -> bool:
    kind = MutableHeaders(raw=list(start.get("headers", ()))).get("content-type", "")
    return kind.startswith("text/html")


def _language_of(request: Request) -> str:
    """As chosen before, or as the browser asks."""
    chosen = request.cookies.get(COOKIE, "")
    if chosen in LANGUAGES:
        return chosen
    asked = request.headers.get("accept-language", "").lower()
    return "zh" if asked.startswith("zh") else "en"


def _blocks(desk: Desk) -> Any:
    pages: tuple[tuple[str, Callable[[], None]], ...] = (
        (t("Create"), lambda: create_page(desk)),
        (t("Make"), lambda: make_page(desk)),
        (t("Library"), lambda: library_page(desk)),
        (t("Review"), lambda: review_page(desk)),
        (t("Train"), lambda: train_page(desk)),
        (t("Models"), lambda: models_page(desk)),
        (t("Verify"), lambda: verify_page(desk)),
        (t("Jobs"), lambda: jobs_page(desk)),
    )
    with gr.Blocks(
        title=t("Wenfang · the scholar's studio"),
        analytics_enabled=False,
        delete_cache=(KEPT_S, KEPT_S),
    ) as blocks:
        gr.HTML(_head(desk.language))
        with gr.Tabs():
            for name, build in pages:
                with gr.Tab(name) as tab:
                    build()
                for act, inputs, outputs in desk.turns:
                    tab.select(act, inputs, outputs, **UNASKED)
                desk.turns.clear()
        for act, inputs, outputs in desk.loads:
            blocks.load(act, inputs, outputs, **UNASKED)
    return blocks


def _head(chosen: str) -> str:
    links = "".join(
        f'<a href="/studio/{code}/" lang="{CODES[code]}" hreflang="{CODES[code]}" '
        f"onclick=\"document.cookie='{COOKIE}={code};path=/;samesite=strict;max-age=31536000'\""
        f"{' aria-current=true' if code == chosen else ''}>{name}</a>"
        for code, name in NAMES.items()
    )
    name, words = escape(t("Wenfang")), escape(t("The scholar's studio"), quote=False)
    return (
        '<header class="wf-head"><span class="wf-seal" aria-hidden="true">文<br>房</span>'
        f"<div><h1>{name}</h1><p>{words}</p></div>"
        f'<nav aria-label="{escape(t("Language"))}">{links}</nav>'
        f'<div class="wf-who" hidden><span></span><button>{escape(t("Log out"))}</button></div>'
        "</header>"
    )
