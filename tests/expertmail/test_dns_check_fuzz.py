"""Whatever a record holds, the check ends, tells it in printable text, and calls nothing right that does not work."""

from __future__ import annotations

from time import process_time

from hypothesis import given, settings
from hypothesis import strategies as st

from expertmail.dns_check.check import check_all
from expertmail.dns_check.codes import Area, Severity
from expertmail.dns_check.facts import PROOF_DIGEST
from expertmail.dns_check.finding import Findings
from expertmail.dns_check.mta_sts_policy import Policy, read_policy
from expertmail.dns_check.view import zone_lines
from tests.expertmail.dns_zone import IPV4, MX, OPERATED, POLICY, Answers, replace, zone_text
from verifier.dkim_key import usable_keys
from verifier.dmarc_record import Policy as Requested
from verifier.dmarc_record import parse
from verifier.evidence import Absent, Answer, AnswerStatus, Evidence, Question, Session, conclude
from verifier.report import AuthResult
from verifier.spf import check_spf
from verifier.zone import read_zone

D, R = "experts.test", "reply.experts.test"
ZONE = read_zone(zone_text())
NAMES = {
    "SPF": f"{R}.",
    "DMARC": f"_dmarc.{D}.",
    "DKIM": f"s1._domainkey.{D}.",
    "MTA-STS": f"_mta-sts.{D}.",
    "TLS-RPT": f"_smtp._tls.{D}.",
}
PIECES = st.sampled_from(
    ["v=spf1", " ", ";", "=", "p=", "none", "t=y", "sp=", "np=none", "all", "+all", "?", "include:", "%{i}", "mx", "\x1b[2J", "\udcff",
     "rua=", "mailto:", "@", ",", "id=", "\\", '"', "\t", "\r\n", "é", "0", "A", "/", "//", "redirect=", "psd=y", "a" * 300]
)  # fmt: skip


class Altered(Answers):
    """The sound zone, where one name has other TXT records."""

    def __init__(self, name: str, texts: tuple[str, ...]) -> None:
        super().__init__(ZONE)
        self.name, self.texts = name, texts

    def __getitem__(self, question: Question) -> Answer:
        if question == (self.name, "TXT"):
            return Answer(AnswerStatus.ANSWER, self.texts, 300)
        return super().__getitem__(question)


@st.composite
def altered(draw: st.DrawFn, text: str) -> str:
    """A text with a few pieces put in, cut out or put in place of others."""
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(text)))
        until = min(len(text), at + draw(st.integers(0, 6)))
        text = text[:at] + draw(PIECES) + text[until:]
    return text


def checked(kind: str, texts: tuple[str, ...]) -> tuple[Findings, Evidence]:
    evidence = Evidence(Altered(NAMES[kind], texts), absent=Absent.NXDOMAIN)
    found = conclude(check_all(OPERATED), evidence)
    for one in found:
        assert (one.found + one.subject).isprintable()
        assert all(line.isprintable() for line in zone_lines(one.publish))
    return found, evidence


def is_faulty(found: Findings, area: Area) -> bool:
    return any(one.area is area and one.severity is Severity.FAULT for one in found)


def present(kind: str) -> str:
    return ZONE.sets[NAMES[kind]]["TXT"].records[0]


@settings(max_examples=150, deadline=None)
@given(altered(present("SPF")))
def test_an_spf_record_that_is_called_right_lets_our_mail_pass(text: str) -> None:
    found, evidence = checked("SPF", (text,))
    if not is_faulty(found, Area.SPF):
        session = Session(IPV4, MX, f"a@{R}")
        assert conclude(check_spf(session, MX, OPERATED.at), evidence).result is AuthResult.PASS
        stranger = Session("203.0.113.99", MX, f"a@{R}")
        result = conclude(check_spf(stranger, MX, OPERATED.at), evidence).result
        assert result in {AuthResult.FAIL, AuthResult.SOFTFAIL}


@settings(max_examples=150, deadline=None)
@given(altered(present("DMARC")))
def test_a_policy_that_is_called_right_refuses_forgeries(text: str) -> None:
    found, _ = checked("DMARC", (text,))
    if not is_faulty(found, Area.DMARC):
        record = parse(text)
        assert record is not None
        for inherited, exists in ((False, True), (True, True), (True, False)):
            assert record.applying(inherited=inherited, exists=exists) is not Requested.NONE


@settings(max_examples=150, deadline=None)
@given(altered(present("DKIM")))
def test_a_key_record_that_is_called_right_verifies_what_we_sign(text: str) -> None:
    found, evidence = checked("DKIM", (text,))
    if not is_faulty(found, Area.DKIM):
        keys = usable_keys(evidence.get(Question(NAMES["DKIM"], "TXT")), "rsa", same_domain=True)
        assert [key.testing for key in keys] == [False]
        assert keys[0].verifies(OPERATED.keys[0].proof, PROOF_DIGEST)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(NAMES)), st.lists(st.one_of(st.text(max_size=40), PIECES), max_size=6))
def test_no_set_of_records_breaks_the_check(kind: str, texts: list[str]) -> None:
    checked(kind, tuple(texts))


@settings(max_examples=300, deadline=None)
@given(altered(POLICY))
def test_a_policy_file_is_read_or_told_in_printable_text(text: str) -> None:
    read = read_policy(text)
    if isinstance(read, Policy):
        assert read.mode in {"enforce", "testing", "none"}
        assert all(pattern.isascii() and pattern.isprintable() for pattern in read.mx)
    else:
        assert read.isprintable()
    changed = replace(OPERATED, policies={"": text})
    found = conclude(check_all(changed), Evidence(Answers(ZONE), absent=Absent.NXDOMAIN))
    if not is_faulty(found, Area.MTA_STS):
        assert isinstance(read, Policy)
        assert read.mode == "none" or read.allows(MX)


def test_a_large_record_of_any_kind_takes_little_time() -> None:
    slow = {}
    for kind in NAMES:
        whole = present(kind)
        for piece in (
            " ",
            "\t",
            "a",
            ";",
            "=",
            "a=b;",
            "mailto:a@b.test,",
            "%{i}",
            "a:b.test ",
            "ip4:",
            "9",
            ".a",
            "-",
        ):
            started = process_time()
            checked(kind, (whole + piece * (60_000 // len(piece)) + "!",))
            slow[kind, piece] = process_time() - started
    worst = max(slow, key=lambda key: slow[key])
    assert slow[worst] < 2.0, (worst, slow[worst])
