"""Each mail of the catalogue, signed as it is sent, before our own verifier and three that are not ours."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import dkim
import pytest

from bench import mailauth
from outbound.key_files import generate_key
from outbound.sign import SecondKey, dns_record, sign, zone_line
from outbound.template_files import load_templates
from tests.outbound.catalogue import all_mails
from tests.outbound.conftest import LETTERHEAD, NOW, SENDER
from tests.outbound.test_selfcheck_by_our_verifier import checked, zone

OPENDKIM = shutil.which("opendkim", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
SESSION = {
    "ip": "192.0.2.1",
    "helo": "mx.experts.test",
    "sender": "r+c2FtcGxl@reply.experts.test",
    "mta": "mx.contoso.test",
}
POLICY = "v=DMARC1; p=reject; adkim=s"


class _Office:
    letterhead = LETTERHEAD
    templates = load_templates()


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    return {"s1": generate_key(folder / "s1.pem"), "e1": generate_key(folder / "e1.pem", kind="ed25519")}


@pytest.fixture(scope="module")
def records(keys):
    return {f"{name}._domainkey.experts.test": dns_record(key) for name, key in keys.items()}


@pytest.fixture(scope="module")
def signed(keys):
    """The bytes of each form in each language, with both signatures, by name."""
    return {
        name: sign(mail, SENDER, keys["s1"], NOW, SecondKey("e1", keys["e1"])).raw
        for name, mail in all_mails(_Office)
    }


def spoiled(raw: bytes) -> bytes:
    """The same mail with another subject: what every verifier has to notice."""
    return raw.replace(b"\r\nSubject: ", b"\r\nSubject: No ", 1)


def test_our_own_verifier_calls_each_mail_genuine(signed, keys):
    answers = zone(*(zone_line(name, "experts.test", key) for name, key in keys.items()))
    for name, raw in signed.items():
        result = checked(raw, answers)
        assert result.genuine, (name, result)
    assert not checked(spoiled(signed["reply.en"]), answers).genuine


def test_dkimpy_verifies_both_signatures_of_each_mail(signed, records):
    def dnsfunc(name, **_more):
        return records.get(name.decode().rstrip("."), "").encode()

    for name, raw in signed.items():
        message = dkim.DKIM(raw)
        assert [message.verify(idx=index, dnsfunc=dnsfunc) for index in (0, 1)] == [True, True], name
    assert not dkim.verify(spoiled(signed["reply.ja"]), dnsfunc=dnsfunc)


@pytest.mark.skipif(mailauth.missing() is not None, reason=str(mailauth.missing()))
@pytest.mark.parametrize("only", [("s1", "e1"), ("s1",), ("e1",)])
def test_mailauth_passes_each_mail_by_either_signature(signed, records, only):
    published = {
        (f"{one}._domainkey.experts.test", "TXT"): records[f"{one}._domainkey.experts.test"] for one in only
    }
    published["_dmarc.experts.test", "TXT"] = POLICY
    said = mailauth.authenticate([*signed.values(), spoiled(signed["reply.en"])], published, SESSION)
    assert said.passed == ("experts.test",) * len(signed) + (None,)


@pytest.mark.skipif(OPENDKIM is None, reason="opendkim is not installed (Debian: apt-get install opendkim)")
def test_opendkim_verifies_each_mail(signed, records, tmp_path: Path):
    paths = []
    for name, raw in {**signed, "spoiled": spoiled(signed["reply.en"])}.items():
        paths.append(tmp_path / f"{name}.eml")
        paths[-1].write_bytes(raw)
    (tmp_path / "records").write_text("".join(f"{name} {text}\n" for name, text in records.items()))
    settings = {"Mode": "v", "TestPublicKeys": tmp_path / "records", "Syslog": "no", "UserID": os.getuid()}
    (tmp_path / "settings").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    told = subprocess.run(
        [OPENDKIM, "-x", tmp_path / "settings", "-t", ",".join(map(str, paths))],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    said = dict(re.findall(r"/([^/\s]+)\.eml: verification \(.*?\) (succeeded|failed)", told.stdout))
    assert said == {**dict.fromkeys(signed, "succeeded"), "spoiled": "failed"}, told
