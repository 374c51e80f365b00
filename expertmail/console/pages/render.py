"""Templates. Whatever is put in is escaped; what came by mail also shows the characters that nobody would see."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from expertmail.call_sheets import due_words, local_words, outcome_words, sheet_version, tel
from expertmail.console.pages.static_files import address
from threads.access import Permission
from threads.search_snippet import Snippet
from threads.session import form_token

if TYPE_CHECKING:
    from expertmail.console.pages.page import Viewer

_KIB: Final = 1024
_SEEN_AS_NOTHING: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
_LINES: Final = frozenset("\n\t")


def rendered(template: str, values: Mapping[str, Any]) -> str:
    """A page as text."""
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("expertmail.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        foreign=foreign,
        moment=moment,
        day=day,
        octets=octets,
        ago=ago,
        cut=cut,
        marked=marked,
        duration=duration,
    )
    made.globals.update(
        navigation=navigation,
        form_token=form_token,
        Permission=Permission,
        static=address,
        options=options,
        pairs=pairs,
        due_words=due_words,
        local_words=local_words,
        outcome_words=outcome_words,
        sheet_version=sheet_version,
        tel=tel,
    )
    return made


def foreign(text: object) -> Markup:
    """Text that somebody else wrote: isolated (HTML bdi), and each character that shows as nothing or turns text round is written out."""
    said = str(text)
    if said.replace("\n", "").replace("\t", "").isprintable():  # nearly all
        return Markup("<bdi>{}</bdi>").format(said)
    parts = [Markup("<bdi>")]
    plain: list[str] = []
    for one in said:
        if one in _LINES or unicodedata.category(one) not in _SEEN_AS_NOTHING:
            plain.append(one)
            continue
        parts.append(escape("".join(plain)))
        plain.clear()
        parts.append(Markup('<span class="odd">{}</span>').format(f"U+{ord(one):04X}"))
    parts.append(escape("".join(plain)))
    parts.append(Markup("</bdi>"))
    return Markup("").join(parts)


def cut(text: str, most: int = 160) -> str:
    """A text for a line of a list; what is longer ends in an ellipsis."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def marked(found: Snippet) -> Markup:
    """Words around a hit, which is marked."""
    parts, at = [], 0
    for begin, end in found.hits:
        parts += [
            foreign(found.text[at:begin]),
            Markup("<mark>{}</mark>").format(foreign(found.text[begin:end])),
        ]
        at = end
    return Markup("").join([*parts, foreign(found.text[at:])])


def options(names: Mapping[int, str]) -> list[tuple[str, str]]:
    """Customers for a choice."""
    return [(str(number), name) for number, name in names.items()]


def pairs(words: Sequence[str], may_be_none: bool) -> list[tuple[str, str]]:
    """Words for a choice, with an empty one first where nothing may be chosen."""
    return [*([("", "–")] if may_be_none else []), *((word, word) for word in words)]


def moment(at: datetime | None) -> Markup:
    """A time in UTC, to the minute; programs and scripts find it to the second."""
    if at is None:
        return Markup("")
    utc = at.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        utc.strftime("%Y-%m-%dT%H:%M:%SZ"), utc.strftime("%Y-%m-%d %H:%M UTC")
    )


def day(at: datetime | None) -> Markup:
    """A day in UTC."""
    if at is None:
        return Markup("")
    utc = at.astimezone(UTC)
    return Markup('<time datetime="{0}">{0}</time>').format(utc.strftime("%Y-%m-%d"))


def ago(at: datetime | None, now: datetime) -> str:
    """How long ago, in words: the largest unit that fits."""
    if at is None:
        return ""
    seconds = max(0, int((now - at).total_seconds()))
    for size, word in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            number = seconds // size
            return f"{number} {word}{'' if number == 1 else 's'} ago"
    return "just now"


def duration(seconds: float) -> str:
    """A time span in words: the two largest units."""
    sign, left = ("-", int(-seconds)) if seconds < 0 else ("", int(seconds))
    if left < 60:  # noqa: PLR2004
        return f"{sign}{left} s"
    minutes, left = divmod(left, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{sign}{days} d {hours} h"
    return f"{sign}{hours} h {minutes} min" if hours else f"{sign}{minutes} min {left} s"


def octets(number: int) -> str:
    """A size for people."""
    size = float(number)
    for unit in ("bytes", "KB", "MB", "GB"):
        if size < _KIB or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 10 else f"{size:.1f} {unit}"  # noqa: PLR2004
        size /= _KIB
    raise AssertionError(number)


_NAVIGATION: Final[tuple[tuple[str, str, Permission], ...]] = (
    ("Verify", "/verify", Permission.VERIFY),
    ("Code", "/codes", Permission.VERIFY),
    ("Incidents", "/incidents", Permission.READ),
    ("Calls", "/calls", Permission.READ),
    ("Questions", "/inquiries", Permission.READ),
    ("Held", "/held", Permission.READ),
    ("Outbox", "/outbox", Permission.READ),
    ("Contacts", "/contacts", Permission.READ),
    ("Identities", "/identities", Permission.READ),
    ("Reports", "/reports", Permission.READ),
    ("Audit", "/audit", Permission.READ_AUDIT),
    ("Accounts", "/accounts", Permission.KEEP_ACCOUNTS),
)


def navigation(viewer: Viewer | None) -> list[tuple[str, str]]:
    """The pages that somebody finds in the head of each page."""
    if viewer is None:
        return []
    return [(label, path) for label, path, needs in _NAVIGATION if viewer.account.may_anywhere(needs)]
