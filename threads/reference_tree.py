"""A conversation as a tree: the REFERENCES threading of RFC 5256 3. Pure.

Each mail stands under the nearest ancestor that it names; an ancestor that nobody has is an empty place where several
mails hang on it, and left out where one does. What names nobody is put together by its base subject. Loops are cut.

The work grows with the number of mails and their references. Only where links contradict each other is a way up walked to see
whether a loop would close, and never further than ``MAX_WALK``: what is deeper stays unlinked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from threads.subject import base_of

MAX_WALK: Final = 1_000
"""Ancestors that are looked at for one contradicting link. Nobody reads a conversation that is deeper."""

_NOBODY: Final = -1


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail to place. ``number`` is the caller's name for it; Message-IDs stand without angle brackets.

    ``ancestors`` are its References from the oldest on, or what In-Reply-To names first where there are none.
    """

    number: int
    message_id: str | None
    ancestors: tuple[str, ...]
    subject: str
    sent: datetime


@dataclass(frozen=True, slots=True)
class Branch:
    """A mail and what hangs on it; ``mail`` is None for an ancestor or a subject that is no mail here."""

    mail: Mail | None
    under: tuple[Branch, ...] = ()


class _Forest:
    """Places for mails and for ancestors that are named, linked upwards by number; ``under`` is filled by ``hang``."""

    def __init__(self) -> None:
        self.mails: list[Mail | None] = []
        self.parent: list[int] = []
        self.under: list[list[int]] = []
        self._group: list[int] = []

    def place(self, mail: Mail | None) -> int:
        self.mails.append(mail)
        self.parent.append(_NOBODY)
        self.under.append([])
        self._group.append(len(self._group))
        return len(self.mails) - 1

    def link(self, parent: int, child: int) -> None:
        """Put a place that stands by itself under another one, unless a loop would close."""
        if not self._closes_loop(parent, child):
            self.parent[child] = parent
            self._group[self._root(child)] = self._root(parent)

    def hang(self) -> list[int]:
        """Know what hangs on each place from here on; returns what hangs on none."""
        roots: list[int] = []
        for place, parent in enumerate(self.parent):
            (roots if parent == _NOBODY else self.under[parent]).append(place)
        return roots

    def _closes_loop(self, parent: int, child: int) -> bool:
        if parent == child:
            return True
        if self._root(parent) != self._root(child):
            return False  # never linked in any way so far: nearly all
        at = parent
        for _ in range(MAX_WALK):
            at = self.parent[at]
            if at == _NOBODY:
                return False
            if at == child:
                return True
        return True

    def _root(self, place: int) -> int:
        """One place for all that were ever linked."""
        group = self._group
        while group[place] != place:
            group[place] = group[group[place]]
            place = group[place]
        return place


def conversation(mails: Iterable[Mail]) -> tuple[Branch, ...]:
    """The trees of some mails, given in the order in which they came; siblings by the time they were sent."""
    forest = _Forest()
    _link(forest, mails)
    roots = forest.hang()
    order = _downwards(forest, roots)
    for place in reversed(order):  # the deepest first
        _prune(forest, place)
    roots = [place for root in roots for place in _kept(forest, root)]
    sent = _times(forest, order)
    roots.sort(key=lambda place: sent[place])
    roots = _by_subject(forest, roots, sent)
    return _branches(forest, roots, sent)


def _link(forest: _Forest, mails: Iterable[Mail]) -> None:
    """Step 1: a place for each mail and each ancestor, linked as they name each other."""
    by_id: dict[str, int] = {}
    for mail in mails:
        known = None if mail.message_id is None else by_id.get(mail.message_id)
        if known is not None and forest.mails[known] is None:
            place = known
            forest.mails[place] = mail
        else:
            place = forest.place(mail)
            if (
                known is None and mail.message_id is not None
            ):  # of a Message-ID that comes twice the first has it
                by_id[mail.message_id] = place
        above = _NOBODY
        for ancestor in mail.ancestors:
            here = by_id.get(ancestor)
            if here is None:
                here = by_id[ancestor] = forest.place(None)
            if above != _NOBODY and forest.parent[here] == _NOBODY:
                forest.link(above, here)
            above = here
        if above != _NOBODY and forest.parent[place] != above:
            forest.parent[place] = _NOBODY  # a mail knows its parent better than others do
            forest.link(above, place)


def _downwards(forest: _Forest, roots: Sequence[int]) -> list[int]:
    """All places, each before what hangs on it."""
    order = list(roots)
    for place in order:
        order.extend(forest.under[place])
    return order


def _prune(forest: _Forest, place: int) -> None:
    """Step 3 for what hangs on a place: an empty one gives its place to what hangs on it.

    The longer list takes the shorter one in: up a chain of empty places nothing is copied at each of them.
    """
    kept: list[int] = []
    for child in forest.under[place]:
        if forest.mails[child] is not None:
            kept.append(child)
            continue
        given, forest.under[child] = forest.under[child], []
        if len(given) > len(kept):
            kept, given = given, kept
        kept.extend(given)
    forest.under[place] = kept


def _kept(forest: _Forest, root: int) -> list[int]:
    """An empty place stays at the top only where it holds several together."""
    if forest.mails[root] is not None or len(forest.under[root]) > 1:
        return [root]
    return forest.under[root]


_Time = tuple[datetime, int]


def _times(forest: _Forest, order: Sequence[int]) -> dict[int, _Time]:
    """Step 4: when each was sent, then in which order it came; an empty place counts as the first that hangs on it."""
    sent: dict[int, _Time] = {}
    for place in reversed(order):
        mail = forest.mails[place]
        if mail is not None:
            sent[place] = (mail.sent, place)
        elif forest.under[place]:
            sent[place] = min(sent[child] for child in forest.under[place])
    return sent


def _by_subject(forest: _Forest, roots: Sequence[int], sent: dict[int, _Time]) -> list[int]:
    """Step 5: put together what stands at the top and has one base subject."""
    bases = {root: _subject(forest, root, sent) for root in roots}
    table: dict[str, int] = {}
    for root in roots:
        base, answers = bases[root]
        if not base:
            continue
        there = table.setdefault(base, root)
        if forest.mails[there] is not None and (
            forest.mails[root] is None or (bases[there][1] and not answers)
        ):
            table[base] = root
    left: dict[int, None] = dict.fromkeys(roots)
    for root in roots:
        base, answers = bases[root]
        there = table.get(base, root) if base else root
        if there == root:
            continue
        del left[root]
        if forest.mails[root] is None and forest.mails[there] is None:
            forest.under[there] += forest.under[root]
        elif forest.mails[there] is None or (answers and not bases[there][1]):
            forest.under[there].append(root)
        else:
            made = forest.place(None)
            forest.under[made] = [there, root]
            del left[there]
            left[made] = None
            table[base] = made
            bases[made] = bases[there]
            sent[made] = min(sent[there], sent[root])
    return list(left)


def _subject(forest: _Forest, root: int, sent: dict[int, _Time]) -> tuple[str, bool]:
    """The base subject as it is compared (RFC 5256 2.1), and whether it is a reply's or a forward's."""
    mail = forest.mails[root]
    if mail is None:
        mail = forest.mails[min(forest.under[root], key=lambda child: sent[child])]
    found = base_of(mail.subject if mail is not None else "")
    return found.text.casefold(), found.answers


def _branches(forest: _Forest, roots: Sequence[int], sent: dict[int, _Time]) -> tuple[Branch, ...]:
    """Step 6: the frozen trees, siblings in order of time."""
    made: dict[int, Branch] = {}
    order = _downwards(forest, roots)
    for place in reversed(order):
        if forest.mails[place] is None:
            sent[place] = min(sent[child] for child in forest.under[place])
        under = sorted(forest.under[place], key=lambda child: sent[child])
        made[place] = Branch(forest.mails[place], tuple(made.pop(child) for child in under))
    return tuple(made[root] for root in sorted(roots, key=lambda place: sent[place]))
