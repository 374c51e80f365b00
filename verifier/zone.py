"""A DNS zone as a value: RFC 1035 master file text in, answers out; and the other way round.

One file may hold several domains (``$ORIGIN .`` or absolute names). A zone can stand for the whole DNS
(`Zone.evidence`), be asked before the real one (``verifier.resolver``), or be served (``verifier.zone_server``).
Names are absolute, lower case, with their final dot; labels are text as in `Question.name`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, cast

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.tokenizer
import dns.transaction
import dns.zonefile

from verifier.evidence import Absent, Answer, AnswerStatus, Evidence, Question

MAX_ZONE_CHARACTERS: Final = 8_000_000  # a file that a person hands over; a thousand times the largest sample
MAX_CNAMES: Final = 16  # resolvers give up at 8 to 16; a loop ends here too
DEFAULT_TTL: Final = (
    300  # for records without a TTL and without $TTL: short, for these are test and demo worlds
)
_TXT_STRING: Final = 255  # RFC 1035 3.3: a character-string's length is one octet

# RFC 6761: names that the public DNS never holds. See `Zone.claims`.
SPECIAL_TOP_LEVELS: Final = frozenset({"test.", "invalid.", "localhost.", "example."})


class ZoneError(ValueError):
    """A zone that cannot be read or written: one sentence, with the line where there is one."""


@dataclass(frozen=True, slots=True)
class RecordSet:
    """The records of one name and type: as answered (`Answer.records`) and as the wire format wants them."""

    ttl: int
    records: tuple[str, ...]
    rdatas: tuple[dns.rdata.Rdata, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One record set on the way to an answer: a CNAME, or the last one with the data."""

    name: str
    type: str
    found: RecordSet


@dataclass(frozen=True, slots=True)
class Lookup:
    """How a question was answered: the record sets met, the end, and a CNAME target outside this zone if any."""

    status: AnswerStatus
    steps: tuple[Step, ...] = ()
    outside: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One record to write. ``text`` is presentation format; for TXT it is the value itself, of any length."""

    name: str
    type: str
    text: str
    ttl: int = DEFAULT_TTL


@dataclass(frozen=True, slots=True)
class Zone:
    """Everything that a master file says. Build it with `read_zone`."""

    sets: Mapping[str, Mapping[str, RecordSet]]
    domains: tuple[str, ...]  # the owners of SOA records, and the topmost of the other names
    _names: frozenset[str] = field(repr=False)  # owners and all names above them (empty non-terminals)

    def claims(self, name: str) -> bool:
        """Whether this zone, not the public DNS, speaks for a name.

        That is every name at or below its domains. When one of them lies in a special-use top level
        (RFC 6761), so does that top level itself and its ``_dmarc`` name: the public DNS holds nothing
        there, and a DMARC tree walk (RFC 9989 4.10) would wait for it.
        """
        for domain in self.domains:
            if domain in {name, "."} or name.endswith("." + domain):
                return True
            top = domain[domain.rfind(".", 0, -1) + 1 :]
            if top in SPECIAL_TOP_LEVELS and name in {top, "_dmarc." + top}:
                return True
        return False

    def domain_of(self, name: str) -> str:
        """The longest of the zone's domains at or above a name; the root when there is none."""
        above = [d for d in self.domains if d in {name, "."} or name.endswith("." + d)]
        return max(above, key=len, default=".")

    def lookup(self, question: Question) -> Lookup:
        """Follow CNAMEs (RFC 1034 4.3.2) and wildcards (RFC 4592) to the records of a question."""
        steps: list[Step] = []
        name = question.name
        for _ in range(MAX_CNAMES):
            present = self._at(name)
            if present is None:
                outside = name if steps and not self.claims(name) else None
                return Lookup(AnswerStatus.NXDOMAIN, tuple(steps), outside)
            found = present.get(question.type)
            if found is not None:
                return Lookup(AnswerStatus.ANSWER, (*steps, Step(name, question.type, found)))
            alias = present.get("CNAME")
            if alias is None:
                return Lookup(AnswerStatus.NODATA, tuple(steps))
            steps.append(Step(name, "CNAME", alias))
            name = alias.records[0].lower()
        return Lookup(AnswerStatus.SERVFAIL, tuple(steps))

    def answer(self, question: Question, at: datetime | None = None) -> Answer:
        """The answer as a resolver gives it: the end of a CNAME chain, the least TTL on the way, never AD."""
        found = self.lookup(question)
        ttl = min((step.found.ttl for step in found.steps), default=DEFAULT_TTL)
        records = found.steps[-1].found.records if found.status is AnswerStatus.ANSWER else ()
        return Answer(found.status, records, ttl, ad=False, at=at)

    def evidence(self, at: datetime | None = None) -> Evidence:
        """This zone as the only DNS: closed evidence, in which every other name is NXDOMAIN.

        Its ``answers`` are worked out when asked for; to iterate shows those asked for so far, so what is
        stored after a check is what the check used. Take a fresh one for each message.
        """
        return Evidence(ZoneAnswers(self, at), absent=Absent.NXDOMAIN, at=at)

    def _at(self, name: str) -> Mapping[str, RecordSet] | None:
        """The record sets of a name, empty for an empty non-terminal, None if it does not exist."""
        present = self.sets.get(name)
        if present is not None:
            return present
        if name in self._names:
            return {}
        encloser = name
        while encloser not in self._names:  # ends at the latest at the root
            encloser = _parent(encloser)
        return self.sets.get("*." + encloser.lstrip("."))


class ZoneAnswers(Mapping[Question, Answer]):
    """A zone's answers as a mapping that answers everything and iterates over what was asked."""

    def __init__(self, zone: Zone, at: datetime | None = None) -> None:
        self._zone = zone
        self._at = at
        self._asked: dict[Question, Answer] = {}

    def __getitem__(self, question: Question) -> Answer:
        known = self._asked.get(question)
        if known is None:
            known = self._asked[question] = self._zone.answer(question, self._at)
        return known

    def __contains__(self, question: object) -> bool:
        return isinstance(question, Question)

    def __iter__(self) -> Iterator[Question]:
        return iter(tuple(self._asked))

    def __len__(self) -> int:
        return len(self._asked)


def read_zone(text: str, name: str = "zone") -> Zone:
    """Read a master file (RFC 1035 5). ``name`` is the file's name, for messages.

    $INCLUDE and $GENERATE are refused: the one reads other files, the other makes a line into millions.
    Raises `ZoneError`.
    """
    if len(text) > MAX_ZONE_CHARACTERS:
        raise ZoneError(f"{name} is larger than {MAX_ZONE_CHARACTERS} characters")
    tokens = _Tokens(text, name)
    collected = _Collector()
    try:
        dns.zonefile.Reader(
            tokens,
            dns.rdataclass.IN,
            cast("dns.transaction.Transaction", collected),
            allow_include=False,
            allow_directives=("$ORIGIN", "$TTL"),
            default_ttl=DEFAULT_TTL,
        ).read()
    except (dns.exception.DNSException, ValueError) as error:
        said = " ".join(str(error).split()).removeprefix("{}:{}: ".format(*tokens.where()))
        raise ZoneError(f"{name}:{tokens.entry_line}: {said or 'not a record'}") from error
    return _zone(
        {
            owner: {
                rrtype: RecordSet(ttl, tuple(map(record_text, rdatas)), tuple(rdatas))
                for rrtype, (ttl, rdatas) in types.items()
            }
            for owner, types in collected.sets.items()
        }
    )


class _Tokens(dns.tokenizer.Tokenizer):
    """Knows on which line an entry began: dnspython names the line it has read up to."""

    entry_line = 1

    def get(self, want_leading: bool = False, want_comment: bool = False) -> dns.tokenizer.Token:
        if want_leading:
            self.entry_line = self.line_number
        return super().get(want_leading, want_comment)


class _Collector:
    """What dnspython's reader writes into. Its own transactions hold one domain only (one SOA)."""

    def __init__(self) -> None:
        self.sets: dict[str, dict[str, tuple[int, list[dns.rdata.Rdata]]]] = {}
        self.manager = self

    def origin_information(self) -> tuple[dns.name.Name, bool, dns.name.Name]:
        return dns.name.root, False, dns.name.root

    def check_put_rdataset(self, _check: object) -> None:
        """The reader's own CNAME check, which needs its kind of transaction; `add` has ours."""

    def _set_origin(self, origin: dns.name.Name) -> None:
        """Each $ORIGIN is the reader's business; names arrive absolute."""

    def add(self, owner: dns.name.Name, ttl: int, rdata: dns.rdata.Rdata) -> None:
        types = self.sets.setdefault(_text_name(owner), {})
        rrtype = dns.rdatatype.to_text(rdata.rdtype)
        held_ttl, rdatas = types.setdefault(rrtype, (ttl, []))
        if rdata not in rdatas[-1:]:
            rdatas.append(rdata)
        types[rrtype] = (min(ttl, held_ttl), rdatas)
        # RFC 1034 3.6.2: a CNAME is alone at its name (RFC 4034 2.1: but for DNSSEC's own types).
        if "CNAME" in types and (len(rdatas) > 1 or any(t not in {"CNAME", "RRSIG", "NSEC"} for t in types)):
            raise ZoneError(f"{owner} has a CNAME and other data")


def _zone(sets: Mapping[str, Mapping[str, RecordSet]]) -> Zone:
    names = {"."}
    for owner in sets:
        name = owner
        while name not in names:
            names.add(name)
            name = _parent(name)
    domains = {owner for owner, types in sets.items() if "SOA" in types}
    plain = {re.sub(r"^(?:(?:_[^.]*|\*)\.)+(?=.)", "", owner) for owner in sets}
    domains |= {d for d in plain if not any(above in plain or above in domains for above in _above(d))}
    return Zone(sets, tuple(sorted(domains)), frozenset(names))


def record_text(rdata: dns.rdata.Rdata) -> str:
    """A record as `Answer.records` holds it: presentation text, but a TXT's strings joined (RFC 7208 3.3)."""
    strings = getattr(rdata, "strings", None)
    if rdata.rdtype in (dns.rdatatype.TXT, dns.rdatatype.SPF) and strings is not None:
        return b"".join(strings).decode("utf-8", "surrogateescape")
    return rdata.to_text()


def _text_name(name: dns.name.Name) -> str:
    """A name's labels as text, lower case; raises `ZoneError` for a dot inside a label."""
    labels = [label.decode("utf-8", "surrogateescape").lower() for label in name.labels[:-1]]
    if any("." in label for label in labels):
        raise ZoneError(f"the name {name} has a dot inside a label")
    return ".".join(labels) + "."


def _parent(name: str) -> str:
    return name.partition(".")[2] or "."


def _above(name: str) -> Iterator[str]:
    while name != ".":
        name = _parent(name)
        if name != ".":
            yield name


def write_zone(records: Iterable[Record]) -> str:
    """A master file that `read_zone` and any name server reads, sorted as given; raises `ZoneError`.

    TXT values are cut into character-strings of 255 octets and quoted; other text must be one line without
    a comment, so that no value can add a record.
    """
    lines = ["$ORIGIN ."]
    for record in records:
        text = _quoted(record.text) if record.type.upper() == "TXT" else record.text
        written = f"{record.name.rstrip('.')}. {record.ttl} IN {record.type.upper()} {text}"
        if not written.isprintable() or (record.type.upper() != "TXT" and ";" in written):
            raise ZoneError(
                f"the {record.type} record of {record.name!r} holds a character that no record may hold"
            )
        if " " in record.name:
            raise ZoneError(f"the name {record.name!r} holds a blank")
        lines.append(written)
    return "\n".join(lines) + "\n"


def _quoted(value: str) -> str:
    octets = value.encode("utf-8", "surrogateescape")
    strings = [octets[start : start + _TXT_STRING] for start in range(0, len(octets), _TXT_STRING)] or [b""]
    return " ".join('"' + "".join(map(_escaped, string)) + '"' for string in strings)


def _escaped(octet: int) -> str:
    character = chr(octet)
    if character in '"\\':
        return "\\" + character
    return character if " " <= character <= "~" else f"\\{octet:03d}"


def merge(zones: Iterable[Zone]) -> Zone:
    """Several zones as one; a name and type held by two is answered by the first."""
    sets: dict[str, dict[str, RecordSet]] = {}
    for owner, types in itertools.chain.from_iterable(zone.sets.items() for zone in zones):
        for rrtype, found in types.items():
            sets.setdefault(owner, {}).setdefault(rrtype, found)
    return _zone(sets)
