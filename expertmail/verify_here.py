"""Mounts ``expertmail verify`` with the identities and the DMARC mode of the settings, for where no option names them."""

from __future__ import annotations

import typer

from expertmail import verify_command
from expertmail.default_identities import default_identities
from expertmail.setting_names import any_is_set
from verifier.identity import Identity
from verifier.report import DmarcMode


def register(app: typer.Typer) -> None:
    """Put the command on an app."""
    verify_command.register(app, _identities, _dmarc_mode)


def _identities() -> tuple[Identity, ...]:
    """The identities of the file that EXPERTMAIL_CONFIG names and of the environment, or the defaults."""
    if not any_is_set():
        return default_identities()
    # Loaded only here: the settings take as long to load as all the rest of the command.
    from expertmail.identities import identities_in_force  # noqa: PLC0415
    from expertmail.settings import load  # noqa: PLC0415

    settings = load()
    return identities_in_force(settings.mail, settings.identities)


def _dmarc_mode() -> str:
    """The DMARC mode of the same settings, or the default."""
    if not any_is_set():
        return DmarcMode.RFC9989
    from expertmail.settings import load  # noqa: PLC0415

    return load().verifier.dmarc_mode
