"""The verifier's readers: each raises only its documented error, says the same twice, and takes linear time."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.fuzzing import SAMPLES, Target, assert_linear, edits, fuzz, inputs, mutated, target
from verifier import dmarc_record
from verifier.address import AddressError, read_author_field
from verifier.author import author_of
from verifier.border_results import border_results
from verifier.dkim import check_dkim
from verifier.dkim_key import read_key
from verifier.dkim_reason import DkimError
from verifier.dkim_signature import read_signature
from verifier.dmarc_7489_record import parse_7489
from verifier.evidence import Absent, Answer, AnswerStatus, Evidence, Question, Session, conclude
from verifier.evidence_file import EvidenceError, read_evidence, write_evidence
from verifier.identity import IdentityError, parse_identities
from verifier.message import Field, read_message
from verifier.microsoft_365 import microsoft_fields
from verifier.parts import attached_messages, walk
from verifier.received_walk import boundary_of, is_inside
from verifier.spf import check_spf
from verifier.zone import ZoneError, read_zone
from verifier.zone_server import respond

AT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ZONE_TEXT = (SAMPLES / "zone.db").read_bytes()
ZONE = read_zone(ZONE_TEXT.decode())
KEY = next(record for record in ZONE.answer(Question.of("s1._domainkey.experts.test", "TXT")).records)
GENUINE = (SAMPLES / "genuine-notification.eml").read_bytes()


class Everywhere(dict[Question, Answer]):
    """A DNS in which each name has the same TXT value and hosts at 192.0.2.1."""

    def __init__(self, value: str) -> None:
        super().__init__()
        self.value = value

    def get(self, question: Question, default: object = None) -> Answer:  # type: ignore[override]
        del default
        match question.type:
            case "TXT":
                records: tuple[str, ...] = (self.value,)
            case "MX":
                records = ("10 a.test.", "99999 b.test.", "x y")
            case "A":
                records = ("192.0.2.1", "nonsense")
            case "PTR":
                records = ("a.test.", "..", "x" * 70 + ".test.")
            case _:
                return Answer(AnswerStatus.NODATA)
        return Answer(AnswerStatus.ANSWER, records, 300)


def text_of(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


@target(
    *(
        b"a",
        b"From: a@b.test\r\n",
        b":",
        b"\r\n",
        b"\r\n\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b"\0",
        b"\xff",
        b"x: y\r\n",
    ),
)
def message(data: bytes):
    """read_message never raises, keeps the bytes, and its fields lie in the header in order."""
    read = read_message(data)
    assert read.raw == data
    assert 0 <= read.body_start <= len(data)
    return read


@target(
    *(
        b"a@b.test",
        b"<",
        b">",
        b'"',
        b"\\",
        b"(",
        b")",
        b",",
        b";",
        b":",
        b"@",
        b".",
        b" ",
        b"\r\n ",
        b"a",
        b"=?utf-8?q?a?=",
    ),
    *("ä".encode(), b"\xff", b"\0", b"[", b"]", b"xn--a", b"=?utf-8?b?YQ==?=", b"=?", b"?="),
    errors=(AddressError,),
)
def author_field(data: bytes):
    """read_author_field raises AddressError only, and what it returns holds at least one mailbox."""
    read = read_author_field(data)
    assert read.mailboxes
    return read


@target(*author_field.pieces, b"\r\nFrom: ")
def author(data: bytes):
    """author_of never raises, whatever stands in the From fields."""
    return author_of(read_message(b"From: " + data + b"\r\nSubject: x\r\n\r\nx\r\n"))


_TAGS = (
    b"v=1;",
    b"a=rsa-sha256;",
    b"b=YQ==;",
    b"bh=",
    b"=" * 3,
    b"d=b.test;",
    b"h=from:to;",
    b"s=s1;",
    b"l=1",
    b"t=1;",
    b"x=99999999999999;",
)
_MORE_TAGS = (
    b"i=@b.test;",
    b"q=dns/txt;",
    b"c=relaxed/simple;",
    b"A",
    b";",
    b"\r\n ",
    b" ",
    b"/",
    b":",
    b"=3B",
    b"\xff",
    b"a" * 70,
    b".",
)


@target(*_TAGS, *_MORE_TAGS, errors=(DkimError,))
def signature(data: bytes):
    """read_signature raises DkimError only."""
    return read_signature(Field(b"DKIM-Signature", b"dkim-signature", data, b"DKIM-Signature:" + data))


@target(
    *(
        b"v=DKIM1;",
        b"k=rsa;",
        b"k=ed25519;",
        b"h=sha256;",
        b"p=",
        b"s=email:*;",
        b"t=y:s;",
        b"n=",
        b";",
        b"=",
        b" ",
        b"A",
        b"MIIB",
        KEY.encode(),
        b"\xff",
    )
)
def key(data: bytes):
    """read_key never raises; what is no key is a BadKey."""
    return repr(type(read_key(text_of(data))))


@target(*_TAGS, *_MORE_TAGS, b"\r\nDKIM-Signature: ")
def dkim(data: bytes):
    """check_dkim never raises over closed evidence, and each signature field gets its result."""
    read = read_message(b"DKIM-Signature: " + data + b"\r\nFrom: a@b.test\r\n\r\nbody\r\n")
    results = conclude(check_dkim(read, AT), Evidence(Everywhere(KEY), absent=Absent.NXDOMAIN))
    assert len(results) == len(read.named(b"dkim-signature"))
    assert not any(result.acceptable for result in results)
    return results


@target(
    *(
        b"v=DMARC1",
        b"v=DMARC1; p=reject;",
        b";",
        b"p=",
        b"none",
        b"sp=reject",
        b"np=",
        b"rua=mailto:a@b.test,",
        b"!10m",
        b"psd=y",
        b"t=y",
        b"=",
        b" ",
        b",",
        b"\xff",
    )
)
def dmarc(data: bytes):
    """dmarc_record.parse never raises."""
    return dmarc_record.parse(text_of(data))


@target(*dmarc.pieces, b"pct=", b"50", b"ruf=mailto:a@b.test", b"aspf=s;")
def dmarc_7489(data: bytes):
    """parse_7489 never raises, and a percentage is one."""
    read = parse_7489(text_of(data))
    assert read is None or 0 <= read.percent <= 100
    return read


@target(
    *(
        b"v=spf1 ",
        b"v=spf1 include:a.test -all",
        b"include:%{l}.a.test ",
        b"exists:%{i}._spf.%{d}",
        b"redirect=b.test",
        b"exp=a.test",
        b"mx ",
        b"ptr ",
    ),
    *(
        b"a:",
        b"a/24//64",
        b"ip4:192.0.2.0/24",
        b"ip6:::1",
        b"%{",
        b"}",
        b"%{l1r-.}",
        b"-all",
        b"~",
        b"?",
        b"/",
        b" ",
        b"\xff",
        b"x" * 64,
        b".",
    ),
)
def spf(data: bytes):
    """check_spf never raises, whatever the whole DNS says."""
    session = Session("192.0.2.9", "helo.test", "a@b.test")
    world = Evidence(Everywhere(text_of(data)), absent=Absent.NXDOMAIN)
    return conclude(check_spf(session, "mx.test", AT), world)


@target(
    *(
        b"a@b.test",
        b"@",
        b'"',
        b"\\",
        b".",
        b"(",
        b"%",
        b"[",
        b"::1",
        b"192.0.2.1",
        b"%eth0",
        b"a" * 64,
        b" ",
        b"\0",
        b"\xff",
        "ä".encode(),
    )
)
def spf_session(data: bytes):
    """check_spf never raises, whatever the client said and whatever its address."""
    said = text_of(data)
    world = Evidence(
        Everywhere("v=spf1 exists:%{l}.%{h}.%{p}.test exp=%{s}.test -all"), absent=Absent.NXDOMAIN
    )
    sessions = (Session("192.0.2.9", said, said), Session("2001:db8::1", said, ""), Session(said, said, said))
    return [conclude(check_spf(session, "mx.test", AT), world) for session in sessions]


@target(
    *(
        b"a TXT x\n",
        b"$ORIGIN test.\n",
        b"$TTL 300\n",
        b"@ ",
        b"SOA ",
        b"MX 10 b\n",
        b"A 127.0.0.1\n",
        b"(",
        b")",
        b'"',
        b"\\",
        b";",
        b"\n",
        b" ",
        b"*",
    ),
    *(
        b"CNAME a\n",
        b"$INCLUDE /etc/passwd\n",
        b"$GENERATE 1-9999999 a$ A 127.0.0.1\n",
        b"\xff",
        b"a" * 70,
        b".",
        b"\\255",
        b"IN ",
        b"TYPE1 \\# 1 00\n",
    ),
    errors=(ZoneError,),
)
def zone(data: bytes):
    """read_zone raises ZoneError only."""
    return read_zone(text_of(data))


@target(
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b",",
        b":",
        b"null",
        b"1e999",
        b"NaN",
        b'"answers":',
        b'"at":"2026-01-01T00:00:00+00:00"',
        b'"session":{}',
    ),
    *(
        b'{"answers":[{"name":"a.test","type":"TXT","status":"answer","records":["x"]}]}',
        b'"\\ud800"',
        b"-1",
        b"9" * 30,
        b"\xff",
        b"true",
        b'"opinions":{"0":"pass"}',
    ),
    errors=(EvidenceError,),
)
def evidence(data: bytes):
    """read_evidence raises EvidenceError only, and what it read can be written and read again."""
    read, session = read_evidence(data)
    again, same = read_evidence(write_evidence(read, session).encode())
    assert dict(again.answers) == dict(read.answers)
    assert same == session
    return read, session


@target(
    *(
        b"[[identity]]\n",
        b'name = "a"\n',
        b'domains = ["a.test"]\n',
        b'addresses = ["a@a.test"]\n',
        b"always_signs = true\n",
        b"[",
        b"]",
        b"=",
        b'"',
        b"'''",
    ),
    *(
        b"\n",
        b",",
        b"{",
        b"}",
        b"1979-05-27",
        b"nan",
        b"\\u0000",
        "ä".encode(),
        b"\xff",
        b"#",
        b'display_names = ["A"]\n',
        b"a.b.c",
    ),
    errors=(IdentityError,),
)
def identities(data: bytes):
    """parse_identities raises IdentityError only."""
    return parse_identities(text_of(data))


_QUERY = bytes.fromhex("123401000001000000000000") + b"\x07experts\x04test\x00\x00\x10\x00\x01"


@target(
    _QUERY,
    *(
        b"\x12\x34",
        b"\x01\x00",
        b"\x00\x01",
        b"\x00\x00",
        b"\xc0\x0c",
        b"\xff",
        b"\x3f",
        b"\x00\x29",
        b"\x07experts\x04test\x00",
        b"\x00\xfc",
        b"\x00\xfa",
    ),
)
def packet(data: bytes):
    """Respond never raises; an answer bears the question's id and fits the transport."""
    over_udp, over_tcp = respond(ZONE, data), respond(ZONE, data, tcp=True)
    for answer, limit in ((over_udp, 1_232), (over_tcp, 65_535)):
        if answer is not None:
            assert answer[:2] == data[:2]
            assert answer[2] & 0x80
            assert len(answer) <= limit
    return over_udp, over_tcp


_MULTIPART = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n"


@target(
    _MULTIPART,
    *(
        b"--x\r\n",
        b"--x--\r\n",
        b"Content-Type: message/rfc822\r\n\r\n",
        b"Content-Type: ",
        b"boundary=",
        b'"',
        b";",
        b"\r\n",
        b"--",
        b"-",
    ),
    *(
        b"Content-Transfer-Encoding: base64\r\n\r\nRnJvbTogYQ==\r\n",
        b"=3D",
        b"\n",
        b"charset*0*=a''%41;",
        b"filename=a.eml",
        b"\xff",
        b"\0",
        b"From: a@b.test\r\n",
    ),
)
def parts(data: bytes):
    """Walk and attached_messages never raise; every part lies within its message and its parent."""
    read = read_message(data)
    found = walk(read)
    assert found
    for part in found:
        assert 0 <= part.body_start <= part.body_end <= len(data)
    return found, attached_messages(read)


TRACE = (
    b"Return-Path: <a@b.test>\r\nReceived: from b.test ([10.0.0.1]) by c.local with ESMTP id 1; x\r\n"
    b"Received: from a.test (a.test [192.0.2.1]) (using TLS) by mx.test (Postfix) with ESMTPS id 2; x\r\n"
    b"Authentication-Results: mx.test; spf=pass smtp.mailfrom=a@b.test; compauth=pass reason=100\r\n"
    b"X-MS-Exchange-Organization-AuthAs: Internal\r\nX-Forefront-Antispam-Report: CIP:192.0.2.1;SFV:SPM;CAT:PHSH\r\n"
)


@target(
    *(b"\r\nReceived: ", b"from a.test ", b"(a.test [192.0.2.1])", b"([10.0.0.1])", b" by mx.test", b" with ESMTP"),
    *(b" helo=a", b"(HELO a)", b"(", b")", b"\\", b'"', b";", b"[", b"]", b"[IPv6:2001:db8::1]", b"::1", b"%eth0", b"\r\n "),
    *(b"\r\nReturn-Path: <a@b.test>", b"<", b">", b"@", b"\0", b"\xff", b"\r\nAuthentication-Results: ", b"mx.test; "),
    *(b"compauth=pass", b" reason=100", b"\r\nX-Forefront-Antispam-Report: ", b"CIP:192.0.2.1;", b"SFV:SPM;", b"CAT:PHSH;"),
    *(b"\r\nX-MS-Exchange-Organization-AuthAs: ", b"Internal", b"(qmail 1 invoked by uid 1)"),
)  # fmt: skip
def trace(data: bytes):
    """The readers of a saved message's way never raise; a client is a public address, and what is told can be printed."""
    read = read_message(data + b"\r\nFrom: a@b.test\r\n\r\nbody\r\n")
    found = boundary_of(read, ("mx.test",))
    assert found is None or (found.host.endswith("mx.test") and not is_inside(found.client_ip))
    said = microsoft_fields(read)
    assert all((one.words + one.evidence).isprintable() for one in said)
    return found, said, border_results(read, ("mx.test",))


TARGETS = {name: value for name, value in tuple(globals().items()) if isinstance(value, Target)}
SEEDS = {
    "trace": TRACE,
    "message": GENUINE,
    "author_field": b" Defender Experts <defender-experts@experts.test>",
    "author": b"Defender Experts <defender-experts@experts.test>",
    "signature": read_message(GENUINE).named(b"dkim-signature")[0].value,
    "dkim": read_message(GENUINE).named(b"dkim-signature")[0].value,
    "key": KEY.encode(),
    "dmarc": b"v=DMARC1; p=reject; sp=quarantine; np=reject; rua=mailto:a@b.test; adkim=s; t=y; psd=n",
    "dmarc_7489": b"v=DMARC1; p=reject; sp=quarantine; pct=50; rua=mailto:a@b.test; adkim=s; aspf=s; fo=1",
    "spf": b"v=spf1 ip4:192.0.2.0/28 a mx include:%{d2}.test ptr exists:%{ir}.%{v}.test ?all exp=%{o}.test",
    "spf_session": b"some.body+tag@mail.example.test",
    "zone": ZONE_TEXT,
    "evidence": b'{"at": "2026-01-01T00:00:00+00:00", "absent": "nxdomain", "answers": [{"name": "a.test.", "type": '
    b'"TXT", "status": "answer", "records": ["x"], "ttl": 3, "ad": false}], "opinions": {"0": "pass"}, "session": '
    b'{"client_ip": "192.0.2.1", "helo": "a", "mail_from": "", "rcpt_to": ["x@y.test"]}}',
    "identities": b'[[identity]]\nname = "a"\ndomains = ["a.test"]\naddresses = ["a@a.test"]\n'
    b'display_names = ["A B"]\nsigning_domains = [".a.test"]\nalways_signs = true\n',
    "packet": _QUERY + b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00",
    "parts": (SAMPLES / "customer-forwards-suspicious.eml").read_bytes(),
}


@pytest.mark.parametrize("name", TARGETS)
@fuzz(120)
@given(data=st.data())
def test_a_reader_keeps_its_word_on_soup_of_its_grammar(name, data):
    """See the docstring of each target."""
    TARGETS[name].test(data.draw(inputs(TARGETS[name].pieces)))


@pytest.mark.parametrize("name", TARGETS)
@fuzz(60)
@given(data=st.data())
def test_a_reader_keeps_its_word_on_a_sound_input_that_was_changed(name, data):
    """See the docstring of each target."""
    TARGETS[name].test(mutated(SEEDS[name], data.draw(edits(TARGETS[name].pieces))))


@pytest.mark.parametrize("name", TARGETS)
def test_a_reader_takes_linear_time(name):
    """See ``assert_linear``: each piece of the grammar, thousands of times, alone and behind a sound input."""
    for piece in TARGETS[name].pieces:
        assert_linear(TARGETS[name].outcome, piece)
        assert_linear(lambda data, name=name: TARGETS[name].outcome(SEEDS[name] + data), piece)
