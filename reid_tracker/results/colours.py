"""The colours of an identity, the same in every camera, on the live page, in video and report."""

from __future__ import annotations

from functools import cache

Colour = tuple[int, int, int]
"""Red, green, blue, 0..255."""

# Picked one after the other from a grid over OKLCH (lightness 0.50 to 0.82), each as far as can be from those before
# it in OKLab, seen with ordinary eyes and with protanopia, deuteranopia and tritanopia (Machado et al. 2009) alike.
# The first eight stay at least 0.1 apart for all of them.
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


_SECOND_COLOURS = ("#ffffff", "#101216", *PALETTE[:8])  # what a second colour is chosen from
_SECOND_COLOURS_EACH = 4  # for each first colour: those that stand out from it most, all by a contrast of 1.9 or more

LOOKS = len(PALETTE) * (1 + _SECOND_COLOURS_EACH)
"""How many identities in a row look different."""


def identity_hex(identity: int) -> str:
    """The colour of an identity as ``#rrggbb``; every 24th shares it, and a second one tells those apart."""
    return PALETTE[(identity - 1) % len(PALETTE)]


def second_hex(identity: int) -> str | None:
    """The second colour of an identity as ``#rrggbb``, drawn within the first; None for the first 24 of each 120.

    Colour and second colour together are different for any two of 120 identities in a row.
    """
    turn = (identity - 1) // len(PALETTE) % (1 + _SECOND_COLOURS_EACH)
    return _second_colours_of(identity_hex(identity))[turn - 1] if turn else None


def second_colour(identity: int) -> Colour | None:
    """The second colour of an identity, where it has one."""
    found = second_hex(identity)
    return None if found is None else _parsed(found)


def ink_hex(identity: int) -> str:
    """Of text on the colour of an identity, as ``#rrggbb``."""
    return hexadecimal(text_on(identity_colour(identity)))


def identity_colour(identity: int) -> Colour:
    """The colour of an identity."""
    return _parsed(identity_hex(identity))


def hexadecimal(colour: Colour) -> str:
    """``#rrggbb``."""
    return "#" + "".join(f"{channel:02x}" for channel in colour)


def text_on(colour: Colour) -> Colour:
    """Near black or white, whichever reads better on ``colour`` (WCAG 2 contrast)."""
    light = luminance(colour)
    return (16, 18, 22) if contrast(light, 0.0) > contrast(light, 1.0) else (255, 255, 255)


def luminance(colour: Colour) -> float:
    """Relative luminance of an sRGB colour, 0..1 (WCAG 2)."""
    red, green, blue = (_linear(channel / 255) for channel in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: float, other: float) -> float:
    """WCAG 2 contrast of two luminances, 1..21."""
    dark, light = sorted((one, other))
    return (light + 0.05) / (dark + 0.05)


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4


def _parsed(hexadecimal: str) -> Colour:
    red, green, blue = (int(hexadecimal[start : start + 2], 16) for start in (1, 3, 5))
    return red, green, blue


@cache
def _second_colours_of(first: str) -> tuple[str, ...]:
    """What stands out from a colour most: by luminance, which every eye sees."""
    own = luminance(_parsed(first))
    apart = sorted(_SECOND_COLOURS, key=lambda second: -contrast(luminance(_parsed(second)), own))
    return tuple(apart[:_SECOND_COLOURS_EACH])
