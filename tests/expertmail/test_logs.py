"""Logs hold what an admin needs, one line each, and nothing that people wrote."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from expertmail import logs
from expertmail.setting_sections import LogSettings


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def logged(form: str, *, level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    logs.configure(LogSettings(format=form, level=level), stream)
    return stream


def test_a_line_is_one_json_object() -> None:
    stream = logged("auto")
    structlog.get_logger("smtp_gateway").info("accepted", message="01ABC", connection="01XYZ", size=7)
    (line,) = stream.getvalue().splitlines()
    found = json.loads(line)
    assert (found["event"], found["message"], found["connection"]) == ("accepted", "01ABC", "01XYZ")


def test_what_a_peer_sent_cannot_write_lines_of_its_own() -> None:
    stream = logged("text")
    structlog.get_logger().info("hello", helo="a\r\n2026 accepted\x1b[2J", reply=b"\r\n")
    assert len(stream.getvalue().splitlines()) == 1
    assert "\x1b[2J" not in stream.getvalue()


def test_content_and_secrets_are_dropped_and_long_values_cut() -> None:
    stream = logged("json")
    structlog.get_logger().info("x", raw=b"From: a", text="words", password="hunter2", cause="y" * 10_000)
    assert "From: a" not in stream.getvalue()
    assert "hunter2" not in stream.getvalue()
    assert len(stream.getvalue()) < 1_000


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_traceback_shows_no_local_variables(form: str) -> None:
    stream = logged(form)

    def broken() -> None:
        held = b"Dear experts, " + b"our password"
        raise ValueError(len(held))

    try:
        broken()
    except ValueError as error:
        structlog.get_logger().error("fault", exc_info=error)
    assert "ValueError" in stream.getvalue()
    assert "Dear experts, our password" not in stream.getvalue()


def test_the_level_holds_for_our_lines_and_libraries_only_warn() -> None:
    stream = logged("json", level="warning")
    structlog.get_logger().info("quiet")
    logging.getLogger("some.library").info("quiet")
    logging.getLogger("some.library").warning("loud")
    assert "quiet" not in stream.getvalue()
    assert json.loads(stream.getvalue())["event"] == "loud"


class SmallDisk(io.StringIO):
    """A stream that cannot write while it is full."""

    full = False

    def write(self, text: str) -> int:
        return 0 if self.full else super().write(text)

    def flush(self) -> None:
        if self.full:
            raise OSError(28, "No space left on device")


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_log_that_cannot_be_written_stops_nobody_and_is_told_of_later(form: str) -> None:
    stream = SmallDisk()
    logs.configure(LogSettings(format=form, level="info"), stream)
    structlog.get_logger().info("first")
    stream.full = True
    structlog.get_logger().info("second")
    logging.getLogger("expertmail").warning("third")
    stream.full = False
    structlog.get_logger().info("fourth")
    structlog.get_logger().info("fifth")
    lines = [line for line in stream.getvalue().splitlines() if line]
    assert len(lines) == 4
    for line, event in zip(lines, ("first", "could not be written", "fourth", "fifth"), strict=True):
        assert event in line
    if form == "json":
        assert all(json.loads(line) for line in lines)
