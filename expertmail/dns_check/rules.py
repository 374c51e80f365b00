"""What each code of ``dns check`` means: how grave it is, why it matters, and the RFC section. A table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from expertmail.dns_check.codes import Area, Code, Severity


class Rule(NamedTuple):
    """What a code means."""

    severity: Severity
    area: Area
    why: str
    rfc: str


_F, _A = Severity.FAULT, Severity.ADVICE
_SPF_VOIDS = "Receivers call the whole record a permanent error, as if the domain had none that can be used."

RULES: Final[Mapping[Code, Rule]] = MappingProxyType(
    {
        Code.UNCHECKED: Rule(
            Severity.UNCHECKED,
            Area.DNS,
            "A temporary error says nothing about the records; check again later.",
            "RFC 2308 7",
        ),
        Code.DOMAIN_MISSING: Rule(
            _F,
            Area.MX,
            "Nobody can write to a domain that does not exist, and mail from it is refused.",
            "RFC 5321 2.3.5",
        ),
        Code.MX_MISSING: Rule(
            _F,
            Area.MX,
            "Without an MX record servers try the domain's own address, if it has any, and not us.",
            "RFC 5321 5.1",
        ),
        Code.MX_NULL: Rule(
            _F,
            Area.MX,
            "A null MX says that the domain takes no mail: every sender gives up at once.",
            "RFC 7505 3",
        ),
        Code.MX_NULL_AMONG_OTHERS: Rule(
            _F,
            Area.MX,
            "A null MX has to be alone; beside others servers differ in what they make of it.",
            "RFC 7505 3",
        ),
        Code.MX_IS_ADDRESS: Rule(
            _F,
            Area.MX,
            "An MX record names a host; an address in its place is a name that does not exist.",
            "RFC 1035 3.3.9",
        ),
        Code.MX_ALIAS: Rule(
            _F,
            Area.MX,
            "An MX record must not lead to a CNAME: some servers refuse to deliver there.",
            "RFC 2181 10.3",
        ),
        Code.MX_WITHOUT_ADDRESS: Rule(
            _F, Area.MX, "Mail cannot be delivered to a host without an address.", "RFC 5321 5.1"
        ),
        Code.MX_ELSEWHERE: Rule(
            _A,
            Area.MX,
            "Another host takes the domain's mail; that is right only if it passes the mail on to this gateway.",
            "RFC 5321 5.1",
        ),
        Code.HOST_ALIAS: Rule(
            _F,
            Area.HOST,
            "The name said in HELO has to be a host's own name and not a CNAME.",
            "RFC 5321 2.3.5",
        ),
        Code.HOST_WITHOUT_ADDRESS: Rule(
            _F,
            Area.HOST,
            "Receivers look the HELO name up, and refuse or distrust one without an address.",
            "RFC 5321 4.1.1.1",
        ),
        Code.HOST_NOT_PUBLIC: Rule(
            _F, Area.HOST, "Nobody outside can reach a private or loopback address.", "RFC 6890 2.2"
        ),
        Code.SENDING_UNKNOWN: Rule(
            _A,
            Area.HOST,
            "Mail leaves through a smarthost, so that only you know its addresses: name them with --address and SPF and PTR "
            "are checked for them.",
            "RFC 7208 4.1",
        ),
        Code.HELO_OTHER_ADDRESS: Rule(
            _A,
            Area.HOST,
            "Some receivers distrust a client whose HELO name leads to another address than it comes from.",
            "RFC 5321 4.1.4",
        ),
        Code.PTR_MISSING: Rule(
            _F, Area.PTR, "Many receivers refuse mail from an address that has no name.", "RFC 1912 2.1"
        ),
        Code.PTR_NOT_CONFIRMED: Rule(
            _F,
            Area.PTR,
            "The name does not lead back to the address, so that it proves nothing, and receivers refuse the mail.",
            "RFC 1912 2.1",
        ),
        Code.PTR_OTHER_NAME: Rule(
            _A, Area.PTR, "Some receivers distrust a client whose name differs from its HELO.", "RFC 1912 2.1"
        ),
        Code.SPF_MISSING: Rule(
            _F,
            Area.SPF,
            "Without an SPF record anybody may send in the domain's name as far as SPF goes.",
            "RFC 7208 3",
        ),
        Code.SPF_SEVERAL: Rule(_F, Area.SPF, _SPF_VOIDS, "RFC 7208 4.5"),
        Code.SPF_NO_VERSION: Rule(
            _F,
            Area.SPF,
            "The record has to begin with exactly v=spf1 and a blank; this one is not seen at all.",
            "RFC 7208 4.5",
        ),
        Code.SPF_SYNTAX: Rule(_F, Area.SPF, _SPF_VOIDS, "RFC 7208 4.6"),
        Code.SPF_LOOKUPS: Rule(_F, Area.SPF, _SPF_VOIDS, "RFC 7208 4.6.4"),
        Code.SPF_VOID_LOOKUPS: Rule(_F, Area.SPF, _SPF_VOIDS, "RFC 7208 4.6.4"),
        Code.SPF_VOID: Rule(
            _A, Area.SPF, "A term that names nothing allows nobody and uses up a lookup.", "RFC 7208 4.6.4"
        ),
        Code.SPF_INCLUDE: Rule(_F, Area.SPF, _SPF_VOIDS, "RFC 7208 5.2"),
        Code.SPF_MX_NAMES: Rule(_F, Area.SPF, _SPF_VOIDS, "RFC 7208 4.6.4"),
        Code.SPF_OPEN: Rule(
            _F, Area.SPF, "+all lets every computer of the world send in the domain's name.", "RFC 7208 5.1"
        ),
        Code.SPF_NEUTRAL: Rule(
            _F,
            Area.SPF,
            "The record ends without -all or ~all, so that nothing that it does not list ever fails.",
            "RFC 7208 5.1",
        ),
        Code.SPF_AFTER_ALL: Rule(
            _A,
            Area.SPF,
            "What stands after all is never looked at, and so is redirect= beside it.",
            "RFC 7208 5.1",
        ),
        Code.SPF_PTR: Rule(
            _A, Area.SPF, "The ptr mechanism is slow and unreliable; it should not be used.", "RFC 7208 5.5"
        ),
        Code.SPF_LONG: Rule(
            _A, Area.SPF, "The answer may not fit into one UDP packet everywhere.", "RFC 7208 3.4"
        ),
        Code.SPF_ADDRESS: Rule(
            _F,
            Area.SPF,
            "The domain's own record does not allow the address that our mail leaves from.",
            "RFC 7208 2.4",
        ),
        Code.SPF_HELO: Rule(
            _F,
            Area.SPF,
            "Bounces and automatic mail have an empty return path and are checked by the HELO name, whose record does not "
            "allow the address.",
            "RFC 7208 2.3",
        ),
        Code.SPF_HELO_MISSING: Rule(
            _A,
            Area.SPF,
            "Automatic mail has an empty return path and is checked by the HELO name: a record of its own lets it pass.",
            "RFC 7208 10.1.3",
        ),
        Code.DKIM_NO_KEY: Rule(
            _F,
            Area.DKIM,
            "Without a private key nothing can be signed under the selector.",
            "RFC 6376 3.1",
        ),
        Code.DKIM_MISSING: Rule(
            _F,
            Area.DKIM,
            "Nobody can verify what is signed with a key that is not published.",
            "RFC 6376 3.6.2.1",
        ),
        Code.DKIM_SEVERAL: Rule(
            _F,
            Area.DKIM,
            "With several records at a selector each receiver takes another one.",
            "RFC 6376 3.6.2.2",
        ),
        Code.DKIM_SYNTAX: Rule(_F, Area.DKIM, "A record that cannot be read gives no key.", "RFC 6376 3.6.1"),
        Code.DKIM_REVOKED: Rule(
            _F, Area.DKIM, "An empty p= says that the key has been revoked.", "RFC 6376 3.6.1"
        ),
        Code.DKIM_TESTING: Rule(
            _F,
            Area.DKIM,
            "t=y says that the domain only tries DKIM: receivers treat the mail as unsigned.",
            "RFC 6376 3.6.1",
        ),
        Code.DKIM_TYPE: Rule(
            _F, Area.DKIM, "A signature is not verified with a key of another type.", "RFC 6376 3.6.1"
        ),
        Code.DKIM_OTHER_KEY: Rule(
            _F,
            Area.DKIM,
            "The published key is not the one that signs: every signature of ours fails.",
            "RFC 6376 6.1.3",
        ),
        Code.DKIM_RESTRICTED: Rule(
            _F,
            Area.DKIM,
            "The record excludes SHA-256 or mail, so that our signatures do not count.",
            "RFC 6376 3.6.1",
        ),
        Code.DKIM_SHORT_KEY: Rule(
            _A, Area.DKIM, "RSA keys under 2048 bits are within reach of attackers.", "RFC 8301 3.2"
        ),
        Code.DKIM_PREVIOUS: Rule(
            _A,
            Area.DKIM,
            "The record of an earlier key is not what its file says; take it away once mail signed with it is a week old.",
            "RFC 6376 3.1",
        ),
        Code.DMARC_MISSING: Rule(
            _F,
            Area.DMARC,
            "Without a policy receivers deliver mail that forges the domain.",
            "RFC 9989 4.10.1",
        ),
        Code.DMARC_SEVERAL: Rule(_F, Area.DMARC, "Several records count as none.", "RFC 9989 4.10"),
        Code.DMARC_NO_VERSION: Rule(
            _F,
            Area.DMARC,
            "The record has to begin with exactly v=DMARC1; this one is not seen at all.",
            "RFC 9989 4.8",
        ),
        Code.DMARC_SYNTAX: Rule(
            _F,
            Area.DMARC,
            "Receivers differ in what they make of a tag given twice or a part that is no tag.",
            "RFC 9989 4.8",
        ),
        Code.DMARC_POLICY: Rule(
            _F,
            Area.DMARC,
            "With p, sp or np missing or wrong the record asks for nothing at most.",
            "RFC 9989 4.10.1",
        ),
        Code.DMARC_NONE: Rule(
            _F,
            Area.DMARC,
            "The policy in force is none: receivers deliver mail that forges the domain.",
            "RFC 9989 4.7",
        ),
        Code.DMARC_TESTING: Rule(_A, Area.DMARC, "t=y lowers the policy by one step.", "RFC 9989 4.7"),
        Code.DMARC_SUBDOMAINS: Rule(
            _F,
            Area.DMARC,
            "Names below the domain may be forged, those that do not exist among them.",
            "RFC 9989 4.7",
        ),
        Code.DMARC_PSD: Rule(
            _F,
            Area.DMARC,
            "psd=y is for registries: it cuts the domain off from its own subdomains.",
            "RFC 9989 4.10.2",
        ),
        Code.DMARC_OBSOLETE: Rule(
            _A,
            Area.DMARC,
            "The tag is historic and does nothing; pct=0 no longer weakens a policy.",
            "RFC 9989 4.7",
        ),
        Code.DMARC_VALUE: Rule(
            _A, Area.DMARC, "A wrong value is ignored and the default holds.", "RFC 9989 4.8"
        ),
        Code.DMARC_UNKNOWN_TAG: Rule(
            _A, Area.DMARC, "An unknown tag is ignored; it may be a slip of the pen.", "RFC 9989 4.8"
        ),
        Code.DMARC_NO_REPORTS: Rule(
            _A, Area.DMARC, "Without rua nobody tells you who sends in the domain's name.", "RFC 9990"
        ),
        Code.DMARC_RUA: Rule(
            _F, Area.DMARC, "A destination that is no URI, such as mailto:…, gets no reports.", "RFC 9989 4.8"
        ),
        Code.DMARC_REPORT_REFUSED: Rule(
            _F,
            Area.DMARC,
            "Reports go to another organisation only if that one says by a record that it takes them.",
            "RFC 9990; RFC 7489 7.1",
        ),
        Code.DMARC_SPF_ALIGNMENT: Rule(
            _A,
            Area.DMARC,
            "The return path of our mail is not aligned with its From, so that DMARC rests on DKIM alone.",
            "RFC 9989 4.4",
        ),
        Code.MTA_STS_MISSING: Rule(
            _A,
            Area.MTA_STS,
            "Without MTA-STS an attacker on the way can strip STARTTLS from mail to us.",
            "RFC 8461 3.1",
        ),
        Code.MTA_STS_SEVERAL: Rule(_F, Area.MTA_STS, "Several records count as none.", "RFC 8461 3.1"),
        Code.MTA_STS_SYNTAX: Rule(
            _F, Area.MTA_STS, "A record that is not v=STSv1; id=…; counts as none.", "RFC 8461 3.1"
        ),
        Code.MTA_STS_HOST: Rule(
            _F, Area.MTA_STS, "The policy is fetched from this host, which has no address.", "RFC 8461 3.3"
        ),
        Code.MTA_STS_NO_POLICY: Rule(
            _A,
            Area.MTA_STS,
            "The policy is not fetched from here; give a copy with --policy-file, and it is checked against the MX records.",
            "RFC 8461 3.2",
        ),
        Code.MTA_STS_POLICY_SYNTAX: Rule(
            _F, Area.MTA_STS, "Senders ignore a policy that they cannot read.", "RFC 8461 3.2"
        ),
        Code.MTA_STS_OFF: Rule(_A, Area.MTA_STS, "mode: none says that there is no policy.", "RFC 8461 5"),
        Code.MTA_STS_TESTING: Rule(
            _A, Area.MTA_STS, "mode: testing reports failures and protects nothing.", "RFC 8461 5"
        ),
        Code.MTA_STS_AGE: Rule(
            _A,
            Area.MTA_STS,
            "A policy protects for as long as it is kept: weeks are wanted, and a year is the most.",
            "RFC 8461 3.2",
        ),
        Code.MTA_STS_MX: Rule(
            _F,
            Area.MTA_STS,
            "Senders that keep to the policy do not deliver to a host that it does not name.",
            "RFC 8461 4.1",
        ),
        Code.MTA_STS_UNUSED_MX: Rule(
            _A,
            Area.MTA_STS,
            "A pattern that matches no MX host lets an attacker choose one; it may be left over.",
            "RFC 8461 4.1",
        ),
        Code.MTA_STS_CERTIFICATE: Rule(
            _F,
            Area.MTA_STS,
            "Senders that keep to the policy deliver only over TLS with a certificate that a public authority issued.",
            "RFC 8461 4.2",
        ),
        Code.TLS_RPT_MISSING: Rule(
            _A, Area.TLS_RPT, "Without it nobody tells you that TLS to your servers fails.", "RFC 8460 3"
        ),
        Code.TLS_RPT_SEVERAL: Rule(_F, Area.TLS_RPT, "Several records count as none.", "RFC 8460 3"),
        Code.TLS_RPT_SYNTAX: Rule(
            _F,
            Area.TLS_RPT,
            "A record that is not v=TLSRPTv1; rua=mailto:… or https:… counts as none.",
            "RFC 8460 3",
        ),
        Code.TLSA_MISMATCH: Rule(
            _F,
            Area.TLSA,
            "Senders that know DANE do not deliver to a server whose certificate no record matches.",
            "RFC 7672 2.2",
        ),
        Code.TLSA_UNUSABLE: Rule(
            _F,
            Area.TLSA,
            "Only usages 2 and 3 count for mail; with others alone senders demand TLS and can check nothing.",
            "RFC 7672 3.1.3",
        ),
        Code.TLSA_WITHOUT_TLS: Rule(
            _F,
            Area.TLSA,
            "Senders that know DANE deliver only over STARTTLS, which is not offered.",
            "RFC 7672 2.2",
        ),
        Code.TLSA_UNSIGNED: Rule(
            _A,
            Area.TLSA,
            "The answer was not validated by DNSSEC, and without that TLSA records are ignored.",
            "RFC 7672 2.2",
        ),
        Code.CAA_FORBIDS: Rule(
            _A,
            Area.CAA,
            "The domain forbids every authority to issue a certificate: it cannot be renewed.",
            "RFC 8659 4.2",
        ),
        Code.CERTIFICATE_MISSING: Rule(
            _A,
            Area.CERTIFICATE,
            "Without a certificate STARTTLS is not offered and mail arrives in the clear.",
            "RFC 3207 1",
        ),
        Code.CERTIFICATE_UNREADABLE: Rule(
            _F,
            Area.CERTIFICATE,
            "The gateway does not start with TLS files that it cannot read.",
            "RFC 7468 5",
        ),
        Code.CERTIFICATE_KEY: Rule(
            _F,
            Area.CERTIFICATE,
            "The private key is not the certificate's: TLS cannot be spoken.",
            "RFC 8446 4.4.3",
        ),
        Code.CERTIFICATE_EXPIRED: Rule(
            _F, Area.CERTIFICATE, "Senders that check certificates no longer deliver.", "RFC 5280 4.1.2.5"
        ),
        Code.CERTIFICATE_NOT_YET: Rule(
            _F, Area.CERTIFICATE, "Senders that check certificates do not deliver yet.", "RFC 5280 4.1.2.5"
        ),
        Code.CERTIFICATE_EXPIRES: Rule(
            _A, Area.CERTIFICATE, "It expires within three weeks: renew it and restart.", "RFC 5280 4.1.2.5"
        ),
        Code.CERTIFICATE_NAME: Rule(
            _F,
            Area.CERTIFICATE,
            "Senders that check certificates find another name than the MX record's.",
            "RFC 9525 6",
        ),
        Code.CERTIFICATE_ORDER: Rule(
            _F,
            Area.CERTIFICATE,
            "Each certificate in the file has to be followed by its issuer's.",
            "RFC 5246 7.4.2",
        ),
        Code.CERTIFICATE_WEAK: Rule(
            _F,
            Area.CERTIFICATE,
            "Current TLS libraries refuse the key or the signature as too weak.",
            "RFC 9325 4.5",
        ),
        Code.CERTIFICATE_SELF_SIGNED: Rule(
            _A,
            Area.CERTIFICATE,
            "It encrypts and proves nothing, unless a TLSA record vouches for it.",
            "RFC 7672 1.3",
        ),
        Code.CERTIFICATE_ALONE: Rule(
            _A,
            Area.CERTIFICATE,
            "Senders that check certificates need the issuer's as well, if it is not a root.",
            "RFC 8446 4.4.2",
        ),
    }
)
