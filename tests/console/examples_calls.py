"""Break-glass and its calls."""

from __future__ import annotations

from tests.console.examples import Example


def on(rest: str):
    return lambda place: f"/incidents/{place.incident.reference}{rest}"


EXAMPLES: tuple[Example, ...] = (
    Example("calls", lambda _: "/calls", "all"),
    Example("incident-break-glass", on("/break-glass"), "contoso", lambda _: {"do": "begin", "reason": "x"}),
    Example(
        "incident-called", on("/called"), "contoso",
        lambda p: {"contact": str(p.alice.id), "outcome": "busy", "was": "x"},
    ),
)  # fmt: skip
