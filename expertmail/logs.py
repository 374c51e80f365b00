"""Logs: one JSON object a line, or text on a terminal. Ids tie the lines of one message together.

What is logged is named by the caller; this module makes sure that nothing else gets in: no value is longer
than ``MAX_VALUE``, control characters are escaped, and fields that could hold content or secrets are dropped.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO, cast

import structlog
import structlog.tracebacks

from expertmail.setting_sections import LogSettings

MAX_VALUE = 500  # characters of one value; a log line is for finding things, not for keeping them
_NEVER = frozenset({"raw", "body", "content", "text", "password", "secret", "key", "token", "quoted"})

# Local variables of a traceback hold message bytes and secrets: never shown.
_TRACEBACKS = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


def configure(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Send structlog's and the libraries' lines to ``stream`` (stderr) in the form that the settings ask for."""
    plain = stream or sys.stderr
    as_json = settings.format == "json" or (settings.format == "auto" and not plain.isatty())
    # It writes and flushes, which is all that loggers and handlers ask for.
    stream = cast("TextIO", _Unfailing(plain, as_json=as_json))
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        discreet,
    ]
    final: list[Any] = (
        [_TRACEBACKS, structlog.processors.JSONRenderer(serializer=_as_json)]
        if as_json
        else [
            structlog.dev.ConsoleRenderer(
                colors=plain.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    )
    structlog.configure(
        processors=[*shared, *final],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))  # libraries speak up only when something is wrong
    for room in ("verifier", "threads", "outbound", "smtp_gateway", "expertmail"):
        logging.getLogger(room).setLevel(level)


class _Unfailing:
    """A stream that drops what cannot be written: a full disk under the log must stop no mail.

    A line of its own tells of the loss, once there is room again.
    """

    def __init__(self, stream: TextIO, *, as_json: bool) -> None:
        told = "log lines could not be written before this one"
        self._note = f'\n{{"event": "{told}", "level": "warning"}}\n' if as_json else f"\n{told}\n"
        self._stream = stream
        self._lost = False

    def write(self, text: str) -> int:
        """Write and flush; never raises for what the disk or the reader at the other end does."""
        try:
            self._stream.write(self._note + text if self._lost else text)
            self._stream.flush()
        except OSError:
            self._lost = True
        else:
            self._lost = False
        return len(text)

    def flush(self) -> None:
        """Each write has been flushed."""


# Made once: json.dumps makes a new encoder for each call that has options.
_ENCODER = json.JSONEncoder(default=repr)


def _as_json(event: object, **_options: object) -> str:
    return _ENCODER.encode(event)


def discreet(logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Drop fields that may hold content or secrets, and shorten long values."""
    del logger, method
    for name in _NEVER & event.keys():
        del event[name]
    for name, value in event.items():
        if isinstance(value, bytes):
            event[name] = value[:MAX_VALUE].decode("latin-1").encode("unicode_escape").decode()
        elif isinstance(value, str):
            event[name] = _printable(value)
    return event


def _printable(value: str) -> str:
    """The value on one line: what a peer sent must not be able to write lines of its own."""
    short = value if len(value) <= MAX_VALUE else value[:MAX_VALUE] + "…"
    return short if short.isprintable() else short.encode("unicode_escape").decode()
