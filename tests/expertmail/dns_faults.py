"""Faults to plant in the sound zone, each with all that is to be found of it."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from expertmail.dns_check.certificate import public_key_hash
from expertmail.dns_check.facts import KeyUse, TlsFiles
from outbound.sign import dns_record
from tests.expertmail.dns_zone import (
    AT,
    AUTHORITY,
    ED25519_KEY,
    IPV4,
    IPV6,
    LEAF,
    LEAF_KEY,
    MX,
    OTHER_RSA_KEY,
    POLICY,
    REVERSE4,
    REVERSE6,
    RSA_KEY,
    certificate,
    own_key,
    pem,
    pem_of,
    strings,
    timedelta,
    tls_files,
)

D, R = "experts.test", "reply.experts.test"
KEY = "s1._domainkey.experts.test"
RECORD = dns_record(RSA_KEY)
RUA = "rua=mailto:postmaster@experts.test"


def mx(*records: str, domain: str = D) -> dict[str, list[str]]:
    return {f"{domain}. MX": list(records)}


def spf(*records: str, domain: str = D, **others: list[str]) -> dict[str, list[str]]:
    return {f"{domain}. TXT": [strings(record) for record in records]} | {
        name.replace("__", " "): held for name, held in others.items()
    }


def dkim(*records: str) -> dict[str, list[str]]:
    return {f"{KEY}. TXT": [strings(record) for record in records]}


def dmarc(*records: str, domain: str = D) -> dict[str, list[str]]:
    return {f"_dmarc.{domain}. TXT": [strings(record) for record in records]}


def sts(*records: str) -> dict[str, list[str]]:
    return {f"_mta-sts.{D}. TXT": [strings(record) for record in records]}


def reports(*records: str) -> dict[str, list[str]]:
    return {f"_smtp._tls.{D}. TXT": [strings(record) for record in records]}


def policy(text: str) -> dict[str, Any]:
    return {"policies": {D: text, "": POLICY}}


OWN = f"ip4:{IPV4} ip6:{IPV6}"
ELEVEN = {f"i{n}.test. TXT": ['"v=spf1 -all"'] for n in range(11)}
WEAK_KEY = rsa.generate_private_key(65537, 1024)
GONE = {f"{MX}. A": [], f"{MX}. AAAA": []}

# What is planted: changes of the zone, other facts, and the code and subject of all that is to be found.
PLANTED: dict[str, tuple[dict[str, list[str]], dict[str, Any], set[tuple[str, str]]]] = {
    # MX (RFC 5321 5.1, RFC 2181 10.3, RFC 7505)
    "no MX": (mx(), {}, {("mx-missing", D)}),
    "null MX": (mx("0 ."), {}, {("mx-null", D)}),
    "null MX beside another": (mx("0 .", f"10 {MX}."), {}, {("mx-null-among-others", D)}),
    "MX is a CNAME": (
        {**mx("10 mail.experts.test."), "mail.experts.test. CNAME": [f"{MX}."]},
        {"tls": tls_files(names=(MX, "mail.experts.test"))},
        {("mx-alias", "mail.experts.test"), ("mta-sts-mx", D)},
    ),
    "MX without an address": (
        mx(f"10 {MX}.", "20 mx2.experts.test."),
        policy(POLICY.replace("mx: ", "mx: *.experts.test\nmx: ", 1)),
        {("mx-without-address", "mx2.experts.test")},
    ),
    "MX is an address": (
        mx(f"10 {MX}.", "20 192.0.2.25."),
        policy(POLICY + "mx: 192.0.2.25\n"),
        {("mx-is-address", "192.0.2.25")},
    ),
    "MX of somebody else": (
        {**mx("10 mail.other.test."), "mail.other.test. A": ["192.0.2.99"]},
        policy(POLICY.replace(MX, "mail.other.test")),
        {("mx-elsewhere", D)},
    ),
    "private MX address": (
        {f"{MX}. A": [IPV4, "10.0.0.25"], "25.0.0.10.in-addr.arpa. PTR": [f"{MX}."]},
        {"sending": (IPV4, IPV6)},
        {("host-not-public", MX)},
    ),
    "loopback MX address": (
        {f"{MX}. AAAA": [IPV6, "::1"]},
        {"sending": (IPV4, IPV6)},
        {("host-not-public", MX)},
    ),
    # The host name and its addresses (RFC 5321 2.3.5, RFC 1912 2.1)
    "host name without an address": (
        {**mx("10 in.experts.test."), **mx("10 in.experts.test.", domain=R), "in.experts.test. A": ["192.0.2.9"], **GONE},
        {"tls": None, "policies": {"": POLICY.replace(MX, "in.experts.test").replace("enforce", "testing")}},
        {
            ("mx-elsewhere", D),
            ("mx-elsewhere", R),
            ("host-without-address", MX),
            ("certificate-missing", MX),
            ("mta-sts-testing", D),
            ("mta-sts-testing", R),
        },
    ),
    "sending address without a name": ({f"{REVERSE4}. PTR": []}, {}, {("ptr-missing", IPV4)}),
    "IPv6 address without a name": ({f"{REVERSE6}. PTR": []}, {}, {("ptr-missing", IPV6)}),
    "name that does not lead back": (
        {f"{REVERSE4}. PTR": ["host25.isp.test."], "host25.isp.test. A": ["192.0.2.26"]},
        {},
        {("ptr-not-confirmed", IPV4)},
    ),
    "name that does not exist": (
        {f"{REVERSE4}. PTR": ["nowhere.test."]},
        {},
        {("ptr-not-confirmed", IPV4)},
    ),
    "name other than HELO": (
        {f"{REVERSE4}. PTR": ["host25.isp.test."], "host25.isp.test. A": [IPV4]},
        {},
        {("ptr-other-name", IPV4)},
    ),
    "sending from another address than HELO's": (
        {"26.2.0.192.in-addr.arpa. PTR": ["out.experts.test."], "out.experts.test. A": ["192.0.2.26"]},
        {"sending": ("192.0.2.26",)},
        {
            ("helo-other-address", "192.0.2.26"),
            ("ptr-other-name", "192.0.2.26"),
            ("spf-address", D),
            ("spf-address", R),
            ("spf-helo", MX),
        },
    ),
    "host name is a CNAME": (
        {
            **mx("10 in.experts.test."),
            **mx("10 in.experts.test.", domain=R),
            "in.experts.test. A": [IPV4],
            "in.experts.test. AAAA": [IPV6],
            **GONE,
            f"{MX}. TXT": [],
            f"{MX}. CNAME": ["in.experts.test."],
        },
        {"tls": tls_files(names=("in.experts.test",)), "policies": {"": POLICY.replace(MX, "in.experts.test")}},
        {("host-alias", MX)},
    ),
    "domain that does not exist": (
        {},
        {"domains": (D, "gone.test")},
        {
            ("domain-missing", "gone.test"),
            ("dmarc-missing", "gone.test"),
            ("mta-sts-missing", "gone.test"),
            ("tls-rpt-missing", "gone.test"),
        },
    ),
    "smarthost": ({}, {"smarthost": "smart.test"}, {("sending-unknown", "smart.test")}),
    # SPF (RFC 7208)
    "no SPF": (spf("something"), {}, {("spf-missing", D)}),
    "two SPF records": (spf("v=spf1 mx -all", f"v=spf1 {OWN} ~all"), {}, {("spf-several", D)}),
    "SPF in quotes": (spf('"v=spf1 mx -all"'), {}, {("spf-no-version", D)}),
    "SPF version followed by a comma": (spf("v=spf1, mx -all"), {}, {("spf-no-version", D)}),
    "SPF of another version": (spf("v=spf2 mx -all"), {}, {("spf-no-version", D)}),
    "SPF unknown mechanism": (spf("v=spf1 mxx -all"), {}, {("spf-syntax", D)}),
    "SPF bad network": (spf("v=spf1 ip4:192.0.2.256 mx -all"), {}, {("spf-syntax", D)}),
    "SPF bad prefix length": (spf("v=spf1 ip4:192.0.2.0/33 mx -all"), {}, {("spf-syntax", D)}),
    "SPF ip4 as a modifier": (spf("v=spf1 ip4=192.0.2.25 mx -all"), {}, {("spf-syntax", D)}),
    "SPF include without a domain": (spf("v=spf1 mx include: -all"), {}, {("spf-syntax", D)}),
    "SPF two redirects": (spf("v=spf1 mx redirect=a.test redirect=b.test -all"), {}, {("spf-syntax", D), ("spf-after-all", D)}),
    "SPF with a tab": (spf("v=spf1 mx\t-all"), {}, {("spf-syntax", D)}),
    "SPF eleven lookups": (
        {**spf(f"v=spf1 {OWN} {' '.join(f'include:i{n}.test' for n in range(11))} -all"), **ELEVEN},
        {},
        {("spf-lookups", D)},
    ),
    "SPF eleven lookups, nested": (
        {
            **ELEVEN,
            **spf(f"v=spf1 {OWN} include:i0.test -all"),
            "i0.test. TXT": [f'"v=spf1 {" ".join(f"include:i{n}.test" for n in range(1, 11))} -all"'],
        },
        {},
        {("spf-lookups", D)},
    ),
    "SPF that includes itself": (spf(f"v=spf1 {OWN} include:{D} -all"), {}, {("spf-lookups", D)}),
    "SPF three void lookups": (
        spf(f"v=spf1 a:x.test a:y.test mx:z.test {OWN} -all"),
        {},
        {("spf-void-lookups", D)},
    ),
    "SPF one void lookup": (spf(f"v=spf1 {OWN} a:x.test -all"), {}, {("spf-void", D)}),
    "SPF include without a record": (
        {**spf(f"v=spf1 {OWN} include:x.test -all"), "x.test. TXT": ['"nothing"']},
        {},
        {("spf-include", D)},
    ),
    "SPF include of a broken record": (
        {**spf(f"v=spf1 {OWN} include:x.test -all"), "x.test. TXT": ['"v=spf1 ip4:x -all"']},
        {},
        {("spf-include", D)},
    ),
    "SPF redirect to nothing": (
        {**spf(f"v=spf1 {OWN} redirect=x.test"), "x.test. TXT": ['"nothing"']},
        {},
        {("spf-include", D)},
    ),
    "SPF with eleven MX names": (
        {**spf(f"v=spf1 {OWN} mx:x.test -all"), "x.test. MX": [f"{n} m{n}.x.test." for n in range(11)]},
        {},
        {("spf-mx-names", D)},
    ),
    "SPF +all": (spf("v=spf1 mx +all"), {}, {("spf-open", D)}),
    "SPF all": (spf("v=spf1 all"), {}, {("spf-open", D)}),
    "SPF ?all": (spf("v=spf1 mx ?all"), {}, {("spf-neutral", D)}),
    "SPF without an end": (spf("v=spf1 mx"), {}, {("spf-neutral", D)}),
    "SPF terms after all": (spf("v=spf1 mx -all a:x.test"), {}, {("spf-after-all", D), ("spf-void", D)}),
    "SPF ptr": (spf("v=spf1 mx ptr -all"), {}, {("spf-ptr", D)}),
    "SPF long": (spf(f"v=spf1 {OWN} {' '.join(f'ip4:198.51.100.{n}' for n in range(30))} -all"), {}, {("spf-long", D)}),
    "SPF without our address": (spf("v=spf1 ip4:192.0.2.99 -all", domain=R), {}, {("spf-address", R)}),
    "SPF without our IPv6 address": (spf(f"v=spf1 ip4:{IPV4} -all", domain=R), {}, {("spf-address", R)}),
    "SPF of the sender's domain refuses us": (spf("v=spf1 -all"), {}, {("spf-address", D)}),
    "SPF of HELO refuses us": ({f"{MX}. TXT": ['"v=spf1 -all"']}, {}, {("spf-helo", MX)}),
    "no SPF of HELO": ({f"{MX}. TXT": []}, {}, {("spf-helo-missing", MX)}),
    # DKIM (RFC 6376 3.6.1)
    "no key record": (dkim(), {}, {("dkim-missing", KEY)}),
    "two key records": (dkim(RECORD, dns_record(OTHER_RSA_KEY)), {}, {("dkim-several", KEY)}),
    "another key": (dkim(dns_record(OTHER_RSA_KEY)), {}, {("dkim-other-key", KEY)}),
    "revoked key": (dkim("v=DKIM1; k=rsa; p="), {}, {("dkim-revoked", KEY)}),
    "testing key": (dkim(RECORD + "; t=y"), {}, {("dkim-testing", KEY)}),
    "key of another type": (dkim(dns_record(ED25519_KEY)), {}, {("dkim-type", KEY)}),
    "key of an unknown type": (dkim("v=DKIM1; k=dsa; p=AAAA"), {}, {("dkim-type", KEY)}),
    "key for SHA-1": (dkim(RECORD + "; h=sha1"), {}, {("dkim-restricted", KEY)}),
    "key for another service": (dkim(RECORD + "; s=tlsrpt"), {}, {("dkim-restricted", KEY)}),
    "key with backslashes": (dkim(RECORD.replace(";", "\\;")), {}, {("dkim-syntax", KEY)}),
    "key cut off": (dkim(RECORD[:200]), {}, {("dkim-syntax", KEY)}),
    "next key not published": (
        {},
        {"keys": (own_key("s1", RSA_KEY), own_key("s2", OTHER_RSA_KEY, KeyUse.NEXT))},
        {("dkim-missing", "s2._domainkey.experts.test")},
    ),
    "earlier key replaced": (
        {"s0._domainkey.experts.test. TXT": [strings(RECORD)]},
        {"keys": (own_key("s1", RSA_KEY), own_key("s0", OTHER_RSA_KEY, KeyUse.PREVIOUS))},
        {("dkim-previous", "s0._domainkey.experts.test")},
    ),
    "no private key": ({}, {"keys": ()}, {("dkim-no-key", KEY)}),
    "private key of no use": (
        {},
        {"keys": (), "unusable_keys": (("s1", "The DKIM key s1.pem may be read by others."),)},
        {("dkim-no-key", KEY)},
    ),
    "short private key": ({}, {"keys": (own_key("s1", RSA_KEY, bits=1024),)}, {("dkim-short-key", KEY)}),
    # DMARC (RFC 9989)
    "no DMARC": (dmarc(), {}, {("dmarc-missing", D), ("dmarc-missing", R)}),
    "two DMARC records": (dmarc(f"v=DMARC1; p=reject; {RUA}", "v=DMARC1; p=none"), {}, {("dmarc-several", D), ("dmarc-missing", R)}),
    "DMARC in lower case": (dmarc(f"v=dmarc1; p=reject; {RUA}"), {}, {("dmarc-no-version", D), ("dmarc-missing", R)}),
    "DMARC without a semicolon": (dmarc("v=DMARC1 p=reject"), {}, {("dmarc-no-version", D), ("dmarc-missing", R)}),
    "DMARC tag twice": (dmarc(f"v=DMARC1; p=reject; p=none; {RUA}"), {}, {("dmarc-syntax", D), ("dmarc-missing", R)}),
    "DMARC scraps": (dmarc(f"v=DMARC1; p=reject; {RUA}; and more"), {}, {("dmarc-syntax", D)}),
    "DMARC wrong policy": (dmarc(f"v=DMARC1; p=refuse; {RUA}"), {}, {("dmarc-policy", D)}),
    "DMARC without a policy": (dmarc(f"v=DMARC1; {RUA}"), {}, {("dmarc-policy", D)}),
    "DMARC wrong sp": (dmarc(f"v=DMARC1; p=reject; sp=all; {RUA}"), {}, {("dmarc-policy", D)}),
    "DMARC none": (dmarc(f"v=DMARC1; p=none; {RUA}"), {}, {("dmarc-none", D)}),
    "DMARC quarantine under test": (dmarc(f"v=DMARC1; p=quarantine; t=y; {RUA}"), {}, {("dmarc-none", D)}),
    "DMARC reject under test": (dmarc(f"v=DMARC1; p=reject; t=y; {RUA}"), {}, {("dmarc-testing", D)}),
    "DMARC sp=none": (dmarc(f"v=DMARC1; p=reject; sp=none; {RUA}"), {}, {("dmarc-subdomains", D)}),
    "DMARC np=none": (dmarc(f"v=DMARC1; p=reject; np=none; {RUA}"), {}, {("dmarc-subdomains", D)}),
    "DMARC psd=y": (dmarc(f"v=DMARC1; p=reject; psd=y; {RUA}"), {}, {("dmarc-psd", D), ("dmarc-spf-alignment", R)}),
    "DMARC pct": (dmarc(f"v=DMARC1; p=reject; pct=50; {RUA}"), {}, {("dmarc-obsolete", D)}),
    "DMARC wrong adkim": (dmarc(f"v=DMARC1; p=reject; adkim=strict; {RUA}"), {}, {("dmarc-value", D)}),
    "DMARC unknown tag": (dmarc(f"v=DMARC1; p=reject; policy=x; {RUA}"), {}, {("dmarc-unknown-tag", D)}),
    "DMARC without reports": (dmarc("v=DMARC1; p=reject"), {}, {("dmarc-no-reports", D)}),
    "DMARC bare address": (dmarc("v=DMARC1; p=reject; rua=me@experts.test"), {}, {("dmarc-rua", D)}),
    "DMARC mailto without an address": (dmarc("v=DMARC1; p=reject; rua=mailto:me"), {}, {("dmarc-rua", D)}),
    "DMARC reports to others": (dmarc("v=DMARC1; p=reject; rua=mailto:a@reports.test"), {}, {("dmarc-report-refused", D)}),
    "DMARC strict SPF": (dmarc(f"v=DMARC1; p=reject; aspf=s; {RUA}"), {}, {("dmarc-spf-alignment", R)}),
    # MTA-STS (RFC 8461), TLS-RPT (RFC 8460)
    "no MTA-STS": (sts(), {}, {("mta-sts-missing", D)}),
    "two MTA-STS records": (sts("v=STSv1; id=1", "v=STSv1; id=2"), {}, {("mta-sts-several", D)}),
    "MTA-STS without id": (sts("v=STSv1; mode=enforce"), {}, {("mta-sts-syntax", D)}),
    "MTA-STS id with hyphens": (sts("v=STSv1; id=2026-11-25"), {}, {("mta-sts-syntax", D)}),
    "MTA-STS of another version": (sts("STSv1; id=1"), {}, {("mta-sts-syntax", D)}),
    "MTA-STS host missing": ({f"mta-sts.{D}. A": []}, {}, {("mta-sts-host", D)}),
    "MTA-STS policy not given": ({}, {"policies": {}}, {("mta-sts-no-policy", D), ("mta-sts-no-policy", R)}),
    "MTA-STS policy for others": ({}, policy(POLICY.replace(MX, "mx.other.test")), {("mta-sts-mx", D)}),
    "MTA-STS wildcard two labels deep": ({}, policy(POLICY.replace(MX, "*.test")), {("mta-sts-mx", D)}),
    "MTA-STS leftover pattern": ({}, policy(POLICY + "mx: old.experts.test\n"), {("mta-sts-unused-mx", D)}),
    "MTA-STS testing": ({}, policy(POLICY.replace("enforce", "testing")), {("mta-sts-testing", D)}),
    "MTA-STS off": ({}, policy("version: STSv1\nmode: none\nmax_age: 86400\n"), {("mta-sts-off", D)}),
    "MTA-STS short": ({}, policy(POLICY.replace("1209600", "3600")), {("mta-sts-age", D)}),
    "MTA-STS age of two years": ({}, policy(POLICY.replace("1209600", "63072000")), {("mta-sts-policy-syntax", D)}),
    "MTA-STS wrong mode": ({}, policy(POLICY.replace("enforce", "strict")), {("mta-sts-policy-syntax", D)}),
    "MTA-STS web page": ({}, policy("<!DOCTYPE html>\n<html>"), {("mta-sts-policy-syntax", D)}),
    "no TLS-RPT": (reports(), {}, {("tls-rpt-missing", D)}),
    "two TLS-RPT records": (reports("v=TLSRPTv1; rua=mailto:a@b.test", "v=TLSRPTv1; rua=mailto:c@b.test"), {}, {("tls-rpt-several", D)}),
    "TLS-RPT without rua": (reports("v=TLSRPTv1;"), {}, {("tls-rpt-syntax", D)}),
    "TLS-RPT bare address": (reports("v=TLSRPTv1; rua=a@b.test"), {}, {("tls-rpt-syntax", D)}),
    "TLS-RPT over HTTP": (reports("v=TLSRPTv1; rua=http://b.test/"), {}, {("tls-rpt-syntax", D)}),
    "TLS-RPT without a semicolon": (reports("v=TLSRPTv1 rua=mailto:a@b.test"), {}, {("tls-rpt-syntax", D)}),
    # The certificate (RFC 5280, RFC 9525), TLSA (RFC 7672), CAA (RFC 8659)
    "no certificate": ({}, {"tls": None, "policies": {"": POLICY.replace("enforce", "testing")}}, {("certificate-missing", MX), ("mta-sts-testing", D), ("mta-sts-testing", R)}),
    "no certificate under MTA-STS": ({}, {"tls": None}, {("mta-sts-certificate", MX)}),
    "certificate unreadable": ({}, {"tls": TlsFiles("c", "k", None, b"")}, {("certificate-unreadable", MX)}),
    "certificate is no PEM": ({}, {"tls": tls_files(b"\x30\x82")}, {("certificate-unreadable", MX)}),
    "key unreadable": ({}, {"tls": tls_files(key=b"no key")}, {("certificate-unreadable", MX)}),
    "key of another certificate": ({}, {"tls": tls_files(key=pem_of(ec.generate_private_key(ec.SECP256R1())))}, {("certificate-key", MX)}),
    "certificate expired": ({}, {"tls": tls_files(ends=AT - timedelta(days=1))}, {("certificate-expired", MX)}),
    "certificate not valid yet": ({}, {"tls": tls_files(begins=AT + timedelta(days=1))}, {("certificate-not-yet", MX)}),
    "certificate expires in 20 days": ({}, {"tls": tls_files(ends=AT + timedelta(days=20))}, {("certificate-expires", MX)}),
    "certificate of another name": ({}, {"tls": tls_files(names=("www.experts.test",))}, {("certificate-name", MX)}),
    "certificate without names": ({}, {"tls": tls_files(names=())}, {("certificate-name", MX)}),
    "wildcard two labels deep": ({}, {"tls": tls_files(names=("*.test",))}, {("certificate-name", MX)}),
    "chain upside down": ({}, {"tls": tls_files(pem(LEAF, AUTHORITY.root, AUTHORITY.intermediate))}, {("certificate-order", MX)}),
    "certificate alone": ({}, {"tls": tls_files(pem(LEAF))}, {("certificate-alone", MX)}),
    "self-signed under MTA-STS": (
        {},
        {"tls": tls_files(pem(certificate("mx", LEAF_KEY, "mx", LEAF_KEY, names=(MX,))))},
        {("mta-sts-certificate", MX)},
    ),
    "self-signed": (
        {},
        {
            "tls": tls_files(pem(certificate("mx", LEAF_KEY, "mx", LEAF_KEY, names=(MX,)))),
            "policies": {"": POLICY.replace("enforce", "testing")},
        },
        {("certificate-self-signed", MX), ("mta-sts-testing", D), ("mta-sts-testing", R)},
    ),
    "weak certificate key": (
        {},
        {"tls": tls_files(pem(AUTHORITY.issue(WEAK_KEY, names=(MX,)), AUTHORITY.intermediate), pem_of(WEAK_KEY))},
        {("certificate-weak", MX)},
    ),
    "TLSA of an earlier key": ({f"_25._tcp.{MX}. TLSA": [f"3 1 1 {'ab' * 32}"]}, {}, {("tlsa-mismatch", f"_25._tcp.{MX}")}),
    "TLSA that nobody signed": (
        {f"_25._tcp.{MX}. TLSA": [f"3 1 1 {public_key_hash(LEAF)}", f"3 1 1 {'ab' * 32}"]},
        {},
        {("tlsa-unsigned", f"_25._tcp.{MX}")},
    ),
    "TLSA for web servers": ({f"_25._tcp.{MX}. TLSA": [f"1 1 1 {'ab' * 32}"]}, {}, {("tlsa-unusable", f"_25._tcp.{MX}")}),
    "TLSA without a certificate": (
        {f"_25._tcp.{MX}. TLSA": [f"3 1 1 {'ab' * 32}"]},
        {"tls": None},
        {("tlsa-without-tls", f"_25._tcp.{MX}"), ("mta-sts-certificate", MX)},
    ),
    "CAA that forbids all": ({"experts.test. CAA": ['0 issue ";"']}, {}, {("caa-forbids", D)}),
}  # fmt: skip
