"""``python -m bench.reply_extraction``: how often the new text of a public reply is found exactly, beside four libraries.

The sets lie in ``shared/data/mail`` beside the project. A case is open or kept by the hash of its bytes; a kept file with the
words of an open one counts as open. Rules are made on the open half alone; of the kept half only rates are told.
talon, quotequail, email-reply-parser and mail-parser-reply run in the Python that ``REPLY_PEERS`` names
(``python -m venv peers; peers/bin/pip install talon quotequail email-reply-parser mail-parser-reply``); what is not
there is said to be absent. SHOW=1 names the open cases that differ.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.reply_truth import KEPT, OPEN
from threads.new_text import split_text
from threads.reading import read

DATA: Final = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "mail"
FOLDERS: Final = {
    "email_reply_trimmer": "email_reply_trimmer/test/emails",
    "crisp": "crisp/test/fixtures",
    "talon": "talon/tests/fixtures/standard_replies",
    "alfonsrv": "alfonsrv/test/emails",
    "zapier-erp": "zapier-erp/test/emails",
    "github-erp": "github-erp/test/emails",
}
OURS: Final = "expertmail"
PEERS: Final = ("talon", "talon+signature", "quotequail", "email-reply-parser", "mail-parser-reply")
_PEER_SECONDS: Final = 5  # for one text; some of them need minutes for a hostile one
_DIGEST: Final = 16  # hex digits

# Runs in the peers' Python: texts in, [name, answers] out, an answer None where a peer fails or takes too long.
_PEER_PROGRAM: Final = """
import json, signal, sys
texts, seconds = json.load(sys.stdin)
def talon():
    from talon import quotations
    return quotations.extract_from_plain
def talon_with_signature():
    from talon import quotations
    from talon.signature.bruteforce import extract_signature
    return lambda text: extract_signature(quotations.extract_from_plain(text))[0]
def quotequail():
    import quotequail
    def read(text):
        found = quotequail.unwrap(text)
        return text if found is None else "\\n".join(found.get(name) or "" for name in ("text_top", "text_bottom"))
    return read
def email_reply_parser():
    from email_reply_parser import EmailReplyParser
    return EmailReplyParser.parse_reply
def mail_parser_reply():
    from mailparser_reply import EmailReplyParser
    from mailparser_reply.constants import MAIL_LANGUAGES
    languages = [name for name in MAIL_LANGUAGES if name != "david"]
    return lambda text: EmailReplyParser(languages=languages).read(text).replies[0].body
def late(*_): raise TimeoutError
signal.signal(signal.SIGALRM, late)
found = []
for name, make in [("talon", talon), ("talon+signature", talon_with_signature), ("quotequail", quotequail),
                   ("email-reply-parser", email_reply_parser), ("mail-parser-reply", mail_parser_reply)]:
    try:
        read = make()
    except ImportError:
        continue
    answers = []
    for text in texts:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            answers.append(read(text))
        except Exception:  # of whatever kind: a reader that fails or takes too long has no answer, which is no right one
            answers.append(None)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    found.append([name, answers])
json.dump(found, sys.stdout)
"""


@dataclass(frozen=True, slots=True)
class Statement:
    """About a right answer: ``equals`` these words, or ``has`` or ``lacks`` them side by side; only their digest is known."""

    relation: str
    count: int
    digest: str

    def holds(self, answer: Sequence[str]) -> bool:
        """Whether it is true of these words."""
        if self.relation == "equals":
            return digest_of(answer) == self.digest
        runs = (answer[start : start + self.count] for start in range(len(answer) - self.count + 1))
        return any(digest_of(run) == self.digest for run in runs) is (self.relation == "has")


@dataclass(frozen=True, slots=True)
class Case:
    """A text of a set and what is known of its new text."""

    set: str
    name: str
    text: str
    open: bool
    truth: tuple[Statement, ...]

    def right(self, answer: str | None) -> bool:
        """Whether an answer is the right one; None is a reader's failure."""
        return answer is not None and all(statement.holds(words(answer)) for statement in self.truth)


@dataclass(frozen=True, slots=True)
class Rate:
    """Of a reader: how many cases of one half of a set it reads exactly."""

    right: int
    of: int


def words(text: str) -> list[str]:
    """What is compared: words without case, marks and layout."""
    return re.findall(r"\w+", text.casefold())


def digest_of(answer: Iterable[str]) -> str:
    return hashlib.sha256(" ".join(answer).encode("utf-8", "replace")).hexdigest()[:_DIGEST]


def equals(text: str) -> tuple[Statement, ...]:
    return (Statement("equals", 0, digest_of(words(text))),)


def lines_of(text: str, numbers: str) -> str:
    """The lines ``"1-3,7"`` of a text, from 1."""
    lines = text.splitlines()
    chosen: list[str] = []
    for part in numbers.split(","):
        first, _, last = part.partition("-")
        chosen += lines[int(first) - 1 : int(last or first)]
    return "\n".join(chosen)


def is_open(content: bytes) -> bool:
    return hashlib.sha256(content).hexdigest()[0] < "8"


def rate(cases: Iterable[Case], answers: Mapping[Case, str | None]) -> Rate:
    judged = [case.right(answers[case]) for case in cases]
    return Rate(sum(judged), len(judged))


def load(data: Path = DATA) -> list[Case]:
    """All cases whose right answer is known; OSError where the sets are not there."""
    files = [
        (name, path)
        for name, folder in FOLDERS.items()
        for path in sorted((data / folder).iterdir())
        if path.suffix in (".txt", ".eml")
    ]
    contents = {path: path.read_bytes() for _, path in files}
    texts = {path: _text(path, content) for path, content in contents.items()}
    opened = {digest_of(words(texts[path])) for _, path in files if is_open(contents[path])}
    cases = []
    for name, path in files:
        seen = digest_of(words(texts[path])) in opened
        truth = _truth(name, path, texts[path], raw_open=is_open(contents[path]), seen=seen)
        if truth:
            cases.append(Case(name, path.name, texts[path], seen, truth))
    return cases


def _text(path: Path, content: bytes) -> str:
    return read(content).body.text if path.suffix == ".eml" else content.decode("utf-8", "replace")


def _truth(name: str, path: Path, text: str, *, raw_open: bool, seen: bool) -> tuple[Statement, ...]:
    if name == "email_reply_trimmer":
        trimmed = path.parent.parent / "trimmed" / path.name
        return equals(trimmed.read_bytes().decode("utf-8", "replace"))
    if name == "talon":  # its own test: the text beside the mail, or one word
        beside = path.with_name(f"{path.stem}_reply_text")
        return equals(beside.read_text("utf-8") if beside.exists() else "Hello")
    if raw_open or seen:
        lines = OPEN[name].get(path.stem)
        return equals(lines_of(text, lines)) if lines else ()
    return tuple(Statement(*row) for row in KEPT.get(name, {}).get(path.stem, ()))


def peers_answers(cases: Sequence[Case], python: str) -> dict[str, dict[Case, str | None]]:
    """What each installed peer answers; CalledProcessError or OSError where that Python does not run."""
    asked = json.dumps([[case.text for case in cases], _PEER_SECONDS])
    run = subprocess.run(
        [python, "-W", "ignore", "-c", _PEER_PROGRAM], input=asked, capture_output=True, text=True, check=True
    )
    return {name: dict(zip(cases, answers, strict=True)) for name, answers in json.loads(run.stdout)}


def show(cases: Sequence[Case], answers: Mapping[str, Mapping[Case, str | None]]) -> None:
    for half, wanted in (("open half", True), ("kept half", False)):
        print(f"\n{half:20} " + " ".join(f"{name:>18}" for name in answers))
        for name in FOLDERS:
            of_set = [case for case in cases if case.set == name and case.open is wanted]
            rates = [rate(of_set, found) for found in answers.values()]
            print(f"{name:20} " + " ".join(f"{f'{found.right}/{found.of}':>18}" for found in rates))


def ours(case: Case) -> str:
    """New text; for talon's set with the signature, which that set counts as text ("Sent from my iPhone")."""
    split = split_text(case.text)
    return f"{split.new}\n{split.signature}" if case.set == "talon" else split.new


def main() -> int:
    if not DATA.exists():
        print(f"Not measured: the public sets are not at {DATA}.")
        return 0
    cases = load()
    answers: dict[str, Mapping[Case, str | None]] = {OURS: {case: ours(case) for case in cases}}
    if python := os.environ.get("REPLY_PEERS"):
        answers |= peers_answers(cases, python)
    print("Replies whose new text is found exactly (words compared)")
    for absent in sorted(set(PEERS) - set(answers)):
        print(f"  not measured: {absent} is absent{'' if python else ' (REPLY_PEERS is not set)'}")
    show(cases, answers)
    if os.environ.get("SHOW") == "1":
        for case in cases:
            if case.open and not case.right(answers[OURS][case]):
                print(f"differs: {case.set}/{case.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
