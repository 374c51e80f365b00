"""What this console is to an issuer of OpenID Connect, and what a sign-in by way of one is. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field


class OidcRefused(Exception):  # noqa: N818 - what happened; the sentence is for people
    """Nobody is signed in. ``sentence`` tells no secret; ``why`` is for the log."""

    def __init__(self, sentence: str, why: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.why = why


@dataclass(frozen=True, slots=True)
class Client:
    """What this console is to an issuer."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in that has begun: where the browser goes, and what it keeps meanwhile."""

    url: str
    state: str
    nonce: str
    verifier: str = field(repr=False)
