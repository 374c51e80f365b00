"""What a service manager hands over and wants to hear: sd_listen_fds(3) and sd_notify(3), without systemd's library."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from expertmail.faults import ExitCode, FaultError

FIRST_DESCRIPTOR: Final = 3
READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"
# Meant for one process and no other: whoever is started by us must not see them.
VARIABLES: Final = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET")
_NAMES: Final = ("smtp", "console")


@dataclass(frozen=True, slots=True)
class HandedOver:
    """Descriptors of listening sockets; empty where we have to bind ourselves."""

    smtp: tuple[int, ...] = ()
    console: tuple[int, ...] = ()


def handed_over() -> HandedOver:
    """The sockets of a ``.socket`` unit, by ``FileDescriptorName=`` smtp or console, else in this order.

    Raises FaultError for anything that is no listening TCP socket, or has another name.
    """
    pid, count = os.environ.pop("LISTEN_PID", ""), os.environ.pop("LISTEN_FDS", "")
    names = os.environ.pop("LISTEN_FDNAMES", "").lower().split(":")
    if pid != str(os.getpid()) or not count.isdecimal():
        return HandedOver()
    found: dict[str, list[int]] = {name: [] for name in _NAMES}
    named = any(name in _NAMES for name in names)
    for place in range(int(count)):
        number = FIRST_DESCRIPTOR + place
        given = names if named else _NAMES
        name = given[place] if place < len(given) else ""
        if name not in found or not _listens(number):
            raise FaultError(
                f"The service manager handed over descriptor {number}, which is not expected; give the sockets "
                "FileDescriptorName=smtp and FileDescriptorName=console, and ListenStream= with a TCP port.",
                ExitCode.CONFIG,
            )
        os.set_inheritable(number, False)  # noqa: FBT003 - the interface has no name for it
        found[name].append(number)
    return HandedOver(tuple(found["smtp"]), tuple(found["console"]))


def notify(*lines: str) -> None:
    """Tell the service manager, if there is one, e.g. ``READY``. Never raises: nothing depends on it."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    where = "\0" + address[1:] if address.startswith("@") else address
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.connect(where)
        told.sendall("\n".join(lines).encode())


def reloading(monotonic_seconds: float) -> tuple[str, str]:
    """The lines that tell of a reload; READY ends it."""
    return "RELOADING=1", f"MONOTONIC_USEC={int(monotonic_seconds * 1_000_000)}"


def _listens(number: int) -> bool:
    try:
        if not stat.S_ISSOCK(os.fstat(number).st_mode):
            return False
        with socket.socket(fileno=os.dup(number)) as one:
            tcp = one.family in (socket.AF_INET, socket.AF_INET6) and one.type == socket.SOCK_STREAM
            return tcp and bool(one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        return False


def keeps(descriptor: int) -> bool:
    """Whether what is written to a descriptor goes into the service manager's journal (systemd.exec(5), JOURNAL_STREAM)."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        found = os.fstat(descriptor)
    except OSError:
        return False
    return (device, inode) == (str(found.st_dev), str(found.st_ino))
