from __future__ import annotations

import stat

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from outbound.compose import compose, stamp
from outbound.errors import SigningError
from outbound.key_files import generate_key, load_key
from outbound.model import MailKind
from outbound.sign import SIGNED_FIELDS, SigningKey, dns_record, sign, zone_line
from tests.outbound.conftest import NOW, REQUEST, SENDER


@pytest.fixture
def mail(office, record):
    (made,) = compose(
        MailKind.REQUEST_FOR_CONTEXT,
        office=office,
        thread=record.incident,
        contacts=[record.contact],
        variables=REQUEST,
        stamps=[stamp("t1", "experts.test", NOW)],
    )
    return made


def pem_of(path):
    return path.read_bytes()


def test_the_signature_is_byte_for_byte_that_of_plain_dkimpy_at_the_same_time(mail, tmp_path, monkeypatch):
    key = generate_key(tmp_path / "k.pem")
    ours = sign(mail, SENDER, key, NOW)
    monkeypatch.setattr("dkim.time.time", NOW.timestamp)
    named = [
        name.strip().lower().encode()
        for name in ours.raw.decode().replace("\r\n", "").split("h=")[1].split(";")[0].split(":")
    ]
    theirs = dkim.sign(
        mail.raw,
        b"s1",
        b"experts.test",
        pem_of(tmp_path / "k.pem"),
        canonicalize=(b"relaxed", b"relaxed"),
        include_headers=named,
    )
    assert ours.raw == theirs + mail.raw


@pytest.mark.parametrize("clock", [0, 1_000_000_000, 4_000_000_000])
def test_the_time_in_the_signature_is_the_argument(mail, key, clock):
    at = NOW.fromtimestamp(clock, NOW.tzinfo)
    assert f"t={clock};".encode() in sign(mail, SENDER, key, at).raw


def test_the_field_is_prepended_and_nothing_below_it_changes(mail, key):
    signed = sign(mail, SENDER, key, NOW)
    assert signed.raw.startswith(b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;")
    assert signed.raw.endswith(b"\r\n" + mail.raw)
    assert max(map(len, signed.raw.split(b"\r\n"))) <= 78


def test_every_field_that_people_see_is_named_once_more_than_it_occurs(mail, key):
    head = sign(mail, SENDER, key, NOW).raw[: -len(mail.raw)]
    named = [n.strip() for n in head.replace(b"\r\n", b"").split(b"h=")[1].split(b";")[0].split(b":")]
    for name in SIGNED_FIELDS:
        occurs = mail.raw.split(b"\r\n\r\n")[0].lower().count(b"\r\n" + name.lower() + b":")
        occurs += mail.raw.lower().startswith(name.lower() + b":")
        assert named.count(name.lower()) == occurs + 1, name


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_a_signature_verifies_by_the_published_record(mail, tmp_path, kind):
    key = generate_key(tmp_path / "k.pem", kind=kind)
    signed = sign(mail, SENDER, key, NOW)
    record = dns_record(key)
    if kind == "rsa":
        assert dkim.verify(signed.raw, dnsfunc=lambda _name, **_more: record.encode())
        changed = signed.raw.replace(b"Was this you?", b"Was this me??")
        assert not dkim.verify(changed, dnsfunc=lambda _name, **_more: record.encode())
    else:
        assert record.startswith("v=DKIM1; k=ed25519; p=")
        assert b"a=ed25519-sha256" in signed.raw


def test_a_zone_line_holds_strings_of_at_most_255_octets(key):
    line = zone_line("s1", "experts.test", key)
    strings = line.split('"')[1::2]
    assert "".join(strings) == dns_record(key)
    assert max(map(len, strings)) <= 255


def test_a_key_shows_nothing_of_itself(key):
    assert "PRIVATE" not in repr(key)
    assert repr(key) == "SigningKey()"


def test_a_key_file_is_private_and_an_open_one_is_refused(tmp_path):
    path = tmp_path / "keys" / "s1.pem"
    generate_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    load_key(path)
    path.chmod(0o640)
    with pytest.raises(SigningError, match="chmod 600"):
        load_key(path)
    with pytest.raises(SigningError, match="exists already"):
        generate_key(path)
    with pytest.raises(SigningError, match="cannot be read"):
        load_key(tmp_path / "none.pem")


def _pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"garbage",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        _pem(ec.generate_private_key(ec.SECP256R1())),
        rsa.generate_private_key(65537, 1024).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        ),
    ],
)
def test_what_is_no_usable_key_is_refused_in_one_sentence(pem):
    with pytest.raises(SigningError) as refused:
        SigningKey.from_pem(pem)
    assert str(refused.value).count(".") == 1
