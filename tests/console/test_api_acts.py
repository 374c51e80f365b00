"""The console's actions by programs: each works, shows in the record, and is there for nobody else."""

from __future__ import annotations

import http.client
import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from tests.console.api_table import TABLE, Desk, Try, asked
from tests.console.place import make_place, now
from tests.expertmail.api_client import Portal, strays
from threads.api_token import Scope
from threads.model import TaskSource
from threads.store import Database
from threads.store.audit import list_audit
from threads.store.tasks import add_task

SETTINGS = '[sending]\nsecond_person = ["managed-response"]\n[held]\nsecond_person = "always"\n'


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    place = make_place(tmp_path_factory.mktemp("api"), SETTINGS)
    with place.database.writing() as conn:
        add_task(conn, place.incident, "Reset it", TaskSource.GUIDED_RESPONSE, now(), by="test")
    yield Desk(place)
    place.database.close()
    place.served.stop()


@pytest.fixture(scope="module")
def described(desk: Desk) -> Any:
    return Portal(desk.place.served.console_port).ask("GET", "/openapi.json").json


@pytest.fixture(autouse=True)
def _trusted(desk: Desk) -> Iterator[None]:
    yield
    desk.trust()


def operations(described: Any) -> dict[str, tuple[str, str, Any]]:
    """Each operation that a token is for, by its name: method, path, description."""
    return {
        told["operationId"]: (method.upper(), path.removeprefix("/api/v1"), told)
        for path, methods in described["paths"].items()
        for method, told in methods.items()
        if told.get("security") == [{"token": []}]
    }


def scope_of(told: Any) -> Scope:
    return Scope(told["description"].split("`")[1])


def without_token(desk: Desk, method: str, path: str, body: bytes) -> int:
    """The answer's status; from an address of its own, since such requests from one are counted."""
    address = f"127.1.{secrets.randbelow(250)}.{secrets.randbelow(250) + 1}"
    connection = http.client.HTTPConnection(
        "127.0.0.1", desk.place.served.console_port, timeout=60, source_address=(address, 0)
    )
    headers = {"Content-Type": "application/json", "Idempotency-Key": "k"}
    connection.request(method, f"/api/v1{path}", body, headers)
    status = connection.getresponse().status
    connection.close()
    return status


def acts(database: Database, by: str) -> list[tuple[str, str, str]]:
    """What a program did, as the audit trail has it, the latest first."""
    with database.reading() as conn:
        rows = [(one.act, json.loads(one.content or "{}")) for one in list_audit(conn, limit=50)]
    return [(act, said["subject"], said["detail"]) for act, said in rows if said["by"] == by]


def name() -> str:
    return f"named-{secrets.token_hex(4)}"


each = pytest.mark.parametrize("one", TABLE, ids=lambda one: one.operation)


def test_no_operation_is_without_an_example(described: Any) -> None:
    assert sorted(operations(described)) == sorted(one.operation for one in TABLE)
    scopes = {scope_of(told) for _, _, told in operations(described).values()}
    assert scopes == set(Scope) - {Scope.VERIFY}


@each
def test_it_is_done_and_answered_as_described(desk: Desk, described: Any, one: Try) -> None:
    method, _, told = operations(described)[one.operation]
    assert method == one.method
    said = asked(desk, one, desk.program(scope_of(told)))
    assert said.status == one.status, said.body
    assert said.headers["cache-control"] == "no-store"
    schema = told["responses"][str(one.status)]["content"]["application/json"]["schema"]
    assert strays(said.json, schema, described["components"]["schemas"]) == []


@each
def test_no_token_and_no_other_scope_will_do(desk: Desk, described: Any, one: Try) -> None:
    path = one.path(desk)
    form = None if one.form is None else one.form(desk, path)
    scope = scope_of(operations(described)[one.operation][2])
    wrong = desk.program(*(set(Scope) - {scope}))
    assert wrong.ask(one.method, path, form, key="k").status == 403
    assert without_token(desk, one.method, path, json.dumps(form).encode()) == 401


@each
def test_another_customers_token_finds_nothing(desk: Desk, one: Try) -> None:
    fabrikam = desk.program(whose=(desk.place.fabrikam,))
    said = asked(desk, one, fabrikam)
    if one.whose == "each":
        assert said.status == 200, said.body
        assert b"ontoso" not in said.body
    else:
        assert said.status == 404, said.body


@each
def test_what_does_not_fit_is_refused(desk: Desk, described: Any, one: Try) -> None:
    program = desk.program()
    path = one.path(desk)
    key = "k" if one.key else None
    if one.form is None:
        joint = "&" if "?" in path else "?"
        if "/notifications/" not in path and one.operation != "showIncident":
            said = program.ask(one.method, f"{path}{joint}evil=1")
            assert said.status == 422, said.body
        return
    form = one.form(desk, path)
    assert isinstance(form, dict)
    for bad, status in (
        ({**form, "evil": 1}, 422),
        ([], 400),
        (b"{", 400),
        ({"x": None, **dict.fromkeys(form)}, 422),
        ({word: {} for word in form} or {"x": {}}, 422),
    ):
        said = program.ask(one.method, path, bad, key=key)
        assert said.status == status, (bad, said.body)
    typed = {"Content-Type": "text/plain"}
    assert program.ask(one.method, path, json.dumps(form).encode(), key=key, headers=typed).status == 415
    if one.key:
        assert program.ask(one.method, path, form).status == 400


@pytest.mark.parametrize("one", [one for one in TABLE if one.key], ids=lambda one: one.operation)
def test_a_repetition_is_done_once(desk: Desk, one: Try) -> None:
    assert one.form is not None
    program, path = desk.program(), one.path(desk)
    form = one.form(desk, path)
    first, again = (program.ask(one.method, path, form, key="once") for _ in range(2))
    assert (first.status, again.status) == (one.status, one.status), again.body
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert isinstance(form, dict)
    other = {**form, **{word: "Another" for word in ("title", "text") if word in form}}
    if other != form:
        assert program.ask(one.method, path, other, key="once").status == 409
