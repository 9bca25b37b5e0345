"""Filled paths in their order: the same drawing as SVG and as pixels.

Lengths are in px from the upper left corner, y downwards; every path is filled by the nonzero rule.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field

from PIL import Image

from wenfang.media.outlines import LETTERS, Command, decimal
from wenfang.media.svg import SVG_NAMESPACE

Colour = tuple[int, int, int]
Path_ = tuple[Command, ...]


@dataclass(kw_only=True)
class Paths:
    """Paths and their colours, the first lowest."""

    width_px: float
    height_px: float
    shapes: list[tuple[Path_, Colour]] = field(default_factory=list)

    def fill(self, path: Path_, colour: Colour) -> None:
        """Put a path on top of all others."""
        self.shapes.append((path, colour))

    def svg(self) -> str:
        """The drawing as SVG."""
        size = f'width="{self.width_px:g}" height="{self.height_px:g}"'
        box = f'viewBox="0 0 {self.width_px:g} {self.height_px:g}"'
        paths = "\n".join(
            f'<path fill="#{red:02x}{green:02x}{blue:02x}" d="{_svg_data(path)}"/>'
            for path, (red, green, blue) in self.shapes
        )
        return f'<svg xmlns="{SVG_NAMESPACE}" {size} {box}>\n{paths}\n</svg>\n'

    def image(self, width_px: int) -> Image.Image:
        """The drawing in so many RGBA pixels across; what no path covers is transparent.

        It is our own, so it is drawn in this process, which is twenty times as fast as
        `media.svg_view`.
        """
        import resvg_py  # only where something is drawn

        high = max(1, round(width_px * self.height_px / self.width_px))
        drawn = resvg_py.svg_to_bytes(
            svg_string=self.svg(), width=width_px, height=high, skip_system_fonts=True
        )
        return Image.open(io.BytesIO(bytes(drawn))).convert("RGBA")


def _svg_data(path: Path_) -> str:
    return "".join(
        LETTERS[one.verb] + " ".join(f"{decimal(x)} {decimal(y)}" for x, y in one.points)
        for one in path
    )
