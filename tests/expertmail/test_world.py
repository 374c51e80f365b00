"""The default world: made once, private, never overwritten, and found again."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from expertmail.faults import FaultError
from expertmail.settings import Settings, load
from expertmail.world import key_path, open_world
from verifier.evidence import AnswerStatus, Question


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in os.environ:
        if name.startswith("EXPERTMAIL_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return load()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_secrets_are_for_us_alone(settings: Settings) -> None:
    open_world(settings)
    assert mode(settings.data_dir) == 0o700
    assert mode(key_path(settings)) == 0o600
    assert mode(settings.data_dir / "reply.key") == 0o600


def test_a_second_start_finds_the_same_world(settings: Settings) -> None:
    first = open_world(settings)
    again = open_world(settings)
    assert len(first.made) == 4
    assert again.made == ()
    assert again.key.public_text() == first.key.public_text()
    address = first.replies.mint(7, 9)
    assert again.replies.read(address) == first.replies.read(address) is not None


def test_the_zone_answers_for_our_domains_and_the_sample_customer(settings: Settings) -> None:
    zone = open_world(settings).zone
    assert zone is not None
    for name, rrtype in (
        ("s1._domainkey.experts.test", "TXT"),
        ("_dmarc.experts.test", "TXT"),
        ("reply.experts.test", "MX"),
        ("contoso.test", "TXT"),
        ("_dmarc.contoso.test", "TXT"),
        ("mx.experts.test", "A"),
    ):
        assert zone.answer(Question.of(name, rrtype)).status is AnswerStatus.ANSWER, name
    assert "v=spf1 ip4:127.0.0.0/8" in zone.answer(Question.of("contoso.test", "TXT")).records[0]


def test_no_secret_is_in_the_repr(settings: Settings) -> None:
    world = open_world(settings)
    secret = (settings.data_dir / "reply.key").read_text().strip()
    assert secret not in repr(world)
    assert "PRIVATE" not in repr(world)


def test_an_edited_zone_stays_as_it_is(settings: Settings) -> None:
    open_world(settings)
    path = settings.data_dir / "zone.db"
    path.write_text(path.read_text() + "other.test. 60 IN A 127.0.0.1\n")
    zone = open_world(settings).zone
    assert zone is not None
    assert zone.answer(Question.of("other.test", "A")).records == ("127.0.0.1",)


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda s: (s.data_dir / "reply.key").chmod(0o644), "chmod 600"),
        (lambda s: key_path(s).chmod(0o644), "chmod 600"),
        (lambda s: key_path(s).write_text("no key"), "not an unencrypted PEM"),
        (lambda s: (s.data_dir / "reply.key").write_text("short"), "at least 16 characters"),
        (lambda s: (s.data_dir / "zone.db").write_text("( ( ("), "cannot be used"),
    ],
)
def test_a_spoilt_file_is_told_in_one_sentence(settings: Settings, break_it, said: str) -> None:
    open_world(settings)
    break_it(settings)
    with pytest.raises(FaultError) as caught:
        open_world(settings)
    assert said in caught.value.sentence
    assert "\n" not in caught.value.sentence


def test_a_folder_that_cannot_be_made_is_told(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EXPERTMAIL_DATA_DIR", str(tmp_path / "file" / "var"))
    with pytest.raises(FaultError, match="set data_dir"):
        open_world(load())


OWN = """[[identity]]
name = "ours"
domains = ["experts.test"]
addresses = ["{address}"]
signing_domains = ["{signs}"]
known_domains = ["{replies}"]
"""
SOUND = {"address": "defender-experts@experts.test", "signs": "experts.test", "replies": "reply.experts.test"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"address": "other@experts.test"}, "does not pin defender-experts@"),
        ({"signs": "elsewhere.test"}, "does not let experts"),
        ({"replies": "elsewhere.test"}, None),  # a name below its own domain is known anyway
    ],
)
def test_an_identity_of_ours_that_would_hold_all_our_mail_back_is_told_at_the_start(
    settings: Settings, tmp_path: Path, change: dict[str, str], said: str | None
) -> None:
    file = tmp_path / "identities.toml"
    file.write_text(OWN.format(**{**SOUND, **change}))
    told = settings.model_copy(update={"identities": file})
    if said is None:
        assert [one.name for one in open_world(told).identities] == ["ours"]
        return
    with pytest.raises(FaultError, match=said) as caught:
        open_world(told)
    assert "identities.toml" in caught.value.sentence


def test_a_reply_domain_elsewhere_has_to_be_known(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "identities.toml"
    file.write_text(OWN.format(**SOUND))
    mail = settings.mail.model_copy(update={"reply_domain": "answers.test"})
    told = settings.model_copy(update={"identities": file, "mail": mail})
    with pytest.raises(FaultError, match=r"does not list answers\.test"):
        open_world(told)


def test_our_own_sender_is_protected_by_any_identity_file(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "identities.toml"
    file.write_text('[[identity]]\nname = "experts.test"\ndomains = ["fabrikam.test"]\n')
    other, own = open_world(settings.model_copy(update={"identities": file})).identities
    assert (other.name, own.name) == ("experts.test", "operated")
    assert own.pins("defender-experts@experts.test")
    assert own.knows("reply.experts.test")


def test_a_trial_signs_with_two_keys_and_publishes_both(settings: Settings) -> None:
    world = open_world(settings)
    assert world.second is not None
    assert world.zone is not None
    for selector in ("s1", "s1-ed25519"):
        found = world.zone.answer(Question.of(f"{selector}._domainkey.experts.test", "TXT"))
        assert found.status is AnswerStatus.ANSWER
    path = key_path(settings, "s1-ed25519")
    assert mode(path) == 0o600
    path.chmod(0o640)
    with pytest.raises(FaultError, match="chmod 600"):
        open_world(settings)


def test_a_trial_zone_is_not_used_once_mail_is_really_delivered(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_world(settings)
    monkeypatch.setenv("EXPERTMAIL_DELIVERY__MODE", "mx")
    assert open_world(load()).zone is None
