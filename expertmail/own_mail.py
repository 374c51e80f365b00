"""Reads mail that we have written ourselves, for people who look at it."""

from __future__ import annotations

from email import message_from_bytes, policy


def text_of(raw: bytes) -> str:
    """The text of a mail of ours."""
    body = message_from_bytes(raw, policy=policy.default).get_body(("plain",))
    return "" if body is None else str(body.get_content())


def html_of(raw: bytes) -> str | None:
    """Its HTML; None where it has none."""
    body = message_from_bytes(raw, policy=policy.default).get_body(("html",))
    return None if body is None else str(body.get_content())
