"""Giving root up: done once, after the sockets are bound and before anything of the outside is read."""

from __future__ import annotations

import os
import pwd
import sys

import structlog

from expertmail.faults import ExitCode, FaultError

_log = structlog.get_logger("expertmail")


def drop_privileges(user: str | None) -> None:
    """Become ``user`` if we are root; groups first, for they can no longer be changed afterwards.

    Raises FaultError when there is no such account or the system does not let us.
    """
    if os.geteuid() != 0:
        if user is not None and user not in (str(os.geteuid()), _name()):
            _log.warning("smtp.user is not used: not started as root", user=user, runs_as=_name())
        return
    if user is None:
        _log.warning("runs as root: set smtp.user to an account that owns the data folder")
        return
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        raise FaultError(
            f"smtp.user is {user}, but there is no such account; make it, e.g. with "
            f"adduser --system --group {user}.",
            ExitCode.CONFIG,
        ) from None
    try:
        os.initgroups(account.pw_name, account.pw_gid)
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
    except OSError as error:
        raise FaultError(
            f"The gateway cannot become {user} ({error.strerror}); let the service manager start it as "
            "that account, and take smtp.user away.",
            ExitCode.CONFIG,
        ) from error
    if not os.access(sys.executable, os.X_OK):
        raise FaultError(
            f"{user} may not run {sys.executable}, which workers are started with; install expertmail where "
            "every account may read it, e.g. in /opt.",
            ExitCode.CONFIG,
        )
    _log.info("runs as", user=user)


def _name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
