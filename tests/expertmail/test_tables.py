"""Tables on terminals of any width: words stay whole as long as there is room for them."""

from __future__ import annotations

import sys

import pytest
from rich.console import Console

from expertmail import tables

COLUMNS = ("number", "state", "to", "created", "tries", "next try", "subject", "last answer")
ROWS = [
    ("3", "unapproved", "alex@contoso.com", "2026-11-27 07:03:38Z", "0", "", "[INC-000001] Re: Odd sign-in",
     "what was approved is not what would be sent: its bytes, recipient, return path or time were changed"),
    ("12", "delivered", "soc@mssp.example", "2026-11-27 07:03:13Z", "1", "", "運用レビュー: 第 4 四半期", "250 written"),
]  # fmt: skip


def shown(monkeypatch, capsys, width: int, columns=COLUMNS, rows=ROWS) -> list[str]:
    monkeypatch.setattr(tables, "console", lambda: Console(file=sys.stdout, width=width, highlight=False))
    tables.show_table(columns, rows, "Nothing.")
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("width", [80, 100, 120, 160])
def test_states_and_dates_are_not_broken_within_a_word(monkeypatch, capsys, width):
    lines = shown(monkeypatch, capsys, width)
    text = "\n".join(lines)
    for word in ("unapproved", "delivered", "2026-11-27", "07:03:38Z", "recipient"):
        assert word in text, text
    assert all(tables.cell_len(line) <= width for line in lines), text


def test_a_table_that_fits_is_on_one_line_for_each_row(monkeypatch, capsys):
    assert len(shown(monkeypatch, capsys, 300)) == 1 + len(ROWS)
    assert len(shown(monkeypatch, capsys, 120, ("name", "state"), [("ci", "in force")])) == 2


@pytest.mark.parametrize("width", range(1, 200))
def test_no_width_loses_a_character_of_the_first_column_that_it_has_room_for(width):
    columns = [["name", "x" * 20], ["text", "a b " * 40], ["word", "y" * 300], ["empty", ""]]
    widths = tables.column_widths(columns, width)
    if widths is not None:
        assert widths[0] == 20
        assert sum(widths) <= width
        assert widths[1] >= len("text")
        assert widths[2] >= tables.NARROWEST
