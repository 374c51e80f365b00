"""docs/admin-watch.md tells every log line and every metric that the program has, and none that it has not."""

from __future__ import annotations

import ast
import re
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml
from structlog.testing import capture_logs

from expertmail.watching import tell_worker_event
from outbound.worker import EventKind, WorkerEvent
from tests.proofs.served import Served
from tests.recipes.document import block, pages

ROOT = Path(__file__).parents[2]
ROOMS = ("expertmail", "smtp_gateway", "outbound", "threads", "verifier")
LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error", "critical": "critical"}
_NAMES = re.compile(r"`([^`]+)`")


def cells(heading: str) -> Iterator[list[str]]:
    """The rows of all tables below a heading, without their heads."""
    section = pages()["admin-watch.md"].partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    for table in re.findall(r"^\|.*\n\|---.*\n((?:\|.*\n)+)", section, re.MULTILINE):
        for row in table.splitlines():
            yield [cell.strip() for cell in row.strip("|").split("|")]


def is_log(node: ast.expr) -> bool:
    """Whether an expression is one of our loggers: by house rule each is called ``log`` or ``_log``."""
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return name in {"log", "_log"}


def trees() -> Iterator[tuple[str, ast.Module]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


def written() -> set[tuple[str, str]]:
    """Event and level of every line that the code can write; fails where an event is not a plain string."""
    found = set()
    for name, tree in trees():
        called = set()
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if node.func.attr not in LEVELS or not is_log(node.func.value):
                continue
            event = node.args[0]
            assert isinstance(event, ast.Constant), f"{name}:{node.lineno}: an event that only a run can tell"
            found.add((event.value, LEVELS[node.func.attr]))
            called.add(node.func)
        # A method that is handed on would escape this test; one place does so, and is asked itself below.
        handed = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and n.attr in LEVELS and is_log(n.value)]
        assert set(handed) == called or name == "expertmail/watching.py", name
    with capture_logs() as lines:
        for kind in EventKind:
            tell_worker_event(WorkerEvent(kind, 1, "a@b.test", None, ""))
    return found | {(line["event"], line["log_level"]) for line in lines}


def test_every_logger_has_the_name_by_which_its_lines_are_found() -> None:
    makers = {"get_logger", "getLogger", "bind"}
    for name, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
                made = node.value.func
                if isinstance(made, ast.Attribute) and made.attr in makers and (
                    made.attr != "bind" or is_log(made.value)
                ):
                    assert all(is_log(target) or name == "expertmail/logs.py" for target in node.targets), name


def test_every_log_line_stands_in_the_table_and_no_other() -> None:
    told = [(event, row[1]) for row in cells("Log lines") for event in _NAMES.findall(row[0])]
    assert len(told) == len(set(told))
    assert set(told) == written()
    assert all(row[2] for row in cells("Log lines"))


def test_every_metric_stands_in_the_table_and_no_other(serve: Callable[..., Served]) -> None:
    served = serve()
    served.start()
    with urllib.request.urlopen(f"http://127.0.0.1:{served.console_port}/metrics", timeout=10) as answer:
        page = answer.read().decode()
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE))
    exported = {(name, kind) for name, kind in kinds.items() if not name.endswith("_created")}
    told = {(row[0].strip("`").partition("{")[0], row[1]) for row in cells("Metrics")}
    assert told == exported


def test_the_alerts_ask_for_metrics_that_there_are() -> None:
    told = {row[0].strip("`").partition("{")[0] for row in cells("Metrics")}
    rules = yaml.safe_load(block("alerts prometheus", {}))["groups"][0]["rules"]
    asked = {name for rule in rules for name in re.findall(r"expertmail_\w+", rule["expr"])}
    assert {name.removesuffix("_bucket") for name in asked} <= told
    assert all(rule["alert"] and rule["for"] for rule in rules)
