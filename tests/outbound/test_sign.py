from __future__ import annotations

import base64
import stat
from dataclasses import replace

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from dkim.canonicalization import Relaxed
from hypothesis import given
from hypothesis import strategies as st

from outbound.compose import compose, stamp
from outbound.errors import SigningError
from outbound.key_files import generate_key, load_key
from outbound.model import MailKind
from outbound.sign import SIGNED_FIELDS, SecondKey, SigningKey, dns_record, relaxed_body, sign, zone_line
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


@given(st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r\n", b"  \t", b"word"])).map(b"".join))
def test_the_relaxed_body_is_that_of_dkimpy(body):
    assert relaxed_body(body) == Relaxed.canonicalize_body(body)


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


def test_two_keys_make_two_signatures_and_neither_covers_the_other(mail, key, tmp_path, monkeypatch):
    ed25519 = generate_key(tmp_path / "e.pem", kind="ed25519")
    both = sign(mail, SENDER, key, NOW, SecondKey("s1-ed25519", ed25519))
    alone = sign(mail, SENDER, key, NOW).raw.removesuffix(mail.raw)
    assert both.raw.startswith(alone + b"DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;")
    assert both.raw.endswith(b"\r\n" + mail.raw)
    assert both.selector == "s1 s1-ed25519"
    assert max(map(len, both.raw.split(b"\r\n"))) <= 78
    second = both.raw.removeprefix(alone).removesuffix(mail.raw)
    named = second.replace(b"\r\n", b"").split(b"h=")[1].split(b";")[0].replace(b" ", b"").split(b":")
    assert b"dkim-signature" not in named
    # Plain dkimpy makes the same second field, and verifies both.
    monkeypatch.setattr("dkim.time.time", NOW.timestamp)
    pem = pem_of(tmp_path / "e.pem").decode()
    seed = serialization.load_pem_private_key(pem.encode(), None).private_bytes_raw()
    theirs = dkim.sign(
        mail.raw,
        b"s1-ed25519",
        b"experts.test",
        base64.b64encode(seed),
        canonicalize=(b"relaxed", b"relaxed"),
        include_headers=named,
        signature_algorithm=b"ed25519-sha256",
    )
    assert second == theirs
    records = {
        b"s1._domainkey.experts.test.": dns_record(key),
        b"s1-ed25519._domainkey.experts.test.": dns_record(ed25519),
    }
    for number in (0, 1):
        judge = dkim.DKIM(both.raw)
        assert judge.verify(number, dnsfunc=lambda name, **_more: records[name].encode())


def test_a_second_rsa_key_is_refused(key):
    with pytest.raises(SigningError, match="not Ed25519"):
        SecondKey("s2", key)


def test_exactly_these_fields_are_signed():
    assert b" ".join(SIGNED_FIELDS).decode() == (
        "From To Cc Subject Date Reply-To Message-ID In-Reply-To References"
        " MIME-Version Content-Type Content-Transfer-Encoding"
    )


HEAD = b"From: <a@experts.test>\r\nSubject: x\r\n"


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (HEAD + b"\r\nGr\xc3\xbc\xc3\x9fe\r\n", "7-bit"),
        (HEAD + b"\r\na\x00b\r\n", "7-bit"),
        (HEAD + b"\r\na\nb\r\n", "7-bit"),
        (HEAD + b"\r\na\rb\r\n", "7-bit"),
        (HEAD + b"\r\na\x1b[31m\r\n", "7-bit"),
        (HEAD + b"\r\na\x7f\r\n", "7-bit"),
        (HEAD + b"X-A: a\x00\r\n\r\nb\r\n", "control"),
        (HEAD + b"X-A: a\nBcc: b\r\n\r\nb\r\n", "control"),
        (HEAD + b"X-A: a\rBcc: b\r\n\r\nb\r\n", "control"),
        (HEAD + b"Subject: y\r\n\r\nb\r\n", "twice"),
        (HEAD + b"subject : y\r\n\r\nb\r\n", "no field"),
        (HEAD + b"FROM: <b@experts.test>\r\n\r\nb\r\n", "twice"),
        (HEAD + b"no field\r\n\r\nb\r\n", "no field"),
        (HEAD + b" \r\n\r\nb\r\n", "blank"),
        (b" x\r\n" + HEAD + b"\r\nb\r\n", "blank"),
        (b"Subject: x\r\n\r\nb\r\n", "author"),
        (HEAD, "no header, or no body"),
        (b"", "no header, or no body"),
        (HEAD + b"\r\n" + b"x" * 999 + b"\r\n", "998"),
        (HEAD + b"X-A: " + b"x" * 999 + b"\r\n\r\nb\r\n", "998"),
    ],
)
def test_what_a_server_would_change_or_a_variable_smuggled_in_is_not_signed(mail, key, raw, said):
    with pytest.raises(SigningError, match=said):
        sign(replace(mail, raw=raw), SENDER, key, NOW)


def test_an_address_beyond_ascii_in_the_header_is_signed(mail, key):
    raw = "From: <a@experts.test>\r\nTo: <m\u00fcller@contoso.test>\r\n\r\nb\r\n".encode()
    assert sign(replace(mail, raw=raw), SENDER, key, NOW).raw.endswith(raw)


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
