"""Real mail servers set up as docs/admin-mta.md says, on loopback and free ports: Postfix, and Exim in Debian's own configuration."""

from __future__ import annotations

import os
import shutil
import smtplib
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from tests.recipes.document import block, files

GATEWAY: Final = "192.0.2.25"  # the document's; on this machine it is 127.0.0.1
OUTSIDE: Final = "127.0.0.9"  # from where the tests' clients come: neither gateway nor a trusted network
ARRIVAL_SECONDS: Final = 30
NOBODY: Final = 65_534
ROOT: Final = Path(__file__).parents[2]
EXIM_FOLDER: Final = ROOT / "build" / "exim4"
"""Where .ci/run unpacks Exim's packages, which cannot be installed beside Postfix."""


@dataclass(frozen=True)
class Place:
    """What a server of a test is to be: the set-up's name, its port, its own domain, and the gateway's port."""

    setup: str
    port: int
    local_domain: str | None
    gateway_port: int
    instead: Mapping[str, str]

    @property
    def people(self) -> dict[str, str]:
        """Addresses with a mailbox here, and their mailbox; contoso.test plays the world outside."""
        return {"alice@contoso.test": "alice"} | (
            {} if self.local_domain is None else {f"bob@{self.local_domain}": "bob"}
        )


class Mta(Protocol):
    """One running server."""

    port: int
    base: Path

    def log(self) -> str:
        """What it has logged."""

    def stop(self) -> None:
        """End it and remove its folder."""


def arrived(mta: Mta, box: str, count: int = 1) -> list[bytes]:
    """The mails in a box, oldest first, as they came: servers store lines with LF."""
    deadline = time.monotonic() + ARRIVAL_SECONDS
    while True:
        paths = sorted(mta.base.glob(f"boxes/{box}/new/*"), key=lambda path: path.stat().st_mtime_ns)
        if len(paths) >= count:
            return [path.read_bytes().replace(b"\n", b"\r\n") for path in paths]
        assert time.monotonic() < deadline, mta.log()[-3000:]
        time.sleep(0.1)


def client(port: int, source: str = OUTSIDE) -> smtplib.SMTP:
    """A mail server of somebody else."""
    return smtplib.SMTP("127.0.0.1", port, "mail.contoso.test", timeout=60, source_address=(source, 0))


class Postfix:
    """A Postfix of its own below a folder of its own."""

    def __init__(self, program: str, place: Place) -> None:
        self.program = program
        self.port = place.port
        # Short enough for sockets, and in no folder that others may write to.
        self.base = Path(f"/tmp/px{os.getpid()}")
        self.conf = self.base / "conf"
        for name in ("conf", "spool", "data", "boxes"):
            (self.base / name).mkdir(parents=True)
        self.base.chmod(0o755)
        shutil.chown(self.base / "data", "postfix")
        os.chown(self.base / "boxes", NOBODY, NOBODY)
        instead = {"/etc/postfix": str(self.conf), f"[{GATEWAY}]:25": f"[127.0.0.1]:{place.gateway_port}"}
        instead |= {"127.0.0.0/8": "127.0.0.1/32", GATEWAY: "127.0.0.1"} | dict(place.instead)
        recipe = files(f"{place.setup} postfix ", instead)
        commands = recipe.pop("commands", "postfix reload\n")
        (self.conf / "main.cf").write_text(self._main(place) + recipe.pop("main.cf"))
        for name, text in recipe.items():
            (self.conf / name).write_text(text)
        self._write_master()
        self.environment = os.environ | {"MAIL_CONFIG": str(self.conf)}
        self._run(program, "start")
        self._run("sh", "-ec", commands)

    def _main(self, place: Place) -> str:
        inside = place.setup == "addresses"  # there the domain is one of local users, elsewhere of mailboxes
        boxes = {a: b for a, b in place.people.items() if not (inside and b == "bob")}
        local = f"{{ bob = {self.base}/boxes/bob/ }}" if inside else ""
        domains = " ".join(sorted({address.partition("@")[2] for address in boxes}))
        maps = " ".join(f"{{ {address} = {box}/ }}" for address, box in boxes.items())
        return f"""compatibility_level = 3.6
queue_directory = {self.base}/spool
data_directory = {self.base}/data
mail_owner = postfix
setgid_group = postdrop
myhostname = mail.example.com
mydestination = {place.local_domain if inside else ""}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
virtual_mailbox_domains = {domains}
virtual_mailbox_base = {self.base}/boxes
virtual_mailbox_maps = inline:{{ {maps} }}
virtual_uid_maps = static:{NOBODY}
virtual_gid_maps = static:{NOBODY}
virtual_mailbox_limit = 0
mailbox_size_limit = 0
message_size_limit = 40000000
alias_maps = {f"inline:{{ {local} }}" if local else ""}
alias_database =
smtpd_peername_lookup = no
maillog_file = {self.base}/log
maillog_file_prefixes = {self.base}
"""

    def _write_master(self) -> None:
        (self.conf / "master.cf").write_text(
            f"127.0.0.1:{self.port} inet n - n - - smtpd\n"
            "pickup unix n - n 60 1 pickup\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\n"
            "tlsmgr unix - - n 1000? 1 tlsmgr\nrewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\n"
            "defer unix - - n - 0 bounce\ntrace unix - - n - 0 bounce\nverify unix - - n - 1 verify\n"
            "smtp unix - - n - - smtp\nlocal unix - n n - - local\nvirtual unix - n n - - virtual\n"
            "error unix - - n - - error\nretry unix - - n - - error\nanvil unix - - n - 1 anvil\n"
            "proxymap unix - - n - - proxymap\nscache unix - - n - 1 scache\npostlog unix-dgram n - n - 1 postlogd\n"
        )

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False, env=self.environment
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)

    def log(self) -> str:
        """What it has logged."""
        return (self.base / "log").read_text() if (self.base / "log").exists() else ""

    def stop(self) -> None:
        """End it and remove its folder."""
        subprocess.run([self.program, "stop"], check=False, capture_output=True, timeout=60, env=self.environment)
        shutil.rmtree(self.base)


class Exim:
    """An Exim of its own, with Debian's split configuration and Debian's program that puts it together."""

    def __init__(self, folder: Path, place: Place) -> None:
        self.port = place.port
        self.base = Path(f"/tmp/ex{os.getpid()}")
        self.conf = self.base / "exim4"
        self.base.mkdir()
        for name in ("spool", "logs", "boxes"):
            (self.base / name).mkdir()
            shutil.chown(self.base / name, "Debian-exim", "Debian-exim")
        (self.base / "mailname").write_text("mail.example.com\n")
        (self.base / "aliases").write_text("")
        shutil.copytree(folder / "etc" / "exim4", self.conf)
        self.program = folder / "usr" / "sbin" / "exim4"
        self._write_test_parts(place)
        instead = {"/etc/exim4": str(self.conf), f"{GATEWAY}::25": f"127.0.0.1::{place.gateway_port}"}
        instead |= {GATEWAY: "127.0.0.1"} | dict(place.instead)
        recipe = files(f"{place.setup} exim ", instead)
        (self.conf / "update-exim4.conf.conf").write_text(
            "dc_eximconfig_configtype='internet'\ndc_use_split_config='true'\n"
            f"dc_local_interfaces='127.0.0.1.{self.port}'\ndc_other_hostnames='{place.local_domain or ''}'\n"
            + recipe.pop("update-exim4.conf.conf", "")
        )
        for name, text in recipe.items():
            # Snippets lie in conf.d, lists beside it.
            (self.conf / "conf.d" / name if "/" in name else self.conf / name).write_text(text)
        self._assemble(folder)
        with (self.base / "errors").open("w") as errors:
            self.process = subprocess.Popen(
                [self.program, "-C", self.base / "exim.conf", "-bdf", "-q5s", "-oP", self.base / "pid"],
                stdout=errors, stderr=errors,
            )  # fmt: skip
        self._wait()

    def _write_test_parts(self, place: Place) -> None:
        """What a test needs beside the recipe: folders of its own, no question to any DNS, boxes for people."""
        parts = self.conf / "conf.d"
        (parts / "main" / "000_test").write_text(
            f"CONFDIR = {self.conf}\nSPOOLDIR = {self.base}/spool\nlog_file_path = {self.base}/logs/%slog\n"
            "DC_minimaldns = 1\nMAIN_HARDCODE_PRIMARY_HOSTNAME = mail.example.com\ndeliver_drop_privilege = true\n"
        )
        people = " : ".join(place.people)
        (parts / "router" / "170_test").write_text(
            f"people:\n  driver = accept\n  condition = ${{if inlist{{$local_part@$domain}}{{{people}}}}}\n"
            "  local_parts = alice : bob\n  transport = people\n"
        )
        (parts / "transport" / "90_test").write_text(
            f"people:\n  driver = appendfile\n  directory = {self.base}/boxes/$local_part_data\n"
            "  maildir_format\n  delivery_date_add\n  envelope_to_add\n  return_path_add\n  user = Debian-exim\n"
        )
        for path in (path for path in parts.rglob("*") if path.is_file()):
            text = path.read_text()
            for theirs, ours in (("/usr/sbin/exim4", str(self.program)), ("/etc/aliases", f"{self.base}/aliases")):
                text = text.replace(theirs, ours)
            path.write_text(text)

    def _assemble(self, folder: Path) -> None:
        script = (folder / "usr" / "sbin" / "update-exim4.conf").read_text()
        script = script.replace("/etc/mailname", f"{self.base}/mailname")
        # Debian trusts all of the same machine; in the tests the gateway at 127.0.0.1 is another one.
        script = script.replace("; 127.0.0.1 ; ::1", "; 127.0.0.3 ; ::1").replace(
            ": 127.0.0.1 : ::::1", ": 127.0.0.3 : ::::1"
        )
        made = self.base / "update-exim4.conf"
        made.write_text(script)
        done = subprocess.run(
            ["/bin/sh", made, "-d", self.conf, "-o", self.base / "exim.conf"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        checked = subprocess.run(
            [self.program, "-C", self.base / "exim.conf", "-bV"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert checked.returncode == 0, checked.stderr + checked.stdout

    def _wait(self) -> None:
        deadline = time.monotonic() + ARRIVAL_SECONDS
        while True:
            assert self.process.poll() is None, self.log()
            try:
                smtplib.SMTP("127.0.0.1", self.port, timeout=5).quit()
            except (smtplib.SMTPException, OSError):
                assert time.monotonic() < deadline, self.log()
                time.sleep(0.1)
            else:
                return

    def log(self) -> str:
        """What it has logged."""
        found = [self.base / "errors", *(self.base / "logs").glob("*log")]
        return "\n".join(path.read_text(errors="replace") for path in found)

    def stop(self) -> None:
        """End it and remove its folder."""
        self.process.terminate()
        self.process.wait(30)
        shutil.rmtree(self.base)


def gateway_settings(setup: str, instead: Mapping[str, str]) -> str:
    """The gateway's settings of a set-up."""
    return block(f"{setup} gateway", instead)
