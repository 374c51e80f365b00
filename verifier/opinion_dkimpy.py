"""The second implementation's process: reads requests from stdin, answers on stdout, ends with its input.

It runs apart because dkimpy can take seconds over a hostile message and leaks exceptions of many kinds. It
gets the key records with each request and asks no DNS.

A frame is its length in 4 octets, most significant first, and its content. A request holds a line of JSON
{"signature": number from the top, "txt": {absolute name: text}} and the message; an answer is a word of
``Opinion``.
"""

from __future__ import annotations

import json
import signal
import sys
from types import ModuleType
from typing import Any, BinaryIO, Final

if __name__ == "__main__":
    # dkimpy looks for a resolver when it is loaded, which takes as long as all the rest. This process asks no DNS.
    no_dns = ModuleType("dkim.dnsplug")
    no_dns.get_txt = None  # type: ignore[attr-defined]
    sys.modules[no_dns.__name__] = no_dns

import dkim

from verifier.dkim_reason import DkimError
from verifier.dkim_signature import read_signature
from verifier.evidence import Opinion
from verifier.message import read_message

MAX_SECONDS: Final = 10  # of wall time for a request; the parent's deadline is shorter, but parents can die
_LENGTH_OCTETS: Final = 4


class _SigningTime:
    """Stands in for dkimpy's clock. The times were judged by ours, which may be one of the past."""

    def __init__(self) -> None:
        self.now = 0

    def time(self) -> int:
        return self.now


_CLOCK: Final = _SigningTime()


def opinion_of(raw: bytes, signature: int, txt: dict[str, str]) -> Opinion:
    """Dkimpy's word on one signature; the one place where it verifies. Never raises."""
    records = {name.rstrip(".").lower(): text for name, text in txt.items()}

    def answer(name: bytes | str, timeout: float = 0) -> bytes | None:  # noqa: ARG001 - dkimpy passes it by name
        text = name if isinstance(name, str) else name.decode("utf-8", "replace")
        found = records.get(text.rstrip(".").lower())
        return None if found is None else found.encode("utf-8", "surrogateescape")

    try:
        _CLOCK.now = _time_of(raw, signature)
        verified = dkim.DKIM(raw, minkey=1024).verify(idx=signature, dnsfunc=answer)
    except dkim.DKIMException:
        return Opinion.FAIL
    except Exception:  # noqa: BLE001 - dkimpy leaks IndexError, ValueError and more; that is no opinion
        return Opinion.SKIPPED
    return Opinion.PASS if verified is True else Opinion.FAIL


def _time_of(raw: bytes, signature: int) -> int:
    """A time at which the signature is neither expired nor of the future."""
    fields = read_message(raw).named(b"dkim-signature")
    try:
        read = read_signature(fields[signature])
    except (DkimError, IndexError):
        return 0
    return read.time or read.expires or 0


def answer_request(request: bytes) -> Opinion:
    """The answer to one request's content; what is no request is skipped."""
    head, _, raw = request.partition(b"\n")
    try:
        wanted: Any = json.loads(head)
        return opinion_of(raw, int(wanted["signature"]), {str(k): str(v) for k, v in wanted["txt"].items()})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Opinion.SKIPPED


def main(requests: BinaryIO, answers: BinaryIO) -> None:
    """Serve until the input ends."""
    dkim.time = _CLOCK
    _send(answers, b"ready")
    while (content := _receive(requests)) is not None:
        signal.alarm(MAX_SECONDS)  # its default action ends the process
        word = answer_request(content)
        signal.alarm(0)
        _send(answers, word.encode())


def _receive(stream: BinaryIO) -> bytes | None:
    length = stream.read(_LENGTH_OCTETS)
    if len(length) < _LENGTH_OCTETS:
        return None
    wanted = int.from_bytes(length, "big")
    content = stream.read(wanted)
    return content if len(content) == wanted else None


def _send(stream: BinaryIO, content: bytes) -> None:
    stream.write(len(content).to_bytes(_LENGTH_OCTETS, "big") + content)
    stream.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ^C is for the parent, which ends our input
    try:
        main(sys.stdin.buffer, sys.stdout.buffer)
    except BrokenPipeError:
        sys.stderr.close()
