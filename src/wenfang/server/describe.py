"""/docs: the API's description, drawn by Swagger UI from files of this machine alone."""

from __future__ import annotations

from pathlib import Path as File
from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import FileResponse, HTMLResponse, Response

from wenfang.server.faults import Fault

router = APIRouter(include_in_schema=False)

TYPES = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
START = "start.js"
HEADERS = {
    # Whatever the page's programs may want: the browser asks this server and nobody else.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
}
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Wenfang · API</title>
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
<link rel="icon" type="image/png" href="/docs/assets/favicon-32x32.png">
</head>
<body>
<div id="description"></div>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/assets/start.js"></script>
</body>
</html>
"""
# This Swagger UI draws OpenAPI 3.0; what 3.1 writes otherwise, it shows as it stands.
STARTING = """fetch("/openapi.json")
  .then((answer) => answer.json())
  .then((spec) => SwaggerUIBundle({
    spec: {...spec, openapi: "3.0.3"},
    dom_id: "#description",
    validatorUrl: null,
    deepLinking: true,
  }));
"""


@router.get("/docs")
async def docs() -> Response:
    """The page."""
    return HTMLResponse(PAGE, headers=HEADERS)


@router.get("/docs/assets/{name}")
def docs_asset(name: Annotated[str, Path(pattern=r"^[\w.-]{1,64}$")]) -> Response:
    """A file of the page."""
    from swagger_ui_bundle import swagger_ui_path  # type: ignore[import-untyped]

    if name == START:
        return Response(STARTING, media_type="text/javascript", headers=HEADERS)
    if name not in TYPES:
        raise Fault(404, f"the page has no file {name}", "not_found")
    headers = {**HEADERS, "cache-control": "max-age=86400"}
    return FileResponse(File(swagger_ui_path) / name, media_type=TYPES[name], headers=headers)
