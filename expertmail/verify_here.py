"""Mounts ``expertmail verify`` with the identities that the settings name, for where ``--identity`` does not."""

from __future__ import annotations

import typer

from expertmail import verify_command
from expertmail.identities import identities_in_force
from expertmail.settings import load
from verifier.identity import Identity


def register(app: typer.Typer) -> None:
    """Put the command on an app."""
    verify_command.register(app, _identities)


def _identities() -> tuple[Identity, ...]:
    """The identities of the file that EXPERTMAIL_CONFIG names and of the environment, or the defaults."""
    settings = load()
    return identities_in_force(settings.mail, settings.identities)
