"""One colour per identity, the same in every camera, in video and report."""

from __future__ import annotations

Colour = tuple[int, int, int]
"""Red, green, blue, 0..255."""

# Picked one after the other from a grid over OKLCH (lightness 0.50 to 0.82), each as far as can be from those before
# it in OKLab, seen with ordinary eyes and with protanopia, deuteranopia and tritanopia (Machado et al. 2009) alike.
# The first eight stay at least 0.1 apart for all of them; people beyond the last share colours, and labels tell.
PALETTE: tuple[str, ...] = (
    "#ee7746",
    "#1d52de",
    "#42d9fa",
    "#a91e76",
    "#bc79fa",
    "#7e5d07",
    "#d9c72e",
    "#2795ac",
    "#90b697",
    "#eb3062",
    "#7b5aae",
    "#8eda8d",
    "#b4a2c9",
    "#a47789",
    "#3f7f4f",
    "#846cf0",
    "#faa9c1",
    "#8c25bb",
    "#ba7419",
    "#44b7f0",
    "#dc59b2",
    "#f4a25c",
    "#7a8fd0",
    "#36d2ba",
)


def identity_hex(identity: int) -> str:
    """The colour of an identity as ``#rrggbb``."""
    return PALETTE[(identity - 1) % len(PALETTE)]


def identity_colour(identity: int) -> Colour:
    """The colour of an identity."""
    return _parsed(identity_hex(identity))


def hexadecimal(colour: Colour) -> str:
    """``#rrggbb``."""
    return "#" + "".join(f"{channel:02x}" for channel in colour)


def text_on(colour: Colour) -> Colour:
    """Near black or white, whichever reads better on ``colour`` (WCAG 2 contrast)."""
    light = luminance(colour)
    return (16, 18, 22) if (light + 0.05) / 0.05 > 1.05 / (light + 0.05) else (255, 255, 255)


def luminance(colour: Colour) -> float:
    """Relative luminance of an sRGB colour, 0..1 (WCAG 2)."""
    red, green, blue = (_linear(channel / 255) for channel in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4


def _parsed(hexadecimal: str) -> Colour:
    red, green, blue = (int(hexadecimal[start : start + 2], 16) for start in (1, 3, 5))
    return red, green, blue
