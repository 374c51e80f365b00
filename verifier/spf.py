"""SPF (RFC 7208) through pyspf, which here never touches the network: it reads our evidence.

pyspf's lookup function is global to its module. Ours is put in its place once, on loading, and finds the
evaluation it works for in a context variable, so evaluations in several threads or tasks do not mix. It
records what is missing by itself, for pyspf swallows exceptions inside "exp="; a result with misses is thrown
away, the missing questions are asked, together with those that the records at hand name, and it is run again.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Generator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Final

import idna

from verifier.evidence import NOTHING, Answer, Ask, Check, Evidence, Question, Session, ask
from verifier.report import AuthResult, SpfResult
from verifier.spf_plain import is_ipv4, plain_result
from verifier.spf_prefetch import is_record, named_by
from verifier.spf_reason import SpfReason

# pyspf keeps RFC 7208 4.6.4's ten terms, ten MX or PTR names and two void lookups; together they still allow
# over a hundred questions. No honest record comes near this.
MAX_QUESTIONS: Final = 40
# pyspf takes time that grows with the square of a term's length and checks every term it reads. Published
# records stay below 2 KB, terms below 255 octets.
MAX_RECORD: Final = 8_192
MAX_RECORDS_TOTAL: Final = 24_576
MAX_TERM: Final = 400
MAX_EXPLANATION: Final = 512  # of a stranger's text, shown to a person only
# Rounds of asking end by themselves, for each asks something new; this also ends the prefetching.
MAX_ASKED: Final = 80

_LABEL: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\Z")
# RFC 5321 4.1.2, with blanks let through: they are pyspf's to expand in macros, and harm nobody. A quoted
# string is taken whole; what may end or nest a path is not taken bare.
_LOCAL_PART: Final = re.compile(
    r'(?:"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*"|[^"\\()<>\[\]:;,@\x00-\x1f\x7f]+)\Z'
)

_PREFERENCE: Final = re.compile(r"[0-9]{1,5}\Z")

_RESULTS: Final = {
    word: AuthResult(word)
    for word in ("none", "neutral", "pass", "fail", "softfail", "temperror", "permerror")
}

_REASONS: Final = {
    AuthResult.NONE: SpfReason.NO_RECORD,
    AuthResult.PERMERROR: SpfReason.RECORD_ERROR,
    AuthResult.TEMPERROR: SpfReason.DNS_UNAVAILABLE,
}
_SENTENCES: Final = {
    SpfReason.NO_SESSION: "there is no session to check",
    SpfReason.CLIENT_ADDRESS: "the client's address cannot be read",
    SpfReason.PATH_DOMAIN: "the reverse path has no domain that SPF can check",
    SpfReason.PATH_SYNTAX: "the reverse path is not an address",
    SpfReason.HELO_DOMAIN: "the client's HELO name is no domain name that SPF can check",
}


@dataclass(slots=True)
class _Evaluation:
    """One run of pyspf: what it may read, what it missed, what it has cost."""

    evidence: Evidence
    missed: set[Question] = field(default_factory=set)
    asked: set[Question] = field(default_factory=set)
    record_octets: int = 0


_current: ContextVar[_Evaluation | None] = ContextVar("spf_evaluation", default=None)


def _lookup(name: str, qtype: str, _strict: object = True, _timeout: object = 0) -> list[tuple[Any, Any]]:
    """Stands in for pyspf's DNS: the records of one question in pyspf's own shapes."""
    running = _current.get()
    if running is None:
        raise load().TempError("no evidence at hand")
    question = Question(name.rstrip(".").lower() + ".", qtype)
    if question not in running.asked:
        if len(running.asked) >= MAX_QUESTIONS:
            raise load().PermError("Too many DNS questions")
        running.asked.add(question)
    answer = running.evidence.get(question)
    if answer is None:
        running.missed.add(question)
        return []
    if answer.temporary:
        raise load().TempError(f"DNS {answer.status}")
    return _shaped(name, qtype, answer, running)


def _shaped(name: str, qtype: str, answer: Answer, running: _Evaluation) -> list[tuple[Any, Any]]:
    key = (name, qtype)
    if qtype == "TXT":
        return [
            (key, (text.encode("utf-8", "surrogateescape"),)) for text in _affordable(answer.records, running)
        ]
    if qtype == "MX":
        parts = (record.partition(" ") for record in answer.records)
        return [(key, (int(n), host.strip().rstrip("."))) for n, _, host in parts if _PREFERENCE.match(n)]
    return [(key, record.rstrip(".")) for record in answer.records]


def _affordable(texts: Sequence[str], running: _Evaluation) -> list[str]:
    """TXT values; an SPF record too large to read is a permanent error, other text is cut short."""
    taken: list[str] = []
    for text in texts:
        if not is_record(text):
            taken.append(text[:MAX_EXPLANATION])
            continue
        running.record_octets += len(text)
        if len(text) > MAX_RECORD or running.record_octets > MAX_RECORDS_TOTAL:
            raise load().PermError("SPF record too large")
        if any(len(term) > MAX_TERM for term in text.split(" ")):
            raise load().PermError("SPF term too long")
        taken.append(text)
    return taken


@cache
def load() -> Any:
    """Load pyspf with our lookup in place of its own. It brings a resolver along, which takes 50 ms to load.

    Done by the first check; a server does it when it starts.
    """
    import spf  # noqa: PLC0415 - see above: many a saved message needs no SPF

    spf.DNSLookup = _lookup
    return spf


@dataclass(frozen=True, slots=True)
class _Identity:
    """What is checked (RFC 7208 2.3, 2.4): the client, the sender's parts, and the scope word."""

    client: str
    helo: str
    local: str
    domain: str
    scope: str
    null_path: bool


def check_spf(session: Session | None, receiver: str, at: datetime) -> Check[SpfResult]:
    """Check a session's MAIL FROM identity, or its HELO identity where the reverse path is empty or not known.

    ``receiver`` is our own host name (macro r), ``at`` the clock (macro t). The result's ``source`` is
    "session" when there was something to check and "none" otherwise. Never raises; what pyspf cannot
    evaluate is a permerror, a DNS failure a temperror.
    """
    evidence = yield NOTHING
    if session is None or session.client_ip is None:
        return _NO_SESSION
    address = _address(session.client_ip)
    if address is None:
        return _nothing(SpfReason.CLIENT_ADDRESS)
    identity = _identity(session, address)
    if isinstance(identity, SpfReason):
        scope = "mailfrom" if session.mail_from else "helo"
        return _nothing(identity, scope, address, "session")
    evidence, plain = yield from _plain(evidence, identity)
    if plain is not None:
        return _result(identity, _RESULTS[plain])
    asked: set[Question] = set()
    while True:
        running = _Evaluation(evidence)
        word, text, fetched = _evaluate(running, identity, receiver, at)
        if not running.missed:
            break
        wanted = running.missed | fetched
        if len(asked) + len(wanted) > MAX_ASKED:
            wanted = running.missed
        asked |= wanted
        evidence = yield frozenset[Ask](q for q in wanted if evidence.get(q) is None)
    result = _RESULTS.get(word, AuthResult.PERMERROR)
    detail = ""
    if result in {AuthResult.TEMPERROR, AuthResult.PERMERROR}:
        detail = _printable(text)
    elif result is AuthResult.FAIL and text != load().EXPLANATIONS["fail"]:
        # RFC 7208 6.2: a stranger's words must be told from our own.
        detail = f"{identity.domain} explains: {_printable(text)}"
    return _result(identity, result, detail, _REASONS.get(result))


def _result(
    identity: _Identity, result: AuthResult, detail: str = "", reason: SpfReason | None = None
) -> SpfResult:
    checked = (identity.domain, identity.scope, identity.client)
    return SpfResult(result, *checked, "session", detail, identity.null_path, reason)


def _nothing(
    reason: SpfReason, scope: str = "mailfrom", client: str | None = None, source: str = "none"
) -> SpfResult:
    return SpfResult(AuthResult.NONE, None, scope, client, source, _SENTENCES[reason], reason=reason)


_NO_SESSION: Final = _nothing(SpfReason.NO_SESSION)  # what every saved message gets


def _plain(
    evidence: Evidence, identity: _Identity
) -> Generator[frozenset[Ask], Evidence, tuple[Evidence, str | None]]:
    """The result word where pyspf is not needed to tell it."""
    if not is_ipv4(identity.client):
        return evidence, None
    question = Question(identity.domain.lower() + ".", "TXT")
    evidence = yield from ask(evidence, (question,))
    answer = evidence.get(question)
    return evidence, None if answer is None else plain_result(answer.records, identity.client)


def _evaluate(
    running: _Evaluation, identity: _Identity, receiver: str, at: datetime
) -> tuple[str, str, set[Question]]:
    """One run of pyspf: result word, explanation, and after a miss what the records at hand name."""
    token = _current.set(running)
    try:
        query = load().query(
            i=identity.client, s=f"{identity.local}@{identity.domain}", h=identity.helo, receiver=receiver
        )
        # pyspf splits a sender at its first "@", which a quoted local part may hold.
        query.l, query.o, query.d = identity.local, identity.domain, identity.domain
        query.t = str(int(at.timestamp()))
        word, _, text = query.check()
        wanted = _prefetch(running, query) if running.missed else set()
    except Exception as error:  # noqa: BLE001 - whatever pyspf lets out on a hostile record is a permanent error
        return "permerror", f"the record could not be evaluated ({type(error).__name__})", set()
    finally:
        _current.reset(token)
    return word, text, wanted


def _prefetch(running: _Evaluation, query: Any) -> set[Question]:
    """What the records fetched so far name, and the addresses of MX hosts."""
    macros = {"i": query.i, "v": query.v, "l": query.l, "s": query.s, "o": query.o, "h": query.h}
    wanted: set[Question] = set()
    for question in running.asked:
        answer = running.evidence.get(question)
        if answer is None:
            continue
        if question.type == "TXT":
            for record in filter(is_record, answer.records):
                wanted.update(named_by(record[:MAX_RECORD], question.name[:-1], macros, query.A))
        elif question.type == "MX":
            hosts = [record.split()[-1] for record in answer.records[: load().MAX_MX] if record.strip()]
            wanted.update(Question.of(host, query.A) for host in hosts if host != ".")
        elif question.type == "PTR":
            wanted.update(Question.of(host, query.A) for host in answer.records[: load().MAX_PTR])
    return wanted


def _address(text: str) -> str | None:
    """A client's address in its canonical form, without an IPv6 scope (RFC 4007 11: it means nothing outside)."""
    if is_ipv4(text):
        return text
    try:
        address = ipaddress.ip_address(text.strip().strip("[]").partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _identity(session: Session, client: str) -> _Identity | SpfReason:
    """The identity to check, or why there is none (RFC 7208 4.3: then the result is none)."""
    helo = session.helo or ""
    if session.mail_from:
        local, at_sign, domain = session.mail_from.rpartition("@")
        name = _domain(domain)
        if name is None or not at_sign:
            return SpfReason.PATH_DOMAIN
        if local and not _LOCAL_PART.match(local):
            return SpfReason.PATH_SYNTAX
        return _Identity(client, helo, local or "postmaster", name, "mailfrom", null_path=False)
    name = _domain(helo)
    if name is None:
        return SpfReason.HELO_DOMAIN
    return _Identity(client, helo, "postmaster", name, "helo", null_path=session.mail_from == "")


def _domain(text: str) -> str | None:
    """A domain of at least two labels (RFC 7208 4.3), U-labels turned into A-labels."""
    name = text.removesuffix(".")
    if not name.isascii():
        try:
            name = idna.encode(name[:_MAX_DOMAIN], uts46=True, transitional=False).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            return None
    labels = name.split(".")
    if len(name) > _MAX_DOMAIN or len(labels) < 2 or not all(map(_LABEL.match, labels)):  # noqa: PLR2004 - see above
        return None
    return name


_MAX_DOMAIN: Final = 253  # RFC 1035 2.3.4, without the final dot


def _printable(text: str) -> str:
    return "".join(c if " " <= c <= "~" else "?" for c in text[:MAX_EXPLANATION])
