"""One example of each route: how it is reached, whose affairs it touches, and who may do it. ``test_every_route`` runs them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.console.place import Place
from threads.access import ALLOWS, Permission, Role


@dataclass(frozen=True)
class Example:
    """A request for the page of that name. ``path`` names a thing of Contoso where ``whose`` is "contoso".

    ``whose``: "contoso" (who may do it for Fabrikam only gets 404, or 403 where they may read), "all" (the page shows to each
    what is theirs), "nobody" (it belongs to no customer: only who may do it for all gets it, others 403 or 404).
    """

    name: str
    path: Callable[[Place], str]
    whose: str
    form: Callable[[Place], Mapping[str, str | list[str]]] = field(default=lambda _: {})
    off: bool = False  # not there (404) where the settings do not name it


def permitted(permission: Permission) -> Role:
    """A role that has the permission."""
    return next(role for role in Role if permission in ALLOWS[role])


EXAMPLES: tuple[Example, ...] = (
    Example("home", lambda _: "/", "all"),
    Example("static", lambda _: "/static/0/console.css", "all"),
)
