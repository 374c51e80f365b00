"""DMARC policies of the operated domains (RFC 9989): one record, valid, and one that refuses forgeries."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from expertmail.dns_check.codes import Area, Code
from expertmail.dns_check.dmarc_reports import check_destinations, invalid_uris
from expertmail.dns_check.facts import Operated
from expertmail.dns_check.finding import Finding, Findings, Published, finding, fine, quoted, shown, unchecked
from verifier.dmarc_record import DmarcRecord, Policy, parse, policy_of, tags_of
from verifier.dmarc_walk import Walk, walk, walk_questions
from verifier.evidence import NOTHING, Check, Question, ask, together

_NEARLY: Final = re.compile(r"[\s\"']*v?\s*=?\s*dmarc", re.IGNORECASE)
_POLICIES: Final = frozenset({"none", "quarantine", "reject"})
_KNOWN: Final = frozenset({"v", "p", "sp", "np", "adkim", "aspf", "t", "psd", "fo", "rua", "ruf"})
_OBSOLETE: Final = frozenset({"pct", "rf", "ri"})  # RFC 9989 C: historic
_VALUES: Final = {
    "adkim": re.compile(r"[rs]\Z", re.IGNORECASE),
    "aspf": re.compile(r"[rs]\Z", re.IGNORECASE),
    "t": re.compile(r"[yn]\Z", re.IGNORECASE),
    "psd": re.compile(r"[ynu]\Z", re.IGNORECASE),
    "fo": re.compile(r"[01ds](?:\s*:\s*[01ds])*\Z", re.IGNORECASE),
}


def check_policies(operated: Operated) -> Check[Findings]:
    """Check every domain's policy, and how our own mail aligns with the sender's domain."""
    yield NOTHING
    parts = yield from together(
        [
            *(_check_domain(operated, domain) for domain in operated.all_domains),
            _check_alignment(operated),
        ]
    )
    return tuple(one for findings in parts for one in findings)


def _check_domain(operated: Operated, domain: str) -> Check[Findings]:
    questions = walk_questions(domain)
    own = Question.of(f"_dmarc.{domain}", "TXT")
    evidence = yield NOTHING
    evidence = yield from ask(evidence, questions)
    answer = evidence.get(own)
    if answer is None or answer.temporary:
        return (unchecked(Area.DMARC, domain, (own,)),)
    texts = [text for text in answer.records if tags_of(text) is not None]
    name = f"_dmarc.{domain}"
    if len(texts) > 1:
        text = f"{len(texts)} DMARC records: {quoted(texts)}"
        return (finding(Code.DMARC_SEVERAL, domain, text, (_right(domain, texts[0]),)),)
    if not texts:
        meant = next((text for text in answer.records if _NEARLY.match(text)), None)
        right = (_right(domain, ""),)
        if meant is not None:
            return (finding(Code.DMARC_NO_VERSION, domain, f"{name}: {shown(meant)}", right),)
        return (_inherited(operated, domain, walk(domain, evidence), right),)
    reports = yield from check_destinations(domain, tags_of(texts[0]) or {})
    findings = (*_of_record(domain, texts[0]), *reports)
    return findings or (fine(Area.DMARC, domain, shown(texts[0])),)


def _inherited(operated: Operated, domain: str, walked: Walk, right: tuple[Published, ...]) -> Finding:
    """A domain without a record of its own goes by its organisation's (RFC 9989 4.10.1)."""
    record, source = walked.at(walked.organisation), walked.organisation
    if record is None and walked.suffix is not None:
        source, record = walked.suffix
    if walked.failed:
        return unchecked(Area.DMARC, domain, (Question.of(f"_dmarc.{name}", "TXT") for name in walked.failed))
    if record is None or record.p is None:
        return finding(Code.DMARC_MISSING, domain, "no DMARC record, here or above", right)
    policy = record.applying(inherited=True, exists=True)
    text = f"the record of {source} applies: {policy}"
    if policy is Policy.NONE and source not in operated.all_domains:  # else it is told there
        return finding(Code.DMARC_NONE, domain, text, right)
    return fine(Area.DMARC, domain, text)


def _of_record(domain: str, text: str) -> list[Finding]:
    """What is wrong with the one record of a domain."""
    tags, record = tags_of(text) or {}, parse(text)
    right = (_right(domain, text),)
    if not tags or record is None or _has_scraps(text):
        return [finding(Code.DMARC_SYNTAX, domain, shown(text), right)]
    found: list[Finding] = []
    wrong = [f"{n}={shown(tags[n])}" for n in ("p", "sp", "np") if n in tags and policy_of(tags, n) is None]
    if "p" not in tags or wrong:
        said = ", ".join(wrong) if wrong else "no p="
        found.append(finding(Code.DMARC_POLICY, domain, f"{said} in: {shown(text)}", right))
    else:
        found += _of_policy(domain, text, record, right)
    if record.psd == "y":
        found.append(finding(Code.DMARC_PSD, domain, shown(text), right))
    codes = (
        (Code.DMARC_OBSOLETE, _OBSOLETE & tags.keys()),
        (Code.DMARC_UNKNOWN_TAG, tags.keys() - _KNOWN - _OBSOLETE),
    )
    for code, names in codes:
        if names:
            said = ", ".join(f"{shown(n)}={shown(tags[n])}" for n in sorted(names))
            found.append(finding(code, domain, said, right))
    odd = [f"{n}={shown(tags[n])}" for n, form in _VALUES.items() if n in tags and not form.match(tags[n])]
    if odd:
        found.append(finding(Code.DMARC_VALUE, domain, ", ".join(odd), right))
    bad = invalid_uris(tags)
    if bad:
        found.append(finding(Code.DMARC_RUA, domain, ", ".join(map(shown, bad)), right))
    elif not tags.get("rua"):
        found.append(finding(Code.DMARC_NO_REPORTS, domain, f"no rua= in: {shown(text)}", right))
    return found


def _of_policy(domain: str, text: str, record: DmarcRecord, right: tuple[Published, ...]) -> list[Finding]:
    if record.applying(inherited=False, exists=True) is Policy.NONE:
        return [finding(Code.DMARC_NONE, domain, shown(text), right)]
    if Policy.NONE in {record.sp, record.np}:
        return [finding(Code.DMARC_SUBDOMAINS, domain, shown(text), right)]
    if record.testing:
        return [finding(Code.DMARC_TESTING, domain, shown(text), right)]
    return []


def _has_scraps(text: str) -> bool:
    """Whether something between the semicolons is no tag."""
    parts = text.split(";")
    return any("=" not in part for part in parts if part.strip(" \t")) or not text.isascii()


def _right(domain: str, text: str, without: Collection[str] = ()) -> Published:
    """The record to publish: what is valid in the present one kept, the policy made one that refuses."""
    tags = {name: value for name, value in (tags_of(text) or {}).items() if name not in without}
    kept = {"v": "DMARC1", "p": "reject"}
    stated = tags.get("p", "").lower()
    if stated in _POLICIES - {"none"}:
        kept["p"] = stated
    for name in ("sp", "np"):
        if tags.get(name, "").lower() in _POLICIES - {"none"}:
            kept[name] = tags[name].lower()
    for name, form in _VALUES.items():
        if (
            name in tags
            and form.match(tags[name])
            and (name, tags[name].lower()) not in {("psd", "y"), ("t", "y")}
        ):
            kept[name] = tags[name]
    for name in ("rua", "ruf"):
        bad = invalid_uris(tags, (name,))
        good = [
            uri.strip()
            for uri in tags.get(name, "").split(",")
            if uri.strip() and uri.strip(" \t") not in bad
        ]
        if good:
            kept[name] = ",".join(good)
    # postmaster exists in every operated domain.
    kept.setdefault("rua", f"mailto:postmaster@{domain}")
    return Published(f"_dmarc.{domain}", "TXT", "; ".join(f"{name}={value}" for name, value in kept.items()))


def _check_alignment(operated: Operated) -> Check[Findings]:
    """Our From and d= are the sender's domain, so DKIM aligns; the return path is in the reply domain."""
    sender, reply = operated.sender_domain, operated.reply_domain
    evidence = yield NOTHING
    evidence = yield from ask(evidence, (*walk_questions(sender), *walk_questions(reply)))
    ours, theirs = walk(sender, evidence), walk(reply, evidence)
    failed = [Question.of(f"_dmarc.{name}", "TXT") for name in (*ours.failed, *theirs.failed)]
    if failed:
        return (unchecked(Area.DMARC, reply, failed),)
    record = ours.at(ours.start) or ours.at(ours.organisation)
    if record is None:
        return ()  # told already: no policy
    right: tuple[Published, ...] = ()
    if record.strict_spf and sender != reply:
        held = evidence.get(Question.of(f"_dmarc.{sender}", "TXT"))
        texts = [text for text in (held.records if held else ()) if tags_of(text)]
        right = (_right(sender, texts[0], without=("aspf",)),) if texts else ()
        text = f"aspf=s, and the return path is in {reply}, not {sender}"
    elif ours.organisation != theirs.organisation:
        text = f"{reply} belongs to {theirs.organisation}, and {sender} to {ours.organisation}"
    else:
        return ()
    return (finding(Code.DMARC_SPF_ALIGNMENT, reply, text, right),)
