"""Whether a line may be part of the heading that a mail program puts above a quoted message.

Each looks at one line of a few hundred characters at most, without blanks around it and never empty.
"""

from __future__ import annotations

import re

from threads.quote_words import FIELD_NAMES, OPENERS, VERB_PARTS, VERBS

# A field's label is not longer than this, marks and indentation included.
_MAX_LABEL = 48

_WORD = re.compile(r"\w+")
_DIGIT = re.compile(r"\d")
_ISO_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}\b")
_TIME_OR_YEAR = re.compile(r"\d[:.h]\d\d|\b(?:19|20)\d\d")
_TIME = re.compile(r"\d{1,2}[:.]\d\d(?!\d|[./-]\d)")
_VERB_ENDS = tuple(VERBS)
# What a log's line begins with, and hardly a heading: a date and a time to the second, maybe in brackets, or syslog's.
_LOGGED = re.compile(
    r"[\[(]?(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}|[A-Z][a-z]{2} {1,2}\d{1,2})"
    r"(?:T|,? {1,2})\d{1,2}:\d\d:\d\d"
)
# Lotus Notes puts the time on a line of its own below the name: "11/25/2026 10:00 AM".
_NOTES_TIME = re.compile(
    r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4},? {1,3}\d{1,2}[:.]\d\d(?:[:.]\d\d)?(?: ?[AaPp]\.?[Mm]\.?)?(?: (?:[A-Z]{3,4}|[+-]\d{4}))?"
)
# And what it puts between dashes, before a name and a time.
_NOTES_MARKS = (
    *(
        "forwarded by ",
        "message from ",
        "weitergeleitet von ",
        "nachricht von ",
        "transféré par ",
        "réacheminé par ",
    ),
    *("reenviado por ", "remitido por ", "encaminhado por ", "inoltrato da ", "doorgestuurd door "),
    *(
        "vidarebefordrat av ",
        "videresendt af ",
        "videresendt av ",
        "edelleenlähettänyt ",
        "przekazane przez ",
    ),
)
_LABEL_MARKS = " *_>-|\u00a0\t"


def has_digit(short: str) -> bool:
    """Whether there is a number."""
    return _DIGIT.search(short) is not None


def has_time_or_year(short: str) -> bool:
    """Whether there is a time of day or a year."""
    return _TIME_OR_YEAR.search(short) is not None


def has_verb(short: str) -> bool:
    """Whether it says "wrote" in some language."""
    lowered = short.casefold()
    if not VERBS.isdisjoint(_WORD.findall(lowered)):
        return True
    return not lowered.isascii() and any(part in lowered for part in VERB_PARTS)


def field_name(short: str) -> str:
    """What the label at the start of a line stands for, such as "from" or "subject"; empty where it is none."""
    end = short.find(":", 0, _MAX_LABEL)
    if end < 0:
        end = short.find("：", 0, _MAX_LABEL)
    if end <= 0:
        return ""
    return FIELD_NAMES.get(short[:end].strip(_LABEL_MARKS).casefold(), "")


def _first_word(short: str) -> str:
    bare = short[:_MAX_LABEL].lstrip("-*_ \"'[(").casefold()
    end = bare.find(" ")
    return (bare if end < 0 else bare[:end]).rstrip(",.")


def opens_by_date(short: str) -> bool:
    """Whether a heading begins with this line by its date: "On 25 November", "Mi., 25.11.", "2026-11-25"."""
    first = _first_word(short)
    if first[:1].isdigit():
        return _TIME.match(first) is None and (len(first) > 1 or has_time_or_year(short))
    return first in OPENERS and has_digit(short)


def is_logged(short: str) -> bool:
    """Whether a line is a log's: it begins with a time to the second and names nobody by an address in angle brackets."""
    return _LOGGED.match(short) is not None and ("<" not in short or not has_verb(short))


def is_notes_time(short: str) -> bool:
    """Whether a line is the time that Lotus Notes puts below a name, and nothing else."""
    return _NOTES_TIME.fullmatch(short) is not None


def is_notes_rule(bare: str) -> bool:
    """Whether words between dashes are a heading of Lotus Notes: "Alex Doe/Contoso wrote:", "Forwarded by … on …"."""
    if bare[-1] in ":：":
        return "/" in bare and bare[:-1].casefold().rstrip().endswith(_VERB_ENDS)
    return has_time_or_year(bare) and bare.casefold().startswith(_NOTES_MARKS)


def bare_field_name(short: str) -> str:
    """What a label stands for that has a line of its own, with or without its colon; empty where it is none."""
    if len(short) > _MAX_LABEL:
        return ""
    return FIELD_NAMES.get(short.rstrip(":： ").strip(_LABEL_MARKS).casefold(), "")


def may_open(short: str) -> bool:
    """Whether a heading may begin with this line: a date, a preposition before one, an address, or all of it."""
    if "@" in short or may_end(short):
        return True
    first = _first_word(short)
    return first in OPENERS or first[:1].isdigit()


def may_end(short: str) -> bool:
    """Whether a heading may end with this line: a colon, or "---- On … wrote ----"."""
    if short[-1] != "-":
        return short[-1] in ":："
    bare = short.rstrip("- :")
    return bare != "" and bare.casefold().endswith(_VERB_ENDS)


def is_bare_heading(short: str) -> bool:
    """A heading of one line without a colon: older Gmail's date and name, and Zoho's "On … wrote"."""
    if is_logged(short):
        return False
    if _ISO_DATE.match(short):
        return "GMT" in short or ("<" in short and short[-1] == ">")
    return short.casefold().endswith(_VERB_ENDS) and opens_by_date(short) and has_time_or_year(short)
