"""The files of a gateway: folder, keys, reply secret, zone. Made once, never overwritten, found again.

In delivery mode ``files`` nobody outside is concerned, so the world brings its own DNS: a zone file with
the records of the operated domains and of a sample customer, ``contoso.test``, who mails from this machine.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from expertmail.faults import ExitCode, FaultError
from expertmail.identities import identities_in_force
from expertmail.settings import Settings
from expertmail.signing_keys import key_file, keys_in_force, rotation_file, second_key
from outbound.errors import SigningError
from outbound.key_files import generate_key, load_key
from outbound.key_rotation import ED25519_SUFFIX, KeysInForce
from outbound.sign import SecondKey, SigningKey, dns_record
from threads.reply_address import MIN_KEY_BYTES, ReplyAddresses
from verifier.identity import Identity
from verifier.zone import Record, Zone, ZoneError, read_zone, write_zone

SAMPLE_CUSTOMER = "contoso.test"
_PRIVATE_FOLDER = 0o700
_PRIVATE_FILE = 0o600
_REPLY_SECRET_BYTES = 32
_CONSOLE_SECRET_BYTES = 32
_MAX_SECRETS_BYTES = 10_000


@dataclass(frozen=True, slots=True)
class World:
    """Everything that files hold, read. Secrets do not show in its repr."""

    settings: Settings
    key: SigningKey
    keys: KeysInForce  # which selectors are whose
    replies: ReplyAddresses = field(repr=False)
    identities: tuple[Identity, ...]
    zone: Zone | None
    console_key: bytes = field(
        default=b"", repr=False
    )  # seals what browsers keep for the console, and second factors
    second: SecondKey | None = None  # makes the second signature, where there is such a key
    made: tuple[str, ...] = ()  # what this start has made, in words for a person

    @property
    def outbox(self) -> Path:
        """Where mode ``files`` delivers to."""
        return self.settings.data_dir / "outbox"


def database_url(settings: Settings) -> str:
    """The URL of the record; a secret if it holds a password."""
    if settings.database.url is not None:
        return settings.database.url.get_secret_value()
    return f"sqlite:///{(settings.data_dir / 'expertmail.db').absolute()}"


def key_path(settings: Settings, selector: str | None = None) -> Path:
    """The file of the key of a selector (of the one that signs)."""
    return key_file(settings, selector or keys_in_force(settings).signs.rsa)


def zone_path(settings: Settings) -> Path | None:
    """The zone file in force: the one of the settings, or our own in mode ``files``."""
    if settings.dns.zone is not None:
        return settings.dns.zone
    return _trial_zone(settings) if settings.delivery.mode == "files" else None


def _trial_zone(settings: Settings) -> Path:
    return settings.data_dir / "zone.db"


def open_world(settings: Settings) -> World:
    """Read the world's files, and make those that are missing. Raises FaultError."""
    made: list[str] = []
    _make_folder(settings.data_dir)
    identities = identities_in_force(settings.mail, settings.identities)
    key = _signing_key(settings, made)
    keys = keys_in_force(settings)
    second = _second_key(settings, keys)
    replies = _reply_addresses(settings, made)
    zone = _zone(settings, key, second, made)
    sealing = _console_key(settings, made)
    world = World(settings, key, keys, replies, identities, zone, sealing, second, tuple(made))
    if settings.delivery.mode == "files":
        _make_folder(world.outbox)
    return world


def _make_folder(folder: Path) -> None:
    """Make a folder that only we read, and see that it can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=_PRIVATE_FOLDER)
        writable = os.access(folder, os.W_OK | os.X_OK)
    except OSError as error:
        raise FaultError(
            f"The folder {folder} cannot be made ({error.strerror}); set data_dir to a folder that can be "
            "written.",
            ExitCode.CANNOT_CREATE,
        ) from error
    if not writable:
        raise FaultError(
            f"The folder {folder} cannot be written; make it writable or set data_dir to another one.",
            ExitCode.CANNOT_CREATE,
        )


def _signing_key(settings: Settings, made: list[str]) -> SigningKey:
    path = key_path(settings)
    try:
        # With a rotation on record a key that is missing is lost: another one under its selector helps nobody.
        if path.exists() or rotation_file(settings).exists():
            key = load_key(path)
        else:
            key = generate_key(path)
            made.append(f"DKIM key {path}")
            # A trial brings its own zone, and so shows both signatures. Elsewhere records have to be published first.
            if zone_path(settings) == _trial_zone(settings) and not _trial_zone(settings).exists():
                generate_key(path.with_name(f"{path.stem}{ED25519_SUFFIX}.pem"), kind="ed25519")
    except SigningError as error:
        raise FaultError(str(error), ExitCode.CONFIG) from error
    if key.algorithm != b"rsa-sha256":
        raise FaultError(
            f"The DKIM key {path} is not RSA, which every receiver can verify; set dkim.selector to an RSA key. "
            "An Ed25519 key signs beside it: expertmail keys rotate makes both.",
            ExitCode.CONFIG,
        )
    return key


def _second_key(settings: Settings, keys: KeysInForce) -> SecondKey | None:
    try:
        return second_key(settings, keys)
    except SigningError as error:
        raise FaultError(str(error), ExitCode.CONFIG) from error


def _reply_addresses(settings: Settings, made: list[str]) -> ReplyAddresses:
    given = tuple(key.get_secret_value().encode() for key in settings.reply_keys)
    path = settings.data_dir / "reply.key"
    source = "reply_keys" if given else str(path)
    if not given:
        if not path.exists():
            write_private(path, secrets.token_hex(_REPLY_SECRET_BYTES) + "\n")
            made.append(f"secret of the reply addresses {path}")
        given = tuple(line.encode() for line in read_private(path).split())
    try:
        return ReplyAddresses(given, settings.mail.reply_domain)
    except ValueError:
        raise FaultError(
            f"{source} needs at least one secret, and each has to have at least {MIN_KEY_BYTES} characters.",
            ExitCode.CONFIG,
        ) from None


def _console_key(settings: Settings, made: list[str]) -> bytes:
    path = settings.data_dir / "console.key"
    if not path.exists():
        write_private(path, secrets.token_hex(_CONSOLE_SECRET_BYTES) + "\n")
        made.append(f"secret of the console {path}")
    found = read_private(path).strip().encode()
    if len(found) < 2 * _CONSOLE_SECRET_BYTES:
        raise FaultError(
            f"{path} needs one secret of at least {2 * _CONSOLE_SECRET_BYTES} characters.", ExitCode.CONFIG
        )
    return found


def _zone(settings: Settings, key: SigningKey, second: SecondKey | None, made: list[str]) -> Zone | None:
    path = zone_path(settings)
    if path is None:
        return None
    if settings.dns.zone is None and not path.exists():
        text = "; Made by expertmail for a trial on this machine. Edit it freely; it is not made again.\n"
        write_private(path, text + write_zone(trial_records(settings, key, second)))
        made.append(f"zone file {path}")
    try:
        return read_zone(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise FaultError(
            f"The zone file {path} cannot be read ({error.strerror}); check dns.zone.", ExitCode.NO_INPUT
        ) from error
    except (ZoneError, UnicodeDecodeError) as error:
        raise FaultError(f"The zone file {path} cannot be used: {error}.", ExitCode.DATA) from error


def public_records(settings: Settings, key: SigningKey, second: SecondKey | None = None) -> Iterator[Record]:
    """The records to publish for the operated domains: MX, SPF, DKIM, DMARC (RFC 5321, 7208, 6376, 9989)."""
    mail = settings.mail
    for domain in dict.fromkeys((*mail.domains, mail.reply_domain)):
        yield Record(domain, "MX", f"10 {settings.hostname}.")
        yield Record(domain, "TXT", "v=spf1 mx -all")
    signing = {keys_in_force(settings).signs.rsa: key}
    if second is not None:
        signing[second.selector] = second.key
    for selector, one in signing.items():
        yield Record(f"{selector}._domainkey.{settings.sender_domain}", "TXT", dns_record(one))
    for domain in mail.domains:
        yield Record(f"_dmarc.{domain}", "TXT", "v=DMARC1; p=reject")


def trial_records(settings: Settings, key: SigningKey, second: SecondKey | None = None) -> Iterator[Record]:
    """The records of a trial: what would be published, this machine's address, and the sample customer."""
    names = (*settings.mail.domains, settings.mail.reply_domain, SAMPLE_CUSTOMER)
    for domain in dict.fromkeys(names):
        yield Record(
            domain, "SOA", f"{settings.hostname}. postmaster.{settings.sender_domain}. 1 3600 600 86400 60"
        )
        yield Record(domain, "NS", f"{settings.hostname}.")
    yield Record(settings.hostname, "A", "127.0.0.1")
    yield from public_records(settings, key, second)
    yield Record(SAMPLE_CUSTOMER, "MX", f"10 mail.{SAMPLE_CUSTOMER}.")
    yield Record(f"mail.{SAMPLE_CUSTOMER}", "A", "127.0.0.1")
    yield Record(SAMPLE_CUSTOMER, "TXT", "v=spf1 ip4:127.0.0.0/8 ip6:::1 -all")
    yield Record(f"_dmarc.{SAMPLE_CUSTOMER}", "TXT", "v=DMARC1; p=reject")


def add_to_trial_zone(settings: Settings, key: SigningKey, selector: str) -> Path | None:
    """Append a new key's record to our own zone file, if there is one; returns the file."""
    path = zone_path(settings)
    if path is None or settings.dns.zone is not None or not path.exists():
        return None
    name = f"{selector}._domainkey.{settings.sender_domain}"
    with path.open("a", encoding="utf-8") as file:
        file.write(write_zone([Record(name, "TXT", dns_record(key))]))
    return path


def write_private(path: Path, text: str) -> None:
    """Write a new file that only we read; FaultError when it exists or cannot be written."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE_FILE), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise FaultError(
            f"{path} cannot be written ({error.strerror}); make its folder writable.", ExitCode.CANNOT_CREATE
        ) from error


def read_private(path: Path) -> str:
    """Read a file with secrets; FaultError when others may read it."""
    try:
        with path.open("rb") as file:
            open_to_others = stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077
            data = file.read(_MAX_SECRETS_BYTES)
    except OSError as error:
        raise FaultError(f"{path} cannot be read ({error.strerror}).", ExitCode.NO_INPUT) from error
    if open_to_others:
        raise FaultError(f"{path} may be read by others; run chmod 600 {path}.", ExitCode.CONFIG)
    return data.decode("utf-8", "replace")
