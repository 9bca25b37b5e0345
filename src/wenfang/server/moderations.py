"""POST /v1/moderations: what our checks say of texts, in OpenAI's categories as far as they fit.

Our judge of offence in Chinese is the only check that means one of those categories: `harassment`,
the widest of them. All others are not judged here. They are false with a score of 0, stand without
an input type, and are named in `wenfang.unjudged` of each result; a text without Chinese, or a
picture, is judged in none. What the checks found in their own words stands in `wenfang.checks`: a
listed word holds a text (`flagged`) without saying which category it is of; personal data is told
and does not hold it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from wenfang.language import t
from wenfang.server.callers import Asked
from wenfang.server.faults import Fault
from wenfang.server.models import MODERATIONS, require_model
from wenfang.server.paging import fresh_id
from wenfang.server.place import Here, Place
from wenfang.server.talking import Name, Words
from wenfang.server.wire import Body

router = APIRouter(prefix="/v1", tags=["text"])

TEXTS_MOST, PARTS_MOST, TEXT_CHARACTERS_MOST, CHARACTERS_MOST = 64, 64, 20_000, 100_000
IMAGE_CHARACTERS_MOST = 8 * 2**20
CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
# Which check means which category.
MEANT: Mapping[str, str] = {"offence": "harassment"}
HOLDING = ("offence", "words")
DATA = re.compile(r"data:image/[a-z0-9.+-]{1,40};base64,")
Text = Annotated[Words, Field(max_length=TEXT_CHARACTERS_MOST)]


class Picture(Body):
    """Where a picture is: in the request itself."""

    url: Annotated[str, Field(max_length=IMAGE_CHARACTERS_MOST)]


class Part(Body):
    """Words, or a picture."""

    type: Literal["text", "image_url"]
    text: Text | None = None
    image_url: Picture | None = None


class ModerationBody(Body):
    """A request. Texts get a result each, parts one together."""

    model: Name = "checks"
    input: (
        Text
        | Annotated[list[Text], Field(min_length=1, max_length=TEXTS_MOST)]
        | Annotated[list[Part], Field(min_length=1, max_length=PARTS_MOST)]
    )


def _require_picture(url: str, param: str) -> None:
    """Fault 400 for what is no picture in the request; nothing is fetched, nothing decoded."""
    if not DATA.match(url[:64]):
        message = t("no URL is fetched; send the picture itself, as data:image/png;base64,…")
        raise Fault(400, message, "invalid_value", param=param)
    try:
        base64.b64decode(url.partition(",")[2], validate=True)
    except (binascii.Error, ValueError):
        raise Fault(400, t("the picture is no base64"), "invalid_value", param=param) from None


def _materials(body: ModerationBody) -> list[tuple[str, int]]:
    """The words and the number of pictures behind each result."""
    given = [body.input] if isinstance(body.input, str) else body.input
    parts = [one for one in given if isinstance(one, Part)]
    found = [(one, 0) for one in given if isinstance(one, str)]
    if parts:
        words: list[str] = []
        for number, part in enumerate(parts):
            param = f"input.{number}.{part.type}"
            value = part.text if part.type == "text" else part.image_url
            if value is None:
                message = t("a part without what its type says")
                raise Fault(400, message, "missing_required_parameter", param=param)
            if isinstance(value, str):
                words.append(value)
            else:
                _require_picture(value.url, f"{param}.url")
        found.append(("\n".join(words), len(parts) - len(words)))
    count = sum(len(text) for text, _ in found)
    if count > CHARACTERS_MOST:
        message = t(
            "the texts have {count} characters; at most {most} are read at once",
            count=count,
            most=CHARACTERS_MOST,
        )
        raise Fault(400, message, "invalid_value", param="input")
    return found


def result_of(checks: Sequence[Mapping[str, Any]], pictures: int) -> dict[str, Any]:
    """One result: categories that a check judged with its own value, all others not judged."""
    judged = {
        MEANT[one["name"]]: one
        for one in checks
        if one["name"] in MEANT and one["value"] is not None
    }
    against = [one["name"] for one in checks if one["verdict"] in ("repair", "block")]
    notes = [t("no check here judges pictures")] if pictures else []
    return {
        "flagged": any(name in HOLDING for name in against),
        "categories": {
            name: name in judged and judged[name]["verdict"] in ("repair", "block")
            for name in CATEGORIES
        },
        "category_scores": {
            name: judged[name]["value"] if name in judged else 0.0 for name in CATEGORIES
        },
        "category_applied_input_types": {
            name: ["text"] if name in judged else [] for name in CATEGORIES
        },
        "wenfang": {
            "unjudged": [name for name in CATEGORIES if name not in judged],
            "against": against,
            "checks": list(checks),
            "pictures": {"count": pictures, "judged": 0},
            "notes": notes,
        },
    }


async def _judged(here: Place, text: str, pictures: int) -> dict[str, Any]:
    checks = await here.inference.once("moderate", {"text": text}) if text.strip() else []
    return result_of(checks, pictures)


@router.post("/moderations")
async def moderate(body: ModerationBody, here: Here, caller: Asked) -> Response:
    """What our checks say of each text."""
    materials = _materials(body)
    await require_model(here, body.model, MODERATIONS)
    results = [await _judged(here, text, pictures) for text, pictures in materials]
    return JSONResponse({"id": fresh_id("modr-"), "model": body.model, "results": results})
