"""Incidents of the past at the command line."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), None),
        (("--opened", "2024-02-29T10:00:00+00:00"), "opened with a time in the past"),
        (("--imported",), "it was imported"),
    ],
)
def test_an_incident_says_when_it_sends_nothing(command, options, says) -> None:
    assert command("dns", "show").code == 0
    assert command("contacts", "add", "alice@contoso.test", "--name", "Alice", "--org", "Contoso").code == 0
    made = command("incidents", "open", "--org", "Contoso", "--title", "Of old", *options)
    assert made.code == 0, made.err
    assert ("sends nothing by itself" in made.out) == (says is not None)
    assert says is None or says in made.out


@pytest.mark.parametrize("when", ["yesterday", "2024-02-29T10:00:00", "2999-01-01T00:00:00+00:00"])
def test_a_time_that_is_none_or_is_to_come_is_refused(command, when) -> None:
    assert command("dns", "show").code == 0
    assert command("contacts", "add", "alice@contoso.test", "--name", "Alice", "--org", "Contoso").code == 0
    refused = command("incidents", "open", "--org", "Contoso", "--title", "Of old", "--opened", when)
    assert refused.code != 0
    assert "time" in refused.err
