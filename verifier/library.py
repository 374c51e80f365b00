"""The verifier for other programs: one call over stored evidence, one that asks DNS. ``verifier`` exports both."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime

from verifier.dmarc_7489 import PublicSuffixes
from verifier.driver import Resolves, drive
from verifier.evaluate import Context, judge
from verifier.evidence import Evidence, Session
from verifier.identity import Identity
from verifier.message import read_message
from verifier.opinion_worker import SecondOpinion
from verifier.report import Report


def verify_offline(
    raw: bytes,
    identities: Iterable[Identity],
    evidence: Evidence,
    at: datetime,
    *,
    session: Session | None = None,
    suffixes: PublicSuffixes | None = None,
) -> Report:
    """The verdict on a message's bytes (CRLF line ends) over evidence that is at hand; no DNS is asked.

    ``at`` is the clock (with its time zone); what ``evidence`` leaves open is a temporary error. dkimpy gives its second
    opinion in a process of its own that ends with the call. Never raises for what the message holds; not to be called
    from a running event loop (use ``verify``). With ``suffixes`` DMARC is evaluated by RFC 7489 and that list.
    """
    return asyncio.run(_verdict(raw, _context(identities, at, session, suffixes), evidence, None, None))[0]


async def verify(
    raw: bytes,
    identities: Iterable[Identity],
    resolver: Resolves,
    at: datetime,
    *,
    session: Session | None = None,
    suffixes: PublicSuffixes | None = None,
    opinion: SecondOpinion | None = None,
) -> tuple[Report, Evidence]:
    """The verdict by live DNS, and the evidence that it was reached on: keep it, and ``verify_offline`` says the same.

    ``resolver`` is a ``Resolver`` (or anything that answers questions) and is best shared by many calls, as is
    ``opinion``; without one a process is started for this call.
    """
    return await _verdict(raw, _context(identities, at, session, suffixes), Evidence(at=at), resolver, opinion)


def _context(
    identities: Iterable[Identity], at: datetime, session: Session | None, suffixes: PublicSuffixes | None
) -> Context:
    return Context(tuple(identities), at, session, suffixes=suffixes)


async def _verdict(
    raw: bytes,
    context: Context,
    evidence: Evidence,
    resolver: Resolves | None,
    opinion: SecondOpinion | None,
) -> tuple[Report, Evidence]:
    own = SecondOpinion() if opinion is None else None
    try:
        return await drive(judge(read_message(raw), context), evidence, resolver, opinion or own, raw=raw)
    finally:
        if own is not None:
            await own.close()
