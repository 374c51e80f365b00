"""Rotating keys."""

from __future__ import annotations

from tests.console.examples import Example

_ON = "/identities/keys"
EXAMPLES: tuple[Example, ...] = (
    Example("keys", lambda _: _ON, "nobody"),
    Example("keys-publish", lambda _: f"{_ON}/publish", "nobody"),
    Example("keys-see", lambda _: f"{_ON}/see", "nobody"),
    Example("keys-sign", lambda _: f"{_ON}/sign", "nobody"),
    Example("keys-retire", lambda _: f"{_ON}/retire", "nobody"),
)
