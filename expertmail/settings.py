"""The only reader of configuration: one TOML file, then ``EXPERTMAIL_…`` variables, which win.

``load`` gives frozen ``Settings`` or raises ``FaultError`` with one sentence: which setting, where it stands,
and what to do. Every field's description is what ``docs/settings.md`` shows. Secrets come only from the
environment or from files that nobody else may read.
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from expertmail.faults import ExitCode, FaultError
from expertmail.sending_settings import SendingSettings
from expertmail.setting_names import CONFIG_VARIABLE, PREFIX
from expertmail.setting_refusals import (
    NESTED,
    plain,
    refuse_unknown,
    refuse_unknown_variables,
    variable,
)
from expertmail.setting_sections import (
    AlertSettings,
    ChannelSettings,
    ChatSettings,
    ConsoleSettings,
    DatabaseSettings,
    DeliverySettings,
    DkimSettings,
    DnsSettings,
    HeldSettings,
    LateDeliverySettings,
    LogSettings,
    MailSettings,
    RelaySettings,
    ReminderSettings,
    RouteSettings,
    ServiceReviewSettings,
    SmtpSettings,
    VerifierSettings,
)
from expertmail.setting_values import Domain, Secrets

MAX_CONFIG_BYTES = 1_000_000  # a settings file is a few lines; anything larger is another file


class Settings(BaseSettings):
    """All settings. Made by ``load``; frozen."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter=NESTED,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        case_sensitive=False,
    )

    data_dir: Path = Field(
        default=Path("var"),
        description="Folder for the database, keys, zone and outbox; created on the first `serve`.",
    )
    hostname: Domain = Field(
        default="mx.experts.test",
        description="Our name in the SMTP greeting, in Received and as authserv-id in Authentication-Results.",
    )
    identities: Path | None = Field(
        default=None,
        description="Identity file with the senders to protect (see docs/analyst.md). Unset means the operated sender and the product's default `defender-experts`, with no address pinned.",
    )
    reply_keys: Secrets = Field(
        default=(),
        description="Secrets that make reply addresses, newest first: the first one makes new addresses, all are accepted. Unset means the file `data_dir`/reply.key. A secret.",
    )
    smtp: SmtpSettings = SmtpSettings()
    console: ConsoleSettings = ConsoleSettings()
    mail: MailSettings = MailSettings()
    database: DatabaseSettings = DatabaseSettings()
    delivery: DeliverySettings = DeliverySettings()
    verifier: VerifierSettings = VerifierSettings()
    routes: RouteSettings = RouteSettings()
    relay: RelaySettings = RelaySettings()
    held: HeldSettings = HeldSettings()
    alerts: AlertSettings = AlertSettings()
    reminders: ReminderSettings = ReminderSettings()
    late_delivery: LateDeliverySettings = LateDeliverySettings()
    sending: SendingSettings = SendingSettings()
    service_reviews: ServiceReviewSettings = ServiceReviewSettings()
    channels: ChannelSettings = ChannelSettings()
    chat: ChatSettings = ChatSettings()
    dkim: DkimSettings = DkimSettings()
    dns: DnsSettings = DnsSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file, which arrives as keyword arguments; nothing else is read."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings

    @property
    def sender_domain(self) -> str:
        """The domain that our mail is from, and that signs."""
        return self.mail.sender_address.rpartition("@")[2]

    @property
    def files_go(self) -> str:
        """Where files go that the chat does not take, in words for customers; "" where nobody has said so."""
        return self.chat.submission_channel or self.mail.submission_channel or ""


def fields(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every single setting as (dotted name, its field), in the order of the classes above."""
    for name, info in model.model_fields.items():
        section = info.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            yield from fields(section, f"{prefix}{name}.")
        else:
            yield prefix + name, info


def is_secret(info: FieldInfo) -> bool:
    """Whether the setting's value must never be shown."""
    return "SecretStr" in repr(info.annotation)


def load(config: Path | None = None) -> Settings:
    """Read the settings: ``config`` (or the file that EXPERTMAIL_CONFIG names), then the environment.

    Raises FaultError with exit code 78 for anything that cannot be used.
    """
    path = config or (Path(named) if (named := os.environ.get(CONFIG_VARIABLE)) else None)
    table = _read(path) if path is not None else {}
    known = dict(fields())
    given = dict(_flatten(table, known))
    refuse_unknown(given, known, path)
    variables = refuse_unknown_variables(_variables(), known)
    if path is not None:
        _refuse_open_secrets(given, known, path)
        table = _anchored(table, given, known, path.parent)
    try:
        settings = Settings(**table)
    except ValidationError as error:
        raise FaultError(plain(error, known, variables, path), ExitCode.CONFIG) from error
    _refuse_contradictions(settings)
    return settings


def _variables() -> set[str]:
    """Names of the environment variables that are meant for us."""
    return {name for name in os.environ if name.upper().startswith(PREFIX)} - {CONFIG_VARIABLE}


def _read(path: Path) -> dict[str, Any]:
    """Read the TOML file."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CONFIG_BYTES + 1)
    except OSError as error:
        raise FaultError(
            f"The settings file {path} cannot be read ({error.strerror}); check the path.", ExitCode.CONFIG
        ) from error
    if len(data) > MAX_CONFIG_BYTES:
        raise FaultError(
            f"The settings file {path} is larger than 1 MB; is it the right file?", ExitCode.CONFIG
        )
    try:
        return tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FaultError(f"The settings file {path} is not valid TOML: {error}.", ExitCode.CONFIG) from error


def _flatten(
    table: Mapping[str, Any], known: Mapping[str, FieldInfo], prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    """Dotted names and values of a TOML table; a table where a single value belongs is kept whole."""
    for name, value in table.items():
        dotted = prefix + name
        if isinstance(value, dict) and dotted not in known:
            yield from _flatten(value, known, dotted + ".")
            if not value and not any(k.startswith(dotted + ".") for k in known):
                yield dotted, value
        else:
            yield dotted, value


def _refuse_open_secrets(given: Mapping[str, Any], known: Mapping[str, FieldInfo], path: Path) -> None:
    """Refuse a secret in a settings file that others may read."""
    held = [name for name in given if is_secret(known[name])]
    if held and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise FaultError(
            f"{path} holds the secret {held[0]} and others may read it; run chmod 600 {path}, "
            f"or set {variable(held[0])} instead.",
            ExitCode.CONFIG,
        )


def _anchored(
    table: Mapping[str, Any], given: Mapping[str, Any], known: Mapping[str, FieldInfo], folder: Path
) -> dict[str, Any]:
    """The table with relative paths taken from the settings file's own folder, wherever we are started."""
    copy: dict[str, Any] = {k: dict(v) if isinstance(v, dict) else v for k, v in table.items()}
    for name, value in given.items():
        if "Path" in repr(known[name].annotation) and isinstance(value, str):
            section, _, last = name.rpartition(".")
            (copy[section] if section else copy)[last] = folder / value
    return copy


def _refuse_alerts(settings: Settings) -> None:
    """Refuse alerts that would come back to the gateway, or say more than their way allows."""
    mail, alerts, delivery = settings.mail, settings.alerts, settings.delivery
    own = {mail.sender_address, mail.query_address, mail.verify_address, mail.service_address}
    for name in ("team", "people"):
        for entry in getattr(alerts, name):
            address = entry.partition("=")[2] if name == "people" else entry
            if address.lower() in {one.lower() for one in own} or address.endswith(f"@{mail.reply_domain}"):
                raise FaultError(
                    f"alerts.{name} names {address}, whose mail this gateway takes itself; name a mailbox of an expert.",
                    ExitCode.CONFIG,
                )
    protected = delivery.mode == "files" or (
        delivery.mode == "smarthost" and delivery.smarthost_tls != "none"
    )
    if alerts.form == "long" and not protected:
        raise FaultError(
            "alerts.form is long, but the way out is not protected; set delivery.mode to smarthost with "
            "delivery.smarthost_tls starttls or tls, or alerts.form to short.",
            ExitCode.CONFIG,
        )


def _refuse_contradictions(settings: Settings) -> None:
    """Refuse settings that are each fine but cannot work together."""
    smtp, mail = settings.smtp, settings.mail
    if (smtp.tls_certificate is None) != (smtp.tls_key is None):
        missing = "smtp.tls_key" if smtp.tls_key is None else "smtp.tls_certificate"
        raise FaultError(f"STARTTLS needs a certificate and its key; set {missing} as well.", ExitCode.CONFIG)
    if not mail.domains:
        raise FaultError("mail.domains is empty; name at least one domain to operate.", ExitCode.CONFIG)
    if mail.reply_domain in mail.domains:
        raise FaultError(
            f"mail.reply_domain is {mail.reply_domain}, which is also in mail.domains; "
            "reply addresses need a domain of their own.",
            ExitCode.CONFIG,
        )
    for name in ("sender_address", "query_address", "verify_address", "service_address"):
        address: str = getattr(mail, name)
        if address.rpartition("@")[2] not in mail.domains:
            raise FaultError(
                f"mail.{name} is {address}, but that domain is not in mail.domains; add it there or change the address.",
                ExitCode.CONFIG,
            )
    _refuse_alerts(settings)
    if settings.delivery.smarthost_password and settings.delivery.smarthost_tls == "none":
        raise FaultError(
            "delivery.smarthost_password would be sent unencrypted; set delivery.smarthost_tls to starttls or tls.",
            ExitCode.CONFIG,
        )
