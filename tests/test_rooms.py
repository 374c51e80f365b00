"""The rooms hold: every module is known to decide or to do, and only what is a shell may touch the world."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("verifier", "threads", "outbound", "smtp_gateway")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONTRACTS = {contract["name"]: contract for contract in PROJECT["tool"]["importlinter"]["contracts"]}

# Modules that do: network, disk, database, clock or processes. All others decide, and `make check` holds them to it.
SHELLS = {
    "verifier.driver",
    "verifier.library",
    "verifier.opinion_dkimpy",
    "verifier.opinion_worker",
    "verifier.public_suffixes",
    "verifier.resolver",
    "verifier.zone",
    "verifier.zone_server",
    "outbound.connections",
    "outbound.delivery",
    "outbound.dialogue",
    "outbound.file_delivery",
    "outbound.https_post",
    "outbound.key_files",
    "outbound.mx",
    "outbound.seal",
    "outbound.smtp_replies",
    "outbound.subscriber_calls",
    "outbound.teams_caller",
    "outbound.telling",
    "outbound.template_files",
    "outbound.worker",
    "smtp_gateway.commands",
    "smtp_gateway.connection",
    "smtp_gateway.greeting",
    "smtp_gateway.intake",
    "smtp_gateway.judging",
    "smtp_gateway.listener",
    "smtp_gateway.message_data",
    "smtp_gateway.next_hop_session",
    "smtp_gateway.own_records",
    "smtp_gateway.protocol",
    "smtp_gateway.recipient_check",
    "smtp_gateway.reception",
    "smtp_gateway.record",
    "smtp_gateway.relay",
    "smtp_gateway.relay_release",
    "smtp_gateway.relay_transport",
    "smtp_gateway.server",
    "smtp_gateway.session_needs",
    "smtp_gateway.shared_memory",
    "smtp_gateway.spool",
    "smtp_gateway.turns",
}


def modules() -> set[str]:
    """All modules of the four rooms, but for tables, stores and migrations."""
    found = set()
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if parts[-1] == "__init__" or {"store", "schema", "migrations"} & set(parts):
                continue
            found.add(".".join(parts))
    return found


def test_every_module_either_decides_or_is_a_shell() -> None:
    deciding = set(CONTRACTS["Modules that decide do no I/O"]["source_modules"])
    assert deciding & SHELLS == set()
    assert modules() == deciding | SHELLS, "name each new module in pyproject.toml (it decides) or here (it does)"


def test_the_wheel_holds_the_rooms_and_the_samples_and_no_tests() -> None:
    packages = set(PROJECT["tool"]["setuptools"]["packages"])
    for folder in (*ROOMS, "expertmail"):
        for path in (ROOT / folder).rglob("__init__.py"):
            assert ".".join(path.parent.relative_to(ROOT).parts) in packages
    assert not {name for name in packages if name.startswith(("tests", "bench"))}
