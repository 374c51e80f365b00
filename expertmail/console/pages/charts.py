"""Charts drawn on the server: stacked bars, one a day, as SVG without a style of its own. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

WIDTH: Final = 720
HEIGHT: Final = 220
_LEFT, _TOP, _BOTTOM = 44, 10, 26
_LABELS: Final = 8  # days that are named below


@dataclass(frozen=True, slots=True)
class Series:
    """One kind of thing: its name, how it looks (a class of the style sheet), and a number for each day."""

    name: str
    look: str
    numbers: Sequence[int]


def stacked_bars(title: str, days: Sequence[str], series: Sequence[Series]) -> Markup:
    """The chart; whoever does not see it has the title, and the table beside it."""
    totals = [sum(one.numbers[at] for one in series) for at in range(len(days))]
    top = _round_up(max(totals, default=0))
    inner_width, inner_height = WIDTH - _LEFT, HEIGHT - _TOP - _BOTTOM
    step = inner_width / max(1, len(days))
    parts = [
        Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
            WIDTH, HEIGHT, title
        )
    ]
    for share in (0, 0.5, 1):
        y = _TOP + inner_height * (1 - share)
        parts.append(
            Markup('<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(_LEFT, WIDTH, y, y)
        )
        if share != 0.5 or top % 2 == 0:  # noqa: PLR2004 -- there is no half of a thing
            parts.append(
                Markup('<text class="axis" x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(
                    _LEFT - 6, y + 4, f"{top * share:,.0f}"
                )
            )
    every = max(1, -(-len(days) // _LABELS))
    for at, day in enumerate(days):
        y = _TOP + inner_height
        for one in series:
            height = inner_height * one.numbers[at] / top
            if height <= 0:
                continue
            y -= height
            parts.append(
                Markup(
                    '<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"><title>{}: {} {}</title></rect>'
                ).format(
                    one.look,
                    _LEFT + at * step + step * 0.1,
                    y,
                    step * 0.8,
                    height,
                    day,
                    one.numbers[at],
                    one.name,
                )
            )
        if at % every == 0:
            parts.append(
                Markup('<text class="axis day" x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
                    _LEFT + (at + 0.5) * step, HEIGHT - 8, day[5:]
                )
            )
    parts.append(Markup("</svg>"))
    return Markup("").join(parts)


def legend(series: Sequence[Series]) -> Markup:
    """What each look stands for, with its sum."""
    items = [
        Markup(
            '<li><svg class="key" viewBox="0 0 12 12" aria-hidden="true"><rect class="{}" width="12" height="12"/></svg> {} ({:,})</li>'
        ).format(one.look, one.name, sum(one.numbers))
        for one in series
    ]
    return Markup('<ul class="legend">{}</ul>').format(Markup("").join(items))


def by_day(
    days: Sequence[str], found: Mapping[tuple[str, str], int], names: Mapping[str, str]
) -> tuple[Series, ...]:
    """A series for each name that occurs; ``found`` are numbers by day and name, ``names`` the looks in their order."""
    series = [Series(name, look, [found.get((day, name), 0) for day in days]) for name, look in names.items()]
    return tuple(one for one in series if any(one.numbers))


def _round_up(number: int) -> int:
    """The end of an axis: one, two or five times a power of ten."""
    size = 1
    while True:
        for step in (1, 2, 5):
            if number <= step * size:
                return step * size
        size *= 10
