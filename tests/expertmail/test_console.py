"""The HTTP interface with a judge that is a function of the test."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.testclient import TestClient

from expertmail.console.api import ApiParts
from expertmail.console.app import Console, ConsoleParts
from expertmail.console.openapi import document
from expertmail.console.pages.catalogue import PAGES
from expertmail.metrics import Metrics
from smtp_gateway.judging import Busy
from threads.store import open_database, upgrade

NOW = datetime(2026, 11, 25, 10, tzinfo=UTC)
VERDICT = {"verdict": "no-claim", "sentence": "…"}
RFC822 = {"Content-Type": "message/rfc822"}


class Judge:
    """Remembers what it was given."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    async def __call__(self, raw: bytes) -> Mapping[str, Any]:
        self.seen.append(raw)
        if raw == b"break":
            raise RuntimeError("secret detail")
        if raw == b"busy":
            raise Busy
        return VERDICT


@pytest.fixture(scope="module", autouse=True)
def _record(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    database = open_database(f"sqlite:///{tmp_path_factory.mktemp('record')}/record.db")
    upgrade(database)
    RECORD.append(ApiParts(database, None, lambda: NOW))  # type: ignore[arg-type]  # nothing is written to anybody here
    yield
    RECORD.clear()
    database.close()


RECORD: list[ApiParts] = []


def client(judge: Judge, checks: Mapping[str, str] | None = None, host: str = "127.0.0.1") -> TestClient:
    async def ready() -> Mapping[str, str]:
        await asyncio.sleep(0)
        return checks or {"database": "ok", "smtp": "ok"}

    parts = ConsoleParts(judge, ready, Metrics(), 1_000, RECORD[0], None)  # type: ignore[arg-type]  # no page is asked here
    return TestClient(Console(parts).application(), client=(host, 1234), raise_server_exceptions=False)


def test_a_message_is_judged_as_it_is() -> None:
    judge = Judge()
    answer = client(judge).post("/api/v1/verify", content=b"From: a@b\r\n\r\n\xff", headers=RFC822)
    assert (answer.status_code, answer.json()) == (200, VERDICT)
    assert judge.seen == [b"From: a@b\r\n\r\n\xff"]


@pytest.mark.parametrize(
    ("content", "headers", "host", "status"),
    [
        (b"x", RFC822, "192.0.2.1", 401),
        (b"x", RFC822, "somewhere", 401),
        (b"x", {"Content-Type": "text/plain"}, "127.0.0.1", 415),
        (b"x", {}, "127.0.0.1", 415),
        (b"x", {**RFC822, "Content-Encoding": "gzip"}, "127.0.0.1", 415),
        (b"", RFC822, "127.0.0.1", 400),
        (b"x" * 1_001, RFC822, "127.0.0.1", 413),
        (b"break", RFC822, "127.0.0.1", 500),
        (b"busy", RFC822, "127.0.0.1", 503),
    ],
)
def test_what_cannot_be_judged_is_refused_in_plain_words(
    content: bytes, headers: dict[str, str], host: str, status: int
) -> None:
    judge = Judge()
    answer = client(judge, host=host).post("/api/v1/verify", content=content, headers=headers)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}
    assert "secret" not in answer.text
    assert judge.seen == ([content] if status in (500, 503) else [])


def test_a_body_of_unknown_length_is_cut_at_the_cap() -> None:
    judge = Judge()

    def endless():
        for _ in range(1_000):
            yield b"x" * 100

    answer = client(judge).post("/api/v1/verify", content=endless(), headers=RFC822)
    assert answer.status_code == 413
    assert judge.seen == []


@pytest.mark.parametrize("host", ["::1", "127.9.9.9"])
def test_all_loopback_addresses_may_ask(host: str) -> None:
    answer = client(Judge(), host=host).post("/api/v1/verify", content=b"x", headers=RFC822)
    assert answer.status_code == 200


def test_readiness_tells_what_is_missing() -> None:
    assert client(Judge()).get("/readyz").status_code == 200
    answer = client(Judge(), {"database": "The disk is full.", "smtp": "ok"}).get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"ready": False, "checks": {"database": "The disk is full.", "smtp": "ok"}}


def test_the_process_answers_and_counts() -> None:
    console = client(Judge())
    assert console.get("/healthz").json() == {"status": "ok"}
    console.post("/api/v1/verify", content=b"x", headers=RFC822)
    page = console.get("/metrics")
    assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'expertmail_verify_requests_total{outcome="200"} 1.0' in page.text


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/api/v2", 404), ("GET", "/api/v1/verify", 405)]
)
def test_other_paths_and_methods_are_refused_as_json(method: str, path: str, status: int) -> None:
    answer = client(Judge()).request(method, path)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}


def references(value: Any) -> list[str]:
    """All $ref of a document."""
    if isinstance(value, dict):
        return [value["$ref"]] if "$ref" in value else [r for v in value.values() for r in references(v)]
    return [r for v in value for r in references(v)] if isinstance(value, list) else []


def test_the_description_names_every_route_and_every_reference_leads_somewhere() -> None:
    console = client(Judge())
    described = console.get("/api/v1/openapi.json").json()
    assert described == document(1_000)
    assert described["openapi"].startswith("3.1")
    served: dict[str, set[str]] = {}
    pages = {page.path for page in PAGES}  # for people
    for route in console.app.routes:  # type: ignore[attr-defined]
        if route.path in pages or route.path.startswith("/hooks/"):  # the latter for services that we know
            continue
        served.setdefault(route.path, set()).update(one.lower() for one in route.methods - {"HEAD"})
    assert {path: set(methods) for path, methods in described["paths"].items()} == served
    for reference in references(described):
        assert reference.removeprefix("#/components/schemas/") in described["components"]["schemas"]


def test_the_description_says_which_requests_need_a_token() -> None:
    described = client(Judge()).get("/api/v1/openapi.json").json()
    assert described["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    for path, methods in described["paths"].items():
        for told in methods.values():
            for_programs = path.startswith("/api/v1/") and not path.endswith(("/verify", "/openapi.json"))
            assert told.get("security") == (
                [{"token": []}] if for_programs else [{}, {"token": []}] if path.endswith("/verify") else None
            )
            if for_programs:
                assert {"401", "403", "429", "503"} <= set(told["responses"])
