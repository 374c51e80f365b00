"""Which DKIM keys sign, which are the next, and where their files are.

Without a rotation the setting ``dkim.selector`` names the key, and an Ed25519 key beside it signs, too. `keys rotate` keeps what it did
in ``keys/DOMAIN.rotation.json``; that goes until somebody gives the setting another value.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from expertmail.faults import ExitCode, FaultError
from expertmail.settings import Settings
from outbound.errors import SigningError
from outbound.key_files import load_key, read_state
from outbound.key_rotation import ED25519_SUFFIX, KeysInForce, Pair, read
from outbound.sign import SecondKey, SigningKey, zone_line


def key_file(settings: Settings, selector: str) -> Path:
    """The file of a key of the sender's domain."""
    return keys_folder(settings) / f"{settings.sender_domain}.{selector}.pem"


def keys_folder(settings: Settings) -> Path:
    """Where keys are."""
    return settings.data_dir / "keys"


def rotation_file(settings: Settings) -> Path:
    """Where `keys rotate` keeps what stands where."""
    return keys_folder(settings) / f"{settings.sender_domain}.rotation.json"


def keys_in_force(settings: Settings) -> KeysInForce:
    """Read it. Raises FaultError for a file that cannot be used."""
    chosen = settings.dkim.selector
    path = rotation_file(settings)
    try:
        text = read_state(path)
        keys = None if text is None else read(text)
    except SigningError as error:
        raise FaultError(
            f"{path} cannot be used: {str(error).rstrip('.')}. Restore it from a backup, or move it away and set "
            "dkim.selector to the key that is published.",
            ExitCode.CONFIG,
        ) from error
    beside = f"{chosen}{ED25519_SUFFIX}"
    named = Pair(chosen, beside if key_file(settings, beside).exists() else None)
    if keys is None:
        return KeysInForce(chosen, named)
    if chosen not in {keys.setting, keys.signs.rsa}:
        return replace(keys, setting=chosen, signs=named)
    return keys


def second_key(settings: Settings, keys: KeysInForce) -> SecondKey | None:
    """The Ed25519 key that signs, if there is one. Raises SigningError."""
    selector = keys.signs.ed25519
    return None if selector is None else SecondKey(selector, load_key(key_file(settings, selector)))


def selectors_with_files(settings: Settings) -> dict[str, Path]:
    """The files of the sender domain's keys by selector, in order."""
    prefix = settings.sender_domain + "."
    found = sorted(keys_folder(settings).glob(f"{prefix}*.pem"))
    return {path.name.removeprefix(prefix).removesuffix(".pem"): path for path in found}


def lines_to_publish(settings: Settings, keys: dict[str, SigningKey]) -> dict[str, str]:
    """The lines of a zone file for keys, by selector."""
    return {selector: zone_line(selector, settings.sender_domain, key) for selector, key in keys.items()}


def readable_keys(settings: Settings) -> dict[str, SigningKey]:
    """All keys whose files can be read; the others are told where they are needed."""
    found = {}
    for selector, path in selectors_with_files(settings).items():
        try:
            found[selector] = load_key(path)
        except SigningError:
            continue
    return found


def key_state(selector: str, keys: KeysInForce) -> str:
    """What a key does."""
    if selector in keys.signs.selectors:
        return "signs"
    if keys.next is not None and selector in keys.next.selectors:
        return "next"
    since = next((one.since for one in keys.retiring if selector in one.pair.selectors), None)
    return "unused" if since is None else f"signed until {since:%Y-%m-%d %H:%M} UTC"
