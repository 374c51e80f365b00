"""Settings: where they come from, and what is said about those that cannot be used."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from expertmail.faults import ExitCode, FaultError
from expertmail.setting_refusals import variable
from expertmail.settings import fields, load
from expertmail.settings_table import markdown

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("EXPERTMAIL_"):
            monkeypatch.delenv(name)


def written(folder: Path, text: str, mode: int = 0o644) -> Path:
    path = folder / "expertmail.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


def fault(config: Path | None = None) -> str:
    with pytest.raises(FaultError) as caught:
        load(config)
    assert caught.value.code == ExitCode.CONFIG
    assert "\n" not in caught.value.sentence
    return caught.value.sentence


def test_without_settings_everything_stays_on_this_machine() -> None:
    settings = load()
    assert (settings.smtp.host, settings.smtp.port) == ("127.0.0.1", 2525)
    assert (settings.console.host, settings.console.port) == ("127.0.0.1", 8025)
    assert settings.delivery.mode == "files"
    assert settings.data_dir == Path("var")


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "[smtp]\nport = 1111\nhost = '::1'\n")
    monkeypatch.setenv("EXPERTMAIL_SMTP__PORT", "2222")
    settings = load(path)
    assert (settings.smtp.host, settings.smtp.port) == ("::1", 2222)


def test_a_variable_names_the_file_where_no_option_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPERTMAIL_CONFIG", str(written(tmp_path, "[smtp]\nport = 1111\n")))
    assert load().smtp.port == 1111


def test_relative_paths_in_a_file_start_at_the_file(tmp_path: Path) -> None:
    assert load(written(tmp_path, 'data_dir = "here"\n')).data_dir == tmp_path / "here"


def test_a_list_in_a_variable_is_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPERTMAIL_MAIL__DOMAINS", "experts.test, Other.TEST.")
    assert load().mail.domains == ("experts.test", "other.test")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[smtp]\nprot = 1\n", "no setting smtp.prot"),
        ("[smpt]\nport = 1\n", "did you mean smtp.port?"),
        ("weather = 1\n", "docs/settings.md lists all"),
        ("smtp = 3\n", "has to be a table"),
        ("[smtp]\nport = 'x'\n", "smtp.port"),
        ("[smtp]\nport = 99999\n", "at most 65535"),
        ("[smtp]\nport = [2]\n", "a whole number"),
        ("data_dir = 3\n", "a path"),
        ("[log]\nlevel = 'loud'\n", "one of 'debug', 'info', 'warning' or 'error'"),
        ("[mail]\nreply_domain = 'a b'\n", "domain name"),
        ("[mail]\nsender_address = 'x'\n", "mail address"),
        ('[mail]\nsender_name = "a\\nb"\n', "one line"),
        ("[mail]\ndomains = ['other.test']\n", "not in mail.domains"),
        ("[mail]\nreply_domain = 'experts.test'\n", "a domain of their own"),
        ("[smtp]\ntls_certificate = 'c.pem'\n", "set smtp.tls_key"),
        ("[dns]\nmax_seconds = 60\n", "at most 50"),
        ("[dns]\nresolvers = ['dns.example']\n", "IP address"),
        ("port = \n", "not valid TOML"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    sentence = fault(written(tmp_path, text))
    assert said in sentence
    assert "expertmail.toml" in sentence or "mail." in sentence or "smtp." in sentence


def test_an_unknown_variable_is_refused_with_the_nearest_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPERTMAIL_SMTP_PORT", "25")
    sentence = fault()
    assert "EXPERTMAIL_SMTP_PORT" in sentence
    assert "did you mean EXPERTMAIL_SMTP__PORT?" in sentence


def test_a_wrong_variable_is_told_by_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPERTMAIL_SMTP__PORT", "many")
    assert "environment variable EXPERTMAIL_SMTP__PORT" in fault()


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    assert "cannot be read" in fault(tmp_path / "none.toml")


def test_a_secret_in_a_file_that_others_may_read_is_refused_without_showing_it(tmp_path: Path) -> None:
    text = "reply_keys = ['correct horse battery staple']\n"
    sentence = fault(written(tmp_path, text))
    assert "chmod 600" in sentence
    assert "horse" not in sentence
    settings = load(written(tmp_path, text, 0o600))
    assert settings.reply_keys[0].get_secret_value() == "correct horse battery staple"


def test_secrets_are_in_no_repr_and_no_complaint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPERTMAIL_REPLY_KEYS", "correct-horse-battery")
    monkeypatch.setenv("EXPERTMAIL_DATABASE__URL", "postgresql://u:hunter2@h/d")
    monkeypatch.setenv("EXPERTMAIL_DELIVERY__SMARTHOST_PASSWORD", "hunter3")
    settings = load()
    shown = repr(settings) + str(settings) + repr(settings.model_dump())
    assert "horse" not in shown
    assert "hunter" not in shown


def test_a_password_is_never_sent_unencrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPERTMAIL_DELIVERY__SMARTHOST_PASSWORD", "hunter3")
    monkeypatch.setenv("EXPERTMAIL_DELIVERY__SMARTHOST_TLS", "none")
    assert "unencrypted" in fault()


def test_every_setting_has_a_description_and_stands_in_the_document() -> None:
    document = (ROOT / "docs" / "settings.md").read_text()
    for name, info in fields():
        assert info.description, name
        assert f"`{name}`" in document, name
        assert f"`{variable(name)}`" in document, name
    assert document == markdown(), "run: python -m expertmail.settings_table > docs/settings.md"
