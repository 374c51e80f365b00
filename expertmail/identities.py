"""The protected identities that are in force: the operator's file, or the defaults."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from expertmail.default_identities import default_identities, operated_identity
from expertmail.faults import ExitCode, FaultError
from expertmail.setting_sections import MailSettings
from verifier.identity import Identity, IdentityError, parse_identities

OPERATED = "operated"
"""Name of the identity that is our own sender. An identity file with a sender of ours names it so, too."""


def operated(mail: MailSettings) -> Identity:
    """Our own sender: its one address is pinned, and everything it sends is signed."""
    domain = mail.sender_address.rpartition("@")[2]
    return operated_identity(domain, mail.sender_address, mail.sender_name, mail.reply_domain)


def identities_in_force(mail: MailSettings, file: Path | None) -> tuple[Identity, ...]:
    """The identities of ``file``, or the defaults. Raises FaultError for a file that cannot be used.

    Our own sender is always among them: a file that does not know its domain is added to, and one that knows it otherwise than
    the settings do is refused, for then our own verifier would let no mail of ours go.
    """
    own = operated(mail)
    if file is None:
        return default_identities(own)
    found = read_identities(file)
    domain = mail.sender_address.rpartition("@")[2]
    known = next((one for one in found if one.owns(domain)), None)
    if known is None:
        taken = any(one.name == own.name for one in found)
        return (*found, replace(own, name=OPERATED) if taken else own)
    for holds, what in (
        (known.pins(mail.sender_address), f"pin {mail.sender_address}; add it to its addresses"),
        (known.signs(domain), f"let {domain} sign; add it to its signing_domains"),
        (known.knows(mail.reply_domain), f"list {mail.reply_domain}; add it to its known_domains"),
    ):
        if not holds:
            raise FaultError(
                f"{file}: the identity {known.name} is that of our own sender and does not {what}, or give it "
                "another value in the settings (mail.sender_address, mail.reply_domain).",
                ExitCode.CONFIG,
            )
    return found


def read_identities(file: Path) -> tuple[Identity, ...]:
    """Read an identity file; FaultError in one sentence."""
    try:
        return parse_identities(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise FaultError(
            f"The identity file {file} cannot be read ({error.strerror}); check the path.", ExitCode.NO_INPUT
        ) from error
    except UnicodeDecodeError as error:
        raise FaultError(f"The identity file {file} is not UTF-8 text.", ExitCode.DATA) from error
    except IdentityError as error:
        raise FaultError(f"{file}: {error}", ExitCode.DATA) from error


def own_identity(mail: MailSettings, identities: tuple[Identity, ...]) -> str:
    """The name of the identity that our sender belongs to, or OPERATED when the file has none."""
    domain = mail.sender_address.rpartition("@")[2]
    return next((identity.name for identity in identities if identity.owns(domain)), OPERATED)
