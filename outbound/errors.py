"""What can go wrong before a mail is queued, as sentences for the person who wrote it."""

from __future__ import annotations


class ComposeError(Exception):
    """A mail cannot be composed: one sentence that says what is missing or unfit. Nothing was queued."""


class SigningError(Exception):
    """A mail cannot be signed, or a key cannot be used: one sentence. Never holds key material."""


class SealError(Exception):
    """What is stored sealed cannot be read: one sentence. Never holds what was sealed."""
