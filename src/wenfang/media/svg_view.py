"""How large an SVG is shown, and its pixels, rendered apart within bounds.

The picture is measured in px of its natural size, from the upper left corner, y downwards. resvg
draws in a process of its own, since its time and memory cannot be bounded from here.
"""

from __future__ import annotations

import io
import math
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

from wenfang.errors import DependencyError, MediaError
from wenfang.media.svg import SVG_NAMESPACE, Drawing

LARGEST = 1e7  # px or units; beyond it the numbers of a renderer are no longer exact
MAX_PIXELS = 4_000_000
MEMORY_BYTES = 400 << 20
_LENGTH = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?)\s*([a-zA-Z]*|%)\s*")
_PX = {"": 1, "px": 1, "pt": 96 / 72, "pc": 16, "in": 96, "cm": 96 / 2.54, "mm": 96 / 25.4,
       "q": 96 / 101.6, "em": 16, "rem": 16, "ex": 8}  # fmt: skip
_ALIGN = {"Min": 0.0, "Mid": 0.5, "Max": 1.0}
# Without fonts no file is opened at all once the library is there. The library answers with PNG.
_CHILD = """
import sys
sys.path.insert(0, sys.argv[1])
import resvg_py
fonts, seconds, memory = (int(one) for one in sys.argv[2:5])
try:
    import resource
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    if not fonts:
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
except (ImportError, ValueError, OSError):
    pass
text = sys.stdin.buffer.read().decode("utf-8")
sys.stdout.buffer.write(resvg_py.svg_to_bytes(svg_string=text, skip_system_fonts=not fonts, dpi=96))
"""


@dataclass(frozen=True, kw_only=True)
class View:
    """Where an SVG's units are shown.

    width, height  of the picture in px
    scale          px in a unit, across and down
    origin         the unit coordinates of the picture's upper left corner
    fixed          whether the file says its size in px, not only its proportions
    """

    width: float
    height: float
    scale: tuple[float, float] = (1.0, 1.0)
    origin: tuple[float, float] = (0.0, 0.0)
    fixed: bool = True

    def unit(self, x_px: float, y_px: float) -> tuple[float, float]:
        """The unit coordinates of a place in the picture."""
        return self.origin[0] + x_px / self.scale[0], self.origin[1] + y_px / self.scale[1]


def view_of(drawing: Drawing, smallest_px: float = 0.0) -> View:
    """How `drawing` is shown; one without a size of its own as large as its view box says.

    smallest_px: short side that a picture without a size of its own gets at least
    raises MediaError if it has no usable size
    """
    box = _view_box(drawing.attributes)
    width, height = (_length(drawing.attributes.get(key)) for key in ("width", "height"))
    if box is None:
        if width is None or height is None:
            seen = _extent(drawing)
            width, height = width or seen[0], height or seen[1]
        return _checked(View(width=width, height=height, fixed=True))
    left, top, wide, high = box
    if width is None and height is None:
        times = max(1.0, smallest_px / min(wide, high))
        shown = View(width=wide * times, height=high * times, scale=(times, times),
                     origin=(left, top), fixed=False)  # fmt: skip
        return _checked(shown)
    width = width if width is not None else (height or 0) * wide / high
    height = height if height is not None else width * high / wide
    return _checked(_fitted(width, height, box, drawing.attributes.get("preserveAspectRatio", "")))


def _fitted(
    width: float, height: float, box: tuple[float, float, float, float], aspect: str
) -> View:
    """A view box in a picture of other proportions (SVG 2, section 8.6)."""
    left, top, wide, high = box
    across, down = width / wide, height / high
    words = aspect.split()
    if words[:1] == ["none"]:
        return View(width=width, height=height, scale=(across, down), origin=(left, top))
    scale = max(across, down) if words[1:2] == ["slice"] else min(across, down)
    found = re.fullmatch(r"x(Min|Mid|Max)Y(Min|Mid|Max)", words[0] if words else "")
    aligned = (_ALIGN[found[1]], _ALIGN[found[2]]) if found else (0.5, 0.5)
    x = (width - wide * scale) * aligned[0]
    y = (height - high * scale) * aligned[1]
    origin = (left - x / scale, top - y / scale)
    return View(width=width, height=height, scale=(scale, scale), origin=origin)


def _checked(view: View) -> View:
    numbers = (view.width, view.height, *view.scale, *view.origin)
    sound = all(math.isfinite(one) and abs(one) <= LARGEST for one in numbers)
    if not sound or min(view.width, view.height, *view.scale) < 1e-6:
        raise MediaError("the SVG has no usable size; give it a width, a height and a viewBox")
    return view


def _view_box(attributes: Mapping[str, str]) -> tuple[float, float, float, float] | None:
    if "viewBox" not in attributes:
        return None
    numbers = [_length(one) for one in re.split(r"[\s,]+", attributes["viewBox"].strip())]
    if len(numbers) != 4 or numbers[2] is None or numbers[3] is None:
        raise MediaError("the SVG has no usable size; give it a width, a height and a viewBox")
    if min(numbers[2], numbers[3]) < 1e-6:
        raise MediaError("the SVG has no usable size; give it a width, a height and a viewBox")
    return numbers[0] or 0.0, numbers[1] or 0.0, numbers[2], numbers[3]


def _length(text: str | None) -> float | None:
    """A length in px; None for a share of the surroundings or anything else."""
    found = _LENGTH.fullmatch(text[:64]) if text is not None else None
    factor = _PX.get(found[2].lower()) if found else None
    return float(found[1]) * factor if found and factor else None


def _extent(drawing: Drawing) -> tuple[float, float]:
    """How far the content reaches right and down, for a file that does not say."""
    size = _size(_child(_document(drawing, ""), False, 2))
    return float(size[0]), float(size[1])


def render(
    drawing: Drawing,
    view: View,
    region: tuple[float, float, float, float],
    scale: float,
    *,
    fonts: bool = False,
    seconds: int = 2,
) -> Image.Image:
    """The pixels (RGBA) of a region (left, top, width, height in px) of the picture.

    scale    pixels rendered for one px
    fonts    also draw text in fonts of this machine
    seconds  processor time after which it is given up; a second later it is stopped anyway
    raises MediaError if it cannot be rendered within the bounds
    """
    left, top, width, height = region
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if size[0] * size[1] > MAX_PIXELS:
        raise MediaError("the SVG is too large to be rendered; make it smaller")
    x, y = view.origin
    wide, high = view.width / view.scale[0], view.height / view.scale[1]
    inner = (
        f' x="0" y="0" width="{view.width:.9g}" height="{view.height:.9g}" '
        f'viewBox="{x:.9g} {y:.9g} {wide:.9g} {high:.9g}" preserveAspectRatio="none"'
    )
    text = (
        f'<svg xmlns="{SVG_NAMESPACE}" width="{size[0]}" height="{size[1]}" '
        f'viewBox="{left:.9g} {top:.9g} {width:.9g} {height:.9g}" preserveAspectRatio="none">'
        f"{_document(drawing, inner)}</svg>"
    )
    png = _child(text, fonts, seconds)
    if _size(png) != size:
        raise MediaError("the SVG cannot be rendered; export it again")
    return Image.open(io.BytesIO(png), formats=("PNG",)).convert("RGBA")


def _document(drawing: Drawing, place: str) -> str:
    """The inert copy, shown at `place` (attributes of its outermost element)."""
    name = f"{drawing.prefix}svg"
    if not place:
        kept = ("width", "height")
        sizes = {key: drawing.attributes[key] for key in kept if key in drawing.attributes}
        place = "".join(
            f' {key}="{_length(one):.9g}"' for key, one in sizes.items() if _length(one)
        )
    return f"<{name}{drawing.opening}{place}>{drawing.inert}</{name}>"


def _child(text: str, fonts: bool, seconds: int) -> bytes:
    """PNG bytes of an SVG text, by a process whose time and memory are bounded."""
    place = find_spec("resvg_py")
    if place is None or place.origin is None:
        raise DependencyError("resvg-py is not installed; pip install resvg-py")
    folder = str(Path(place.origin).parent.parent)
    memory = MEMORY_BYTES * (4 if fonts else 1)  # fonts are mapped, not read
    limits = [str(int(fonts)), str(seconds), str(memory)]
    command = [sys.executable, "-I", "-S", "-c", _CHILD, folder, *limits]
    try:
        done = subprocess.run(
            command, input=text.encode(), capture_output=True, timeout=seconds + 1, check=False
        )
    except subprocess.TimeoutExpired:
        raise MediaError("the SVG takes too long to be rendered; make it simpler") from None
    if done.returncode < 0:
        raise MediaError("the SVG takes too long to be rendered; make it simpler")
    if done.returncode != 0:
        raise MediaError("the SVG cannot be rendered; export it again")
    return done.stdout


def _size(png: bytes) -> tuple[int, int]:
    if png[:8] != b"\x89PNG\r\n\x1a\n" or len(png) < 24:
        raise MediaError("the SVG cannot be rendered; export it again")
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")
