"""What is a word, and what is a query: the same for every database."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threads.search_document import Document, document
from threads.search_query import MAX_QUERY, QueryError, Term, read_query
from threads.search_snippet import snippet
from threads.search_words import MAX_WORD, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Odd sign-ins at 10:30", ["odd", "sign", "ins", "at", "10", "30"]),
        ("Müller, MÜLLER, Mu\u0308ller", ["muller"] * 3),
        ("Straße Ωμέγα İstanbul", ["strasse", "ωμεγα", "istanbul"]),
        ("invoice_2026.pdf", ["invoice", "2026", "pdf"]),
        ("alice@contoso.test", ["alice", "contoso", "test"]),
        ("安全通知", ["安", "全", "通", "知"]),
        ("ＡＢＣ１２ ｶﾞ", ["abc12", "ガ"]),
        ("보안팀", ["보", "안", "팀"]),
        ("ไทย", ["ไ", "ท", "ย"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("שָׁלוֹם مُحَمَّد", ["שלום", "محمد"]),
        ("pass\u00adword pass\u200dword", ["password"] * 2),
        ("½ Ⅷ", ["1", "2", "viii"]),
        ("x" * 100, ["x" * MAX_WORD]),
        ("\x00\ud800 !?…", []),
    ],
)
def test_a_text_is_these_words(text: str, words: list[str]) -> None:
    assert words_of(text, 100) == words


@pytest.mark.parametrize(
    "text", ["\u0301" * 500_000, "\u0323\u0301\u05b0" * 200_000, "ཱི" * 200_000, "a\u0323" * 300_000]
)
def test_marks_without_end_take_linear_time(text: str) -> None:
    begun = time.process_time()
    words_of(text, 8_000)
    assert (
        time.process_time() - begun < 10
    )  # a second where the machine is slow; sorting them all takes hours


@pytest.mark.parametrize(
    ("typed", "terms"),
    [
        ("odd Sign-ins", [Term(("odd",)), Term(("sign", "ins"))]),
        ('"two words" -"not these"', [Term(("two", "words")), Term(("not", "these"), without=True)]),
        ("pass* -ham", [Term(("pass",), beginning=True), Term(("ham",), without=True)]),
        ('"sign in*" x"y z"*', [Term(("sign", "in")), Term(("x",)), Term(("y", "zz"), beginning=True)]),
        ("“smart quotes”", [Term(("smart", "quotes"))]),
        ('"never closed', [Term(("never", "closed"))]),
        ("安全*", [Term(("安", "全"))]),
        ("AND OR NOT NEAR/2 from:x", [*(Term((w,)) for w in ("and", "or", "not")), Term(("near", "2")), Term(("from", "x"))]),
        ("a ! ? * - ( a", [Term(("a",))]),
        ("' ; DROP TABLE messages; --", [Term(("drop",)), Term(("table",)), Term(("messages",))]),
    ],
)  # fmt: skip
def test_what_is_typed_means_this(typed: str, terms: list[Term]) -> None:
    assert list(read_query(typed.replace('y z"*', 'y zz"*')).terms) == terms


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("", "nothing to look for"),
        ("-only", "nothing to look for"),
        ('"" ** -- \x00', "nothing to look for"),
        ("a*", "too short"),
        ("x" * (MAX_QUERY + 1), "too long"),
        ("x " * 50_000, "too long"),
        (" ".join(f"word{n}" for n in range(17)), "too much"),
        ("安" * 300, "too much"),
    ],
)
def test_what_cannot_be_looked_for_is_told_in_one_sentence(typed: str, says: str) -> None:
    with pytest.raises(QueryError, match=says):
        read_query(typed)


@given(st.text(max_size=200))
def test_anything_typed_is_a_query_or_refused_and_its_words_hold_no_sign_of_any_language(typed: str) -> None:
    try:
        query = read_query(typed)
    except QueryError:
        return
    for term in query.terms:
        assert term.words
        for word in term.words:
            assert not set(word) & set(" '\"\\:&|!()<>*^{}\x00")
            assert words_of(word, 10) == [word]
    made = snippet(typed * 10, query)
    assert all(0 <= start < end <= len(made.text) for start, end in made.hits)


@pytest.mark.parametrize(
    ("text", "query", "shown", "hits"),
    [
        ("a spray of passwords", "password*", "a spray of passwords", ["passwords"]),
        ("Müller schrieb\r\nan Anna", "muller anna", "Müller schrieb  an Anna", ["Müller", "Anna"]),
        ("关于安全通知的问题", "安全通知", "关于安全通知的问题", ["安全通知"]),
        ("nothing of it", "other", "nothing of it", []),
        ("one, two", '"one two"', "one, two", ["one, two"]),
    ],
)
def test_a_snippet_shows_why(text: str, query: str, shown: str, hits: list[str]) -> None:
    made = snippet(text, read_query(query))
    assert made.text == shown
    assert [made.text[start:end] for start, end in made.hits] == hits


def test_a_snippet_of_a_long_text_begins_shortly_before_the_hit() -> None:
    made = snippet("word " * 2_000 + "needle " + "word " * 2_000, read_query("needle"))
    assert made.text.startswith("… word ")
    assert made.text.endswith(" …")
    assert len(made.text) < 250
    assert [made.text[start:end] for start, end in made.hits] == ["needle"]


def test_a_document_holds_names_in_any_encoding_and_names_of_attachments() -> None:
    raw = (
        b"From: =?utf-8?q?J=C3=BCrgen?= <j@contoso.test>\r\nTo: Team\r\n <team@experts.test>\r\nCc: \xff\r\n"
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhi\r\n--b\r\n"
        b"Content-Disposition: attachment; filename*=utf-8''%C3%9Cbersicht.xlsx\r\n\r\nx\r\n--b--\r\n"
    )
    made = document(subject="Re: Odd", envelope=("bounce@contoso.test",), text="hello", raw=raw)
    assert made.subject == ("re", "odd")
    assert {"bounce", "jurgen", "team", "experts"} <= set(made.people)
    assert made.files == ("ubersicht", "xlsx")
    assert made.text == ("hello",)


def test_every_public_message_has_a_document(shared_data: Path) -> None:
    count = 0
    for path in sorted((shared_data / "mail").rglob("*"))[::3]:
        if path.is_file() and path.stat().st_size < 1_000_000:
            raw = path.read_bytes()
            made = document(subject="", envelope=(), text=raw.decode("latin-1"), raw=raw)
            count += any((made.subject, made.people, made.files, made.text))
    assert count > 300


@given(st.binary(max_size=300), st.text(max_size=100))
def test_any_bytes_have_a_document(raw: bytes, text: str) -> None:
    assert isinstance(
        document(subject=text, envelope=(text,), text=text, raw=b"Content-Type: a/b; name=" + raw), Document
    )
