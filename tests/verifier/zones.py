"""DNS worlds for tests: zones that can also fail, as evidence and as servers that misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from verifier.evidence import Absent, Answer, AnswerStatus, Evidence, Question

FAILURES = {
    "SERVFAIL": AnswerStatus.SERVFAIL,
    "TIMEOUT": AnswerStatus.TIMEOUT,
    "NXDOMAIN": AnswerStatus.NXDOMAIN,
    "NODATA": AnswerStatus.NODATA,
}


def txt(value: str | Iterable[str]) -> str:
    return value if isinstance(value, str) else "".join(value)


class World(Mapping[Question, Answer]):
    """A DNS of dictionaries: name -> type -> records, or name -> {"status": ...} for every type.

    Unlisted names do not exist unless something listed lies below them. ``asked`` keeps what was asked.
    """

    def __init__(self, names: Mapping[str, Mapping[str, Any]]) -> None:
        self.names = {name.lower().rstrip(".") + ".": types for name, types in names.items()}
        self.asked: list[Question] = []
        self.rounds = 0

    def __getitem__(self, question: Question) -> Answer:
        types = self.names.get(question.name)
        if types is None:
            below = any(
                name.endswith("." + question.name) and types.get("status") in {None, "NODATA"}
                for name, types in self.names.items()
            )
            return Answer(AnswerStatus.NODATA if below else AnswerStatus.NXDOMAIN)
        if "status" in types:
            return Answer(FAILURES[types["status"]])
        records = types.get(question.type)
        if not records:
            return Answer(AnswerStatus.NODATA)
        return Answer(AnswerStatus.ANSWER, tuple(map(txt, records)), 300)

    def __iter__(self):
        return iter(())

    def __len__(self) -> int:
        return len(self.names)

    def evidence(self) -> Evidence:
        return Evidence(self, absent=Absent.NXDOMAIN)

    async def ask(
        self,
        questions: Iterable[Question],
        seconds: float | None = None,  # noqa: ARG002 - the resolver's signature
    ) -> Mapping[Question, Answer]:
        """As a resolver: one round."""
        self.rounds += 1
        wanted = tuple(questions)
        self.asked.extend(wanted)
        return {question: self[question] for question in wanted}


class PacketServer:
    """A UDP "name server" that answers each packet with what a function makes of it, or not at all."""

    def __init__(self, behave: Callable[[bytes], Iterable[bytes]]) -> None:
        self.behave = behave
        self.received: list[bytes] = []
        self.address = ("127.0.0.1", 0)

    async def __aenter__(self) -> Self:
        server = self

        class Datagrams(asyncio.DatagramProtocol):
            def connection_made(self, transport: Any) -> None:
                self.transport = transport

            def datagram_received(self, data: bytes, addr: Any) -> None:
                server.received.append(data)
                for answer in server.behave(data):
                    self.transport.sendto(answer, addr)

        self.transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            Datagrams, local_addr=("127.0.0.1", 0)
        )
        self.address = self.transport.get_extra_info("sockname")[:2]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.transport.close()
