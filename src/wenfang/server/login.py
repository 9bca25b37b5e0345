"""/login: a page where people write their name and password; it asks nobody but this server."""

from __future__ import annotations

from html import escape
from string import Template
from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi.responses import HTMLResponse, Response

from wenfang.language import LANGUAGES, speaking, t
from wenfang.server.describe import HEADERS

router = APIRouter(include_in_schema=False)

LANGUAGE_COOKIE = "wenfang_language"

PAGE = Template("""<!DOCTYPE html>
<html lang="$language">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<link rel="stylesheet" href="/login/page.css">
</head>
<body>
<main>
<h1>$title</h1>
<form id="login">
<label>$name<input name="name" autocomplete="username" required maxlength="64" autofocus></label>
<label>$password<input name="password" type="password" autocomplete="current-password" required
 maxlength="256"></label>
<p id="told" role="alert"></p>
<button>$enter</button>
</form>
<noscript>$scripts</noscript>
</main>
<script src="/login/page.js"></script>
</body>
</html>
""")
STYLE = """body { margin: 0; background: #f7f3ea; color: #1d1b18; font: 1rem/1.6 serif; }
main { max-width: 20rem; margin: 15vh auto 0; padding: 1rem; }
h1 { font-size: 1.5rem; font-weight: 600; }
label { display: block; margin: 1rem 0; }
input { display: block; box-sizing: border-box; width: 100%; padding: .5rem; font: inherit;
  color: inherit; background: #fffdf8; border: 1px solid #6b655b; border-radius: 2px; }
button { padding: .5rem 1.5rem; font: inherit; color: #fff; background: #a3271f; border: 0;
  border-radius: 2px; cursor: pointer; }
input:focus-visible, button:focus-visible { outline: 2px solid #1d1b18; outline-offset: 2px; }
#told { min-height: 1.6em; margin: 0 0 .5rem; color: #a3271f; }
"""
# The token goes into a cookie that scripts cannot read; nothing is kept here.
SCRIPT = """document.getElementById("login").addEventListener("submit", async (happening) => {
  happening.preventDefault();
  const form = happening.target;
  const answer = await fetch("/session", {
    method: "POST",
    headers: {"content-type": "application/json"},
    body: JSON.stringify(Object.fromEntries(new FormData(form))),
  });
  if (answer.ok) {
    location.replace("/studio");
    return;
  }
  const told = await answer.json();
  document.getElementById("told").textContent = told.error.message;
  form.elements.password.select();
});
"""


@router.get("/login")
async def login_page(
    request: Request, accept_language: Annotated[str, Header(max_length=500)] = ""
) -> Response:
    """The page, in the language that was chosen in the studio, or else in the browser's."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    if chosen not in LANGUAGES:
        chosen = "zh" if accept_language.lower().startswith("zh") else "en"
    with speaking(chosen):
        words = {
            "title": t("Wenfang · log in"),
            "name": t("Name"),
            "password": t("Password"),
            "enter": t("Log in"),
            "scripts": t("This page needs JavaScript."),
        }
    told = {name: escape(text) for name, text in words.items()}
    return HTMLResponse(PAGE.substitute(language=chosen, **told), headers=HEADERS)


@router.get("/login/page.css")
async def login_style() -> Response:
    """How it looks."""
    return Response(STYLE, media_type="text/css", headers=HEADERS)


@router.get("/login/page.js")
async def login_script() -> Response:
    """What it does."""
    return Response(SCRIPT, media_type="text/javascript", headers=HEADERS)
