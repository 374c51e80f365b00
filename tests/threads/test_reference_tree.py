"""A conversation's tree: as the public cases have it, whatever the references, and in time that grows with the mails."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threads.match import thread_keys
from threads.reference_tree import Branch, Mail, conversation
from threads.subject import base_of
from verifier.encoded_word import decode
from verifier.message import read_message

CASES = Path(__file__).resolve().parents[3] / "shared/data/mail/imaptest-threads/src/tests"
needs_cases = pytest.mark.skipif(not CASES.is_dir(), reason="the public threading cases are not here")
AT = datetime(2008, 2, 22, tzinfo=UTC)


def mails_of(mbox: Path) -> list[tuple[bytes, datetime]]:
    """The mails of an mbox file with the times at which they came."""
    found = []
    for text in re.split(rb"(?:\A|\n+)From ", mbox.read_bytes())[1:]:
        line, _, raw = text.partition(b"\n")
        day, _, zone = line.decode().split("  ", 1)[1].partition(" +")
        at = datetime.strptime(day, "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC)
        found.append((raw.replace(b"\n", b"\r\n"), at - timedelta(hours=int(zone[:2] or 0))))
    return found


def read_mail(number: int, raw: bytes, came: datetime) -> Mail:
    message = read_message(raw)
    keys = thread_keys(message)
    own = [field.value.decode().strip(" <>\r\n") for field in message.named(b"message-id")]
    subject = [decode(field.value.decode()) for field in message.named(b"subject")]
    dates = [parsedate_to_datetime(field.value.decode().strip()) for field in message.named(b"date")]
    ancestors = keys.references or keys.in_reply_to[:1]
    return Mail(number, own[0] if own else None, ancestors, subject[0] if subject else "", [*dates, came][0])


def written(branches: tuple[Branch, ...]) -> str:
    """As the answer of THREAD is written (RFC 5256 4): (1 (2 3)(4))."""
    return "".join(f"({_inner(branch)})" for branch in branches)


def _inner(branch: Branch) -> str:
    own = "" if branch.mail is None else str(branch.mail.number)
    if len(branch.under) == 1 and own:
        return f"{own} {_inner(branch.under[0])}"
    return f"{own} {written(branch.under)}".strip() if branch.under else own


def expected(name: str) -> list[str]:
    answers = re.findall(r"^\* THREAD (.*)$", (CASES / name).read_text(), re.IGNORECASE | re.MULTILINE)
    return [answer.strip() for answer in answers]


# What the script of a case does between its answers: which mails are left, by their place in the file.
STEPS = {
    "thread": [(1, 2, 3), (2, 3)],
    "thread2": [(1, 2)],
    "thread3": [(1, 2)],
    "thread4": [(1, 2)],
    "thread5": [(1, 2, 3, 4), (3, 4), (3, 4, 5)],
    "thread6": [(1, 2)],
    "thread7": [(1, 2, 3, 4), (1, 3, 4)],
}


@needs_cases
@pytest.mark.parametrize("name", STEPS)
def test_the_public_cases_come_out_as_their_servers_answer(name: str) -> None:
    mails = mails_of(CASES / f"{name}.mbox")
    answers = expected(name)
    assert len(answers) == len(STEPS[name])
    for left, answer in zip(STEPS[name], answers, strict=True):
        read = [read_mail(at, *mails[number - 1]) for at, number in enumerate(left, 1)]
        assert written(conversation(read)) == answer


@needs_cases
@pytest.mark.parametrize("name", ["thread-orderedsubject", "thread-orderedsubject2"])
def test_the_public_cases_of_ordered_subjects_have_their_base_subjects(name: str) -> None:
    # RFC 5256 3, ORDEREDSUBJECT: one flat thread for each base subject.
    mails = [read_mail(at, *one) for at, one in enumerate(mails_of(CASES / f"{name}.mbox"), 1)]
    groups: dict[str, list[Mail]] = {}
    for mail in sorted(mails, key=lambda one: (one.sent, one.number)):
        groups.setdefault(base_of(mail.subject).text.casefold(), []).append(mail)
    told = "".join(_flat(group) for group in groups.values())
    assert [told] == expected(name)


def _flat(group: list[Mail]) -> str:
    first, *rest = [str(mail.number) for mail in group]
    if len(rest) <= 1:
        return f"({' '.join([first, *rest])})"
    return f"({first} {''.join(f'({number})' for number in rest)})"


def mail(number: int, own: str | None = None, *ancestors: str, subject: str = "") -> Mail:
    return Mail(number, own, ancestors, subject, AT + timedelta(seconds=number))


@pytest.mark.parametrize(
    ("why", "mails", "tree"),
    [
        ("nothing", [], ""),
        ("an answer", [mail(1, "a"), mail(2, "b", "a")], "(1 2)"),
        ("the answer came first", [mail(1, "b", "a"), mail(2, "a")], "(2 1)"),
        ("siblings of a mail that nobody has", [mail(1, "a", "x"), mail(2, "b", "x")], "((1)(2))"),
        ("an only child of one", [mail(1, "a", "x")], "(1)"),
        ("a gap in the middle", [mail(1, "a"), mail(2, "c", "a", "b")], "(1 2)"),
        ("it names itself", [mail(1, "a", "a")], "(1)"),
        ("two that name each other", [mail(1, "a", "b"), mail(2, "b", "a")], "(2 1)"),
        ("a ring of three", [mail(1, "a", "c"), mail(2, "b", "a"), mail(3, "c", "b")], "(3 1 2)"),
        ("one subject, no references", [mail(1, "a", subject="x"), mail(2, "b", subject="AW: x")], "(1 2)"),
        ("two answers to what nobody has", [mail(1, "a", subject="Re: x"), mail(2, "b", subject="SV: x")], "((1)(2))"),
        ("no subject but a prefix", [mail(1, "a", subject="Re:"), mail(2, "b", subject="Re:")], "(1)(2)"),
        ("a Message-ID twice", [mail(1, "a"), mail(2, "a"), mail(3, "b", "a")], "(1 3)(2)"),
    ],
)  # fmt: skip
def test_each_mail_hangs_on_the_nearest_ancestor_that_is_there(
    why: str, mails: list[Mail], tree: str
) -> None:
    assert written(conversation(mails)) == tree, why


NAMES = st.sampled_from([*"abcdefg"])


@given(
    st.lists(
        st.tuples(st.none() | NAMES, st.lists(NAMES, max_size=4), st.sampled_from(["", "x", "Re: x", "Re:"]))
    )
)
def test_every_mail_is_in_the_tree_once_whatever_the_references(
    given_mails: list[tuple[str | None, list[str], str]],
) -> None:
    mails = [mail(n, own, *refs, subject=about) for n, (own, refs, about) in enumerate(given_mails)]
    told = re.findall(r"\d+", written(conversation(mails)))
    assert sorted(map(int, told)) == list(range(len(mails)))


def hostile(kind: str, number: int) -> list[Mail]:
    match kind:
        case "chain":
            return [mail(n, f"{n}", f"{n - 1}") for n in range(number)]
        case "chain backwards":
            return [mail(n, f"{n}", f"{n + 1}") for n in range(number)]
        case "one subject":
            return [mail(n, f"{n}", subject="x") for n in range(number)]
        case "torn from one parent":
            return [mail(0, "r", *(f"{n}" for n in range(1, 200)))] + [
                mail(n, f"{n}", f"other{n}", f"{number - n}") for n in range(1, number)
            ]
        case _:
            return [
                mail(n, f"{n}", f"{(n * 7919) % number}", f"{(n * 104729) % number}") for n in range(number)
            ]


def long_way_up(kind: str, number: int) -> list[Mail]:
    """Many mails below a chain of ancestors that nobody has."""
    if kind == "one at each":
        return [mail(n, f"{n}", f"gone{n}", f"gone{n + 1}", subject=f"{n}") for n in range(number)]
    first = mail(0, "0", *(f"gone{n}" for n in range(number)))
    return [first, *(mail(n, f"{n}", f"gone{number - 1}", subject=f"{n}") for n in range(1, number))]


@pytest.mark.parametrize("kind", ["one at each", "all at its end"])
def test_a_long_chain_of_missing_ancestors_takes_time_that_grows_with_it(kind: str) -> None:
    spent = []
    for number in (1_000, 4_000):
        mails = long_way_up(kind, number)
        (tree,) = conversation(mails)
        assert (tree.mail, len(tree.under)) == (None, number)
        taken = []
        for _ in range(3):
            start = time.process_time()
            conversation(mails)
            taken.append(time.process_time() - start)
        spent.append(min(taken))
    assert spent[1] < 10 * max(spent[0], 0.002)  # four times the mails; a square would be sixteen


@pytest.mark.parametrize(
    "kind", ["chain", "chain backwards", "one subject", "torn from one parent", "random"]
)
def test_ten_times_the_mails_take_about_ten_times_as_long(kind: str) -> None:
    spent = []
    for number in (1_000, 10_000):
        mails = hostile(kind, number)
        start = time.process_time()
        conversation(mails)
        spent.append(time.process_time() - start)
    assert spent[1] < 100 * max(spent[0], 0.002)
    assert spent[1] < 10
