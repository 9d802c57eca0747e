"""Pictures of tasks on a plane, with Pillow."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

Point = Sequence[float] | np.ndarray
Colour = tuple[int, int, int]

# From the colour-blind-safe palette of Okabe and Ito.
BLUE: Colour = (0, 114, 178)
RED: Colour = (213, 94, 0)
GREEN: Colour = (0, 158, 115)
GREY: Colour = (120, 120, 120)

_PIXELS = 320


class Picture:
    """A white square of the plane; later shapes cover earlier ones."""

    def __init__(self, low: Point, high: Point):
        """Creates an empty picture.

        Args:
          low: The lower left corner, in the task's units.
          high: The upper right corner.
        """
        self._low = np.asarray(low, float)
        self._scale = _PIXELS / (np.asarray(high, float) - self._low)
        self._image = Image.new("RGB", (_PIXELS, _PIXELS), (255, 255, 255))
        self._draw = ImageDraw.Draw(self._image)

    def line(self, start: Point, end: Point, colour: Colour) -> None:
        """Draws a line between two points."""
        self._draw.line([*self._place(start), *self._place(end)], colour, 4)

    def disc(self, centre: Point, radius: float, colour: Colour) -> None:
        """Draws a disc."""
        (x, y), r = self._place(centre), radius * self._scale[0]
        self._draw.ellipse([x - r, y - r, x + r, y + r], colour)

    def box(self, low: Point, high: Point, colour: Colour) -> None:
        """Draws a filled box from its lower left to its upper right corner."""
        (left, bottom), (right, top) = self._place(low), self._place(high)
        self._draw.rectangle([left, top, right, bottom], colour)

    def pixels(self) -> np.ndarray:
        """Returns the picture, uint8, shape [320, 320, 3]."""
        return np.asarray(self._image)

    def _place(self, point):
        x, y = (np.asarray(point, float) - self._low) * self._scale
        return float(x), float(_PIXELS - y)
