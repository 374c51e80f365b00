"""A bar for a time within which half, and one within which nearly all of something was done, as SVG. Pure."""

from __future__ import annotations

from typing import Final

from markupsafe import Markup

WIDTH: Final = 200
HEIGHT: Final = 10
_LEAST: Final = 2.0  # so that a short time is seen


def bar(half: float, nearly_all: float, longest: float) -> Markup:
    """Two bars, the shorter on the longer one; the numbers stand beside it, so that nobody has to see it."""
    inner, outer = (
        max(_LEAST, WIDTH * one / longest) if longest > 0 else _LEAST for one in (half, nearly_all)
    )
    return Markup(
        '<svg class="times" viewBox="0 0 {width} {height}" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" width="{width}" height="{height}"/>'
        '<rect class="calm" width="{outer:.1f}" height="{height}"/><rect class="good" width="{inner:.1f}" height="{height}"/></svg>'
    ).format(width=WIDTH, height=HEIGHT, inner=inner, outer=outer)
