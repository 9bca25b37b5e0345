"""Several pictures of one size as one: a contact sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image

from wenfang.errors import MediaError

GAP_SHARE = 1 / 32  # of a picture's side, between pictures and around them
# Of the sheet's width, below them: a label of two lines finds room there and covers none.
FOOT_SHARE = 1 / 5


def contact_sheet(
    pictures: Sequence[Image.Image], columns: int = 0, ground: str = "white"
) -> Image.Image:
    """Row by row, as RGB, with an empty foot; columns: 0 for a sheet that is about as wide as high.

    raises MediaError without pictures, or for pictures of several sizes
    """
    if len({one.size for one in pictures}) != 1:
        raise MediaError(
            "a contact sheet needs pictures of one size; these have {count} sizes",
            count=len({one.size for one in pictures}),
        )
    width, height = pictures[0].size
    across = columns or math.ceil(math.sqrt(len(pictures)))
    down = math.ceil(len(pictures) / across)
    gap = max(1, round(width * GAP_SHARE))
    wide, high = across * (width + gap) + gap, down * (height + gap) + gap
    sheet = Image.new("RGB", (wide, high + round(wide * FOOT_SHARE)), ground)
    for number, picture in enumerate(pictures):
        row, column = divmod(number, across)
        place = gap + column * (width + gap), gap + row * (height + gap)
        sheet.paste(picture, place, picture if picture.mode == "RGBA" else None)
    return sheet
