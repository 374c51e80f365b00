"""Regular expressions mean the same on every Python that the project runs on."""

from __future__ import annotations

import importlib
import pkgutil
import re
from re import _constants as codes
from re import _parser
from types import ModuleType

import pytest

import expertmail
import outbound
import smtp_gateway
import threads
import verifier

ROOMS = (verifier, threads, outbound, smtp_gateway, expertmail)


def patterns(room: ModuleType) -> list[tuple[str, re.Pattern[str] | re.Pattern[bytes]]]:
    """The patterns that the modules of a room hold by a name."""
    names = [found.name for found in pkgutil.walk_packages(room.__path__, f"{room.__name__}.")]
    modules = [
        importlib.import_module(name)
        for name in names
        if not name.endswith("__main__") and ".migrations" not in name
    ]
    return [
        (f"{module.__name__}.{name}", value)
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, re.Pattern)
    ]


def possessive_groups(tree: object) -> bool:
    """Whether anything but one character is repeated possessively, or a group is atomic."""
    if isinstance(tree, (list, tuple, _parser.SubPattern)):
        items = list(tree)
        if items and items[0] is codes.POSSESSIVE_REPEAT:
            repeated = list(items[1][2])
            one = len(repeated) == 1 and repeated[0][0] in (
                codes.IN,
                codes.LITERAL,
                codes.NOT_LITERAL,
                codes.ANY,
            )
            return not one or possessive_groups(repeated)
        return (bool(items) and items[0] is codes.ATOMIC_GROUP) or any(map(possessive_groups, items))
    return False


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.__name__)
def test_no_group_is_repeated_possessively_which_pythons_before_3_11_5_take_wrongly(room: ModuleType) -> None:
    found = patterns(room)
    assert found
    wrong = [
        name
        for name, pattern in found
        if possessive_groups(_parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG))
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("pattern", "wrong"),
    [(r"(?:ab)*+c", True), (r"a(?:b|cd){2,}+", True), (r"(?>ab)c", True), (r"[ab]*+c", False), (r"(a(?:x(?:bc)++))", True), (r"a++(?:b)*", False)],
)  # fmt: skip
def test_the_kind_is_told_apart(pattern: str, wrong: bool) -> None:
    assert possessive_groups(_parser.parse(pattern)) is wrong
