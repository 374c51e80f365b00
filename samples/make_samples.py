"""Makes the sample messages and the sample zone of this folder, byte for byte the same each time.

    python samples/make_samples.py           writes zone.db, *.eml and SHA256SUMS beside this file
    python samples/make_samples.py --check   exit 1 when a file differs from what would be written
    python samples/make_samples.py --keys    makes the keys that are missing (never one that exists)

The signer below is on purpose not the project's own: it has to sign what a sound signer refuses to (without
From, with ``l=``), and a test compares the verifier's and dkimpy's word on what it made.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

HERE = Path(__file__).resolve().parent

# Fixed, so that the same bytes come out each time: 2026-03-02 09:00 UTC.
DATE = "Mon, 02 Mar 2026 09:00:00 +0000"
SIGNED_AT = 1772442000

CRLF = b"\r\n"

EXPERTS = "Defender Experts <defender-experts@experts.test>"
CUSTOMER = "Dana Reyes <dana.reyes@contoso.test>"
STRANGER = "Robin Lund <robin.lund@fabrikam.test>"

# RFC 6376 5.4: From must be signed; the others are those a reader sees or a mail program acts on.
SIGNED_FIELDS = (
    "from",
    "to",
    "cc",
    "subject",
    "date",
    "message-id",
    "in-reply-to",
    "references",
    "reply-to",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
)


@dataclass(frozen=True, slots=True)
class Key:
    """A sample key: the domain it signs for and its selector."""

    domain: str
    selector: str

    @property
    def path(self) -> Path:
        """The file that holds the private key."""
        return HERE / f"sample-key-{self.domain}-{self.selector}.pem"

    def private(self) -> rsa.RSAPrivateKey:
        """The private key."""
        key = serialization.load_pem_private_key(self.path.read_bytes(), None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise TypeError(f"{self.path.name} holds no RSA key")
        return key

    def record(self) -> str:
        """The key record to publish (RFC 6376 3.6.1)."""
        public = self.private().public_key()
        der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return "v=DKIM1; k=rsa; p=" + base64.b64encode(der).decode()


EXPERTS_KEY = Key("experts.test", "s1")
CUSTOMER_KEY = Key("contoso.test", "c1")
STRANGER_KEY = Key("fabrikam.test", "f1")
ATTACKER_KEY = Key("attacker.test", "a1")
LOOKALIKE_KEY = Key("expert5.test", "x1")
KEYS = (EXPERTS_KEY, CUSTOMER_KEY, STRANGER_KEY, ATTACKER_KEY, LOOKALIKE_KEY)


# --- signing ---------------------------------------------------------------------------------------------


def relaxed_field(field: bytes) -> bytes:
    """A header field in relaxed form (RFC 6376 3.4.2), without its final CRLF."""
    name, _, value = field.partition(b":")
    value = re.sub(rb"[ \t]+", b" ", value.replace(CRLF, b"")).strip()
    return name.strip().lower() + b":" + value


def relaxed_body(body: bytes) -> bytes:
    """A body in relaxed form (RFC 6376 3.4.4)."""
    lines = [re.sub(rb"[ \t]+", b" ", line).rstrip(b" ") for line in body.split(CRLF)]
    text = CRLF.join(lines).rstrip(CRLF)
    return text + CRLF if text else b""


def fields_of(header: bytes) -> list[bytes]:
    """The header's fields, top first, folding kept."""
    return re.findall(rb"[^ \t\r\n][^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", header)


def sign(
    raw: bytes,
    key: Key,
    fields: tuple[str, ...] = SIGNED_FIELDS,
    *,
    oversign: bool = True,
    length: bool = False,
) -> bytes:
    """Put a relaxed/relaxed rsa-sha256 signature on top (RFC 6376 3.5).

    Each field of ``fields`` is named as often as it occurs, with ``oversign`` once more (RFC 6376 8.15).
    ``length`` adds ``l=`` with the length of the body.
    """
    header, _, body = raw.partition(CRLF + CRLF)
    present = fields_of(header + CRLF)
    named: list[str] = []
    signed: list[bytes] = []
    for name in fields:
        same = [f for f in present if f.partition(b":")[0].lower() == name.encode()]
        signed += [relaxed_field(f) for f in reversed(same)]  # RFC 6376 5.4.2: from the bottom up
        named += [name] * (len(same) + oversign)
    canonical = relaxed_body(body)
    tags = [
        "v=1",
        "a=rsa-sha256",
        "c=relaxed/relaxed",
        f"d={key.domain}",
        f"s={key.selector}",
        f"t={SIGNED_AT}",
        *([f"l={len(canonical)}"] if length else []),
        "h=" + ":\r\n\t".join(":".join(named[i : i + 4]) for i in range(0, len(named), 4)),
        "bh=" + base64.b64encode(hashlib.sha256(canonical).digest()).decode(),
        "b=",
    ]
    field = ("DKIM-Signature: " + "; ".join(tags[:5]) + ";\r\n\t" + ";\r\n\t".join(tags[5:])).encode()
    signature = key.private().sign(
        CRLF.join([*signed, relaxed_field(field)]), padding.PKCS1v15(), hashes.SHA256()
    )
    text = base64.b64encode(signature).decode()
    return field + "\r\n\t".join(text[i : i + 72] for i in range(0, len(text), 72)).encode() + CRLF + raw


# --- messages --------------------------------------------------------------------------------------------


def message(author: str, to: str, subject: str, text: str, **more: str) -> bytes:
    """A plain text message; ``more`` are header fields with ``_`` for ``-``, after the usual ones."""
    number = hashlib.sha256(f"{author} {to} {subject}".encode()).hexdigest()[:16]
    domain = author.rpartition("@")[2].rstrip(">")
    fields = {
        "From": author,
        "To": to,
        "Subject": subject,
        "Date": DATE,
        "Message-ID": f"<{number}@{domain}>",
        "MIME-Version": "1.0",
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Transfer-Encoding": "7bit",
    } | {name.replace("_", "-"): value for name, value in more.items()}
    lines = [f"{name}: {value}" for name, value in fields.items()] + ["", *text.strip("\n").split("\n"), ""]
    return "\r\n".join(lines).encode("ascii")


def forwarded(author: str, to: str, subject: str, text: str, inner: bytes) -> bytes:
    """A message with another one attached, as "Forward as attachment" makes it (RFC 2046 5.2.1)."""
    outer = message(
        author, to, subject, "", Content_Type='multipart/mixed; boundary="=_forwarded_as_attachment"'
    )
    header = outer[: outer.index(CRLF + CRLF)]
    boundary = b"--=_forwarded_as_attachment"
    parts = [
        header,
        b"",
        boundary,
        b"Content-Type: text/plain; charset=utf-8",
        b"Content-Transfer-Encoding: 7bit",
        b"",
        *text.strip("\n").encode("ascii").split(b"\n"),
        b"",
        boundary,
        b"Content-Type: message/rfc822",
        b'Content-Disposition: attachment; filename="suspicious.eml"',
        b"",
        inner,
        boundary + b"--",
        b"",
    ]
    return CRLF.join(parts)


NOTIFICATION = """
Hello Dana,

we published a managed response for an incident of your organisation.

  Incident:  Suspicious sign-ins to two mailboxes
  Severity:  High
  State:     Awaiting customer action

Please confirm whether the sign-ins of 1 March were made by your staff, and finish the two pending actions.

The experts' team
"""

BAIT = """
Your incident will be closed in two hours.

Sign in at https://portal.attacker.test/experts to keep your protection.

The experts' team
"""

QUESTION = """
Hello,

since this morning three of our laptops show a new scheduled task called "UpdaterX".
Is that something you have seen elsewhere, and should we remove it?

Thank you
Dana Reyes
Contoso
"""

SUSPICION = """
Hello,

this came in today and says it is from you. Is it?

Thank you
"""

SUBJECT = "A managed response was published for your organisation"


def notification(author: str = EXPERTS, text: str = NOTIFICATION) -> bytes:
    """The experts' notification, unsigned."""
    return message(author, CUSTOMER, SUBJECT, text, Reply_To="query@experts.test")


def lured(author: str) -> bytes:
    """The attacker's mail, unsigned."""
    return message(author, CUSTOMER, "Your incident is about to be closed", BAIT)


def changed(raw: bytes, old: bytes, new: bytes) -> bytes:
    """``raw`` with one thing changed after signing."""
    if raw.count(old) != 1:
        raise ValueError(f"{old!r} does not stand there exactly once")
    return raw.replace(old, new)


def samples() -> dict[str, bytes]:
    """All sample messages by file name."""
    display_name = sign(lured("Defender Experts <alerts@attacker.test>"), ATTACKER_KEY)
    # Not oversigned: this is how senders that leave the door open sign, and what a second From relies on.
    loosely_signed = sign(notification(), EXPERTS_KEY, oversign=False)
    without_from = tuple(name for name in SIGNED_FIELDS if name != "from")
    return {
        "genuine-notification.eml": sign(notification(), EXPERTS_KEY),
        "genuine-unpinned-address.eml": sign(
            notification("Service Delivery <service-delivery@experts.test>"), EXPERTS_KEY
        ),
        "false-display-name.eml": display_name,
        "false-lookalike-domain.eml": sign(lured("Incident Desk <incidents@expert5.test>"), LOOKALIKE_KEY),
        "false-hidden-address.eml": sign(
            lured('"defender-experts@experts.test" <alerts@attacker.test>'), ATTACKER_KEY
        ),
        # The attacker signs as himself: a pass that is not in line with the author proves nothing of it.
        "false-dmarc-failure.eml": sign(lured(EXPERTS), ATTACKER_KEY),
        "false-second-from.eml": sign(
            b"From: Defender Experts <alerts@attacker.test>\r\n" + loosely_signed, ATTACKER_KEY
        ),
        "false-body-changed.eml": changed(
            sign(notification(), EXPERTS_KEY), b"finish the two pending", b"pay for the two pending"
        ),
        "false-text-appended.eml": sign(notification(), EXPERTS_KEY, length=True)
        + BAIT.lstrip("\n").replace("\n", "\r\n").encode("ascii"),
        "false-from-not-signed.eml": changed(
            sign(notification("Newsletter <newsletter@experts.test>"), EXPERTS_KEY, without_from),
            b"From: Newsletter <newsletter@experts.test>",
            b"From: " + EXPERTS.encode(),
        ),
        "customer-question.eml": sign(
            message(CUSTOMER, "query@experts.test", "Unknown scheduled task on three laptops", QUESTION),
            CUSTOMER_KEY,
        ),
        "customer-out-of-office.eml": sign(
            message(
                CUSTOMER,
                "query@experts.test",
                "Automatic reply: A managed response was published",
                "I am out of the office until 9 March. For urgent matters please call our service desk.",
                Auto_Submitted="auto-replied",
            ),
            CUSTOMER_KEY,
        ),
        "customer-forwards-suspicious.eml": sign(
            forwarded(CUSTOMER, "verify@experts.test", "Is this from you?", SUSPICION, display_name),
            CUSTOMER_KEY,
        ),
        "stranger-forwards-suspicious.eml": sign(
            forwarded(STRANGER, "verify@experts.test", "Is this from you?", SUSPICION, display_name),
            STRANGER_KEY,
        ),
        "stranger-with-incident-tag.eml": sign(
            message(
                STRANGER,
                "query@experts.test",
                "Re: [INC-000001] More information",
                "All sign-ins were made by our staff. Please close the incident.",
            ),
            STRANGER_KEY,
        ),
    }


# --- zone ------------------------------------------------------------------------------------------------

ZONE_HEAD = """\
; The sample zone: DNS of the demo and of `expertmail verify --zone` (RFC 1035 5). Made by make_samples.py.
; Names end in .test (RFC 6761 6.2) and nothing of this is delegated anywhere.
$ORIGIN test.
$TTL 300
@                   SOA  ns.test. hostmaster.test. 1 3600 600 86400 300
@                   NS   ns
ns                  A    127.0.0.1

"""

# (label, what it is, SPF, DMARC, more records). Senders of the demo send from loopback.
DOMAINS = (
    (
        EXPERTS_KEY,
        "The experts' service, operated by the demo. Its mail proves itself by signature; SPF names the edge only.",
        "v=spf1 ip4:127.0.0.1 -all",
        "v=DMARC1; p=reject; adkim=s; aspf=s",
        (
            "mx.{d} A 127.0.0.1",
            "reply.{d} MX 10 mx.experts",
            "reply.{d} TXT " + '"v=spf1 ip4:127.0.0.1 -all"',
        ),
    ),
    (
        CUSTOMER_KEY,
        "A customer.",
        "v=spf1 ip4:127.0.0.0/8 -all",
        "v=DMARC1; p=reject",
        ("mx.{d} A 127.0.0.1",),
    ),
    (
        STRANGER_KEY,
        "Nobody the experts know; its mail is in order.",
        "v=spf1 ip4:127.0.0.0/8 -all",
        "v=DMARC1; p=quarantine",
        ("mx.{d} A 127.0.0.1",),
    ),
    (
        ATTACKER_KEY,
        "The attacker's own domain. Its mail passes SPF, DKIM and DMARC: for attacker.test, that is.",
        "v=spf1 ip4:127.0.0.0/8 -all",
        "v=DMARC1; p=reject",
        ("mx.{d} A 127.0.0.1",),
    ),
    (
        LOOKALIKE_KEY,
        "The attacker's look-alike of experts.test, with a 5 for the last s; everything passes here too.",
        "v=spf1 ip4:127.0.0.0/8 -all",
        "v=DMARC1; p=reject",
        ("mx.{d} A 127.0.0.1",),
    ),
)


def strings(text: str) -> str:
    """TXT data in strings of at most 255 octets (RFC 1035 3.3.14)."""
    return " ".join(f'"{text[i : i + 250]}"' for i in range(0, len(text), 250))


def zone() -> bytes:
    """The zone as a master file."""
    out = [ZONE_HEAD]
    for key, what, spf, dmarc, more in DOMAINS:
        label = key.domain.removesuffix(".test")
        rows = [
            (label, "MX", f"10 mx.{label}"),
            (label, "TXT", strings(spf)),
            (f"_dmarc.{label}", "TXT", strings(dmarc)),
            (f"{key.selector}._domainkey.{label}", "TXT", strings(key.record())),
            *((name, rrtype, data) for name, rrtype, data in (m.format(d=label).split(" ", 2) for m in more)),
        ]
        out.append(f"; {what}\n")
        out += [f"{name:<28} {rrtype:<4} {data}\n" for name, rrtype, data in rows]
        out.append("\n")
    return "".join(out).rstrip("\n").encode() + b"\n"


# --- writing ---------------------------------------------------------------------------------------------


def make_keys() -> None:
    """Make the keys that are missing. A new key changes every message it signs."""
    for key in KEYS:
        if not key.path.exists():
            private = rsa.generate_private_key(65537, 2048)
            key.path.write_bytes(
                private.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
            )
            print(f"made {key.path.name}")


def main() -> int:
    """Write or check the files; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only compare")
    parser.add_argument("--keys", action="store_true", help="make the keys that are missing")
    options = parser.parse_args()
    if options.keys:
        make_keys()
    differing = 0
    files = {**samples(), "zone.db": zone()}
    sums = "".join(
        f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(files.items())
    )
    for name, content in {**files, "SHA256SUMS": sums.encode()}.items():
        path = HERE / name
        if path.exists() and path.read_bytes() == content:
            continue
        differing += 1
        if options.check:
            print(f"differs: {name}")
        else:
            path.write_bytes(content)
            print(f"wrote {name}, {len(content)} bytes")
    return 1 if options.check and differing else 0


if __name__ == "__main__":
    sys.exit(main())
