"""A strict reader of the From field (RFC 5322 3.4, 3.6.2; RFC 6532, RFC 6854).

What two readers could take for two different authors is refused with a code. Obsolete syntax is refused
too, except dots in a phrase. Nothing here raises but ``AddressError``, and all of it is linear.
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from typing import Final, NamedTuple

from verifier.address_domain import domain_of
from verifier.address_text import AddressCode, AddressError, Kind, Token, Tokens, tokens_of
from verifier.encoded_word import decode, decode_strictly
from verifier.invisible import has_bidi, has_control, has_invisible, visible

MAX_MAILBOXES: Final = 100  # a From field names people; address lists of a hundred are none
MAX_LOCAL: Final = 64  # octets, RFC 5321 4.5.3.1.1

# RFC 5322 3.2.3 atext and RFC 6532 3.2, by what is none of it: a class of all Unicode takes 8 ms to compile.
_ATEXT: Final = re.compile(r"[^\x00-\x20\"(),.:;<>@\[\\\]\x7f]+")
_DOT_ATOM: Final = re.compile(rf"{_ATEXT.pattern}(?:\.{_ATEXT.pattern})*")
_NOT_ADDRESS: Final = re.compile(r"[\s<>()\",;:\[\]\\'`]+")
_NAME_HEAD: Final = re.compile(r"[\w.\-]+")

__all__ = [
    "AddressCode",
    "AddressError",
    "AuthorField",
    "AuthorFlag",
    "Mailbox",
    "addresses_in",
    "read_author_field",
]


# The form of nearly all From fields, in which nothing can be taken for anything else: words or a quoted string
# (without "@", "=" and escapes) and an ASCII address. It gives what the full reader gives, in a fifth of the time.
_ATOM: Final = rb"[A-Za-z0-9!#$%&'*+/?^_`{|}~-]++"
_NAME_LABEL: Final = rb"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_USUAL: Final = re.compile(
    rb"[ \t]*+(?:"
    rb"\"([A-Za-z0-9 !#$%&'()*+,./:;<>?^_`{|}~\[\]-]*+)\"[ \t]*+<"
    rb"|(" + _ATOM + rb"(?: " + _ATOM + rb")*)[ \t]++<"
    rb"|<)?"
    rb"(" + _ATOM + rb"(?:\." + _ATOM + rb")*)@(" + _NAME_LABEL + rb"(?:\." + _NAME_LABEL + rb")*)"
    rb"(>?)[ \t]*+"
)
_MAX_USUAL: Final = 200


class AuthorFlag(StrEnum):
    """What is worth a second look in a From field that was read."""

    ADDRESS_IN_COMMENT = "address_in_comment"
    ADDRESS_IN_DISPLAY = "address_in_display"
    BIDI_IN_DISPLAY = "bidi_in_display"
    CONTROL_IN_DISPLAY = "control_in_display"
    ENCODED_WORD_MALFORMED = "encoded_word_malformed"
    GROUP = "group"
    INVISIBLE_IN_DISPLAY = "invisible_in_display"
    OBS_PHRASE = "obs_phrase"


class Mailbox(NamedTuple):
    """``local`` unquoted and in NFC, ``domain`` in lower-case A-labels, ``display`` decoded or None."""

    local: str
    domain: str
    display: str | None

    @property
    def address(self) -> str:
        """The address, its local part quoted only where it must be (RFC 5322 3.4.1)."""
        if _DOT_ATOM.fullmatch(self.local):
            return f"{self.local}@{self.domain}"
        quoted = self.local.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}"@{self.domain}'


class AuthorField(NamedTuple):
    """A From field: its mailboxes in order (groups dissolved) and flags in alphabetical order."""

    mailboxes: tuple[Mailbox, ...]
    flags: tuple[AuthorFlag, ...] = ()


def read_author_field(value: bytes) -> AuthorField:
    """Read the body of a From field, folding and all; raises ``AddressError``.

    Refusals come in a fixed order: size, bytes, tokens, grammar, then local part and domain of each mailbox.
    """
    usual = _read_usual(value)
    if usual is not None:
        return usual
    tokens = tokens_of(value)
    raw, flags = _mailbox_list(tokens)
    mailboxes = []
    for phrase, local, domain in raw:
        name = _local(local)
        domain_name = domain_of(domain)
        mailboxes.append(Mailbox(name, domain_name, _display(phrase, flags)))
    own = {mailbox.address.lower() for mailbox in mailboxes}
    for mailbox in mailboxes:
        if mailbox.display is not None:
            flags |= _display_flags(mailbox.display, {mailbox.address.lower()})
    if any(seen.lower() not in own for comment in tokens.comments for seen in addresses_in(comment)):
        flags.add(AuthorFlag.ADDRESS_IN_COMMENT)
    return AuthorField(tuple(mailboxes), tuple(sorted(flags)))


def _read_usual(value: bytes) -> AuthorField | None:
    """The one mailbox of a field in its usual form, or None to read it in full."""
    if len(value) > _MAX_USUAL:
        return None
    found = _USUAL.fullmatch(value)
    if found is None:
        return None
    quoted, words, local, domain, close = found.groups()
    start = found.start(3)
    has_angle = start > 0 and value[start - 1] == ord("<")
    if (
        has_angle is not bool(close)
        or len(local) > MAX_LOCAL
        or len(domain) > MAX_LOCAL
        or domain.find(b"--") >= 0
    ):
        return None
    display = quoted if quoted is not None else words
    text = None if display is None else display.decode("ascii")
    return AuthorField((Mailbox(local.decode("ascii"), domain.decode("ascii").lower(), text),))


def addresses_in(text: str) -> list[str]:
    """Addresses that a person would see in a text: after NFKC, without invisible characters, decoded once more."""
    found: list[str] = []
    for form in {text, decode(text)}:
        plain = visible(form)
        if "@" not in plain:
            continue
        for word in _NOT_ADDRESS.split(plain):
            local, _, rest = word.partition("@")
            name = _NAME_HEAD.match(rest)
            domain = name[0].rstrip(".-_") if name else ""
            if local and "." in domain:
                found.append(f"{local}@{domain}")
    return found


_Raw = tuple[list[Token] | None, list[Token], list[Token]]


def _mailbox_list(tokens: Tokens) -> tuple[list[_Raw], set[AuthorFlag]]:
    """RFC 6854 2.1: From is a list of mailboxes and groups. Returns phrase, local part and domain tokens."""
    flags: set[AuthorFlag] = set()
    found: list[_Raw] = []
    in_group = False
    listed = False  # whether a comma came before, which demands an element after it
    while True:
        words = tokens.take_words()
        if tokens.peek() is Kind.COLON:
            _group_name(words, nested=in_group)
            tokens.advance()
            flags.add(AuthorFlag.GROUP)
            in_group, listed = True, False
            words = tokens.take_words()
        mailbox = _mailbox(tokens, words, flags)
        if mailbox is not None:
            found.append(mailbox)
            if len(found) > MAX_MAILBOXES:
                raise AddressError(AddressCode.TOO_MANY, f"more than {MAX_MAILBOXES} mailboxes")
        else:
            _no_mailbox_here(tokens.peek(), words, listed=listed, in_group=in_group)
        if in_group and tokens.peek() is Kind.SEMICOLON:
            tokens.advance()
            in_group = False
        if tokens.peek() is not Kind.COMMA:
            break
        tokens.advance()
        listed = True
    if tokens.peek() is not Kind.END:
        raise AddressError(AddressCode.TRAILING_JUNK, "text after a mailbox")
    if in_group:
        raise AddressError(AddressCode.UNTERMINATED_GROUP, "a group without its semicolon")
    if not found:
        raise AddressError(AddressCode.NO_MAILBOX, "no mailbox")
    return found, flags


def _mailbox(tokens: Tokens, words: list[Token], flags: set[AuthorFlag]) -> _Raw | None:
    """RFC 5322 3.4 name-addr or addr-spec after its first ``words``; None when there is neither."""
    kind = tokens.peek()
    if kind is Kind.AT:
        return None, _local_words(words), _domain_tokens(tokens)
    if kind is not Kind.LEFT_ANGLE:
        return None
    if any(word.kind is Kind.DOT for word in words):
        if words[0].kind is Kind.DOT:
            raise AddressError(AddressCode.SYNTAX, "a display name starts with a dot")
        flags.add(AuthorFlag.OBS_PHRASE)  # RFC 5322 4.1: everywhere in use
    return (words or None, *_angle_address(tokens))


def _group_name(words: list[Token], *, nested: bool) -> None:
    if nested:
        raise AddressError(AddressCode.SYNTAX, "a group inside a group")
    if not words or words[0].kind is Kind.DOT:
        raise AddressError(AddressCode.SYNTAX, "a group without a name")


def _no_mailbox_here(kind: Kind, words: list[Token], *, listed: bool, in_group: bool) -> None:
    """An element that is neither mailbox nor group: only an empty field's and an empty group's end may be one."""
    if in_group and kind is Kind.END:
        raise AddressError(AddressCode.UNTERMINATED_GROUP, "a group without its semicolon")
    if words:
        raise AddressError(AddressCode.MISSING_DOMAIN, "a word where an address should be")
    if kind is Kind.COMMA or (listed and kind in (Kind.END, Kind.SEMICOLON)):
        raise AddressError(AddressCode.EMPTY_ELEMENT, "an empty element in the list")
    if kind is not Kind.END and not (in_group and kind is Kind.SEMICOLON):
        raise AddressError(AddressCode.SYNTAX, "a delimiter where a mailbox should be")


def _angle_address(tokens: Tokens) -> tuple[list[Token], list[Token]]:
    """RFC 5322 3.4 angle-addr, without obs-route (4.4)."""
    tokens.advance()
    if tokens.peek() is Kind.RIGHT_ANGLE:
        raise AddressError(AddressCode.NO_MAILBOX, "empty angle brackets")
    words = tokens.take_words()
    if tokens.peek() is Kind.AT and not words and tokens.has_before(Kind.COLON, Kind.RIGHT_ANGLE):
        raise AddressError(AddressCode.OBS_ROUTE, "a source route")
    if tokens.peek() is not Kind.AT:
        if words and tokens.peek() in (Kind.RIGHT_ANGLE, Kind.END):
            raise AddressError(AddressCode.MISSING_DOMAIN, "no at-sign inside the angle brackets")
        raise AddressError(AddressCode.SYNTAX, "no address inside the angle brackets")
    local = _local_words(words)
    domain = _domain_tokens(tokens)
    if tokens.peek() is Kind.END:
        raise AddressError(AddressCode.MISSING_CLOSE_ANGLE, "an angle bracket is not closed")
    if tokens.peek() is not Kind.RIGHT_ANGLE:
        raise AddressError(AddressCode.TRAILING_JUNK, "text after the domain")
    tokens.advance()
    return local, domain


def _local_words(words: list[Token]) -> list[Token]:
    """RFC 5322 3.4.1: a dot-atom or one quoted string; 4.4 obs-local-part is refused."""
    if not words:
        raise AddressError(AddressCode.MISSING_LOCAL, "nothing before the at-sign")
    dotted = any(word.kind is Kind.DOT for word in words)
    if dotted and (any(word.kind is Kind.QUOTED for word in words) or any(word.spaced for word in words[1:])):
        raise AddressError(AddressCode.OBSOLETE_SYNTAX, "blanks or quotes beside a dot in a local part")
    if not dotted and len(words) > 1:
        raise AddressError(AddressCode.SYNTAX, "several words before the at-sign")
    return words


def _domain_tokens(tokens: Tokens) -> list[Token]:
    tokens.advance()
    domain = tokens.take_domain()
    if not domain:
        raise AddressError(AddressCode.MISSING_DOMAIN, "nothing after the at-sign")
    if any(token.spaced for token in domain[1:]):
        raise AddressError(AddressCode.OBSOLETE_SYNTAX, "blanks or a comment beside a dot in a domain")
    return domain


def _local(words: list[Token]) -> str:
    text = "".join(word.text for word in words)
    if words[0].kind is not Kind.QUOTED and not all(text.split(".")):
        raise AddressError(AddressCode.BAD_DOTS, "a local part with a leading, trailing or doubled dot")
    text = unicodedata.normalize("NFC", text)
    if len(text.encode()) > MAX_LOCAL:
        raise AddressError(AddressCode.LOCAL_TOO_LONG, f"a local part over {MAX_LOCAL} octets")
    if not text.isascii() and (
        has_bidi(text) or has_invisible(text) or any(c.isspace() for c in text if c > "\x7f")
    ):
        raise AddressError(AddressCode.UNSAFE_CHAR, "an invisible or blank character in a local part")
    return text


def _display(phrase: list[Token] | None, flags: set[AuthorFlag]) -> str | None:
    """RFC 2047 5 (3): an encoded-word in a phrase is a word of its own; neighbours are joined (6.2)."""
    if phrase is None:
        return None
    out: list[str] = []
    index = 0
    while index < len(phrase):
        token = phrase[index]
        run = index
        while run < len(phrase) and phrase[run].encoded_word and (run == index or phrase[run].spaced):
            run += 1
        if run > index:
            words = [word.text for word in phrase[index:run]]
            text = decode_strictly(words)
            if text is None:
                flags.add(AuthorFlag.ENCODED_WORD_MALFORMED)
                text = " ".join(words)
            index = run
        else:
            text = token.text
            if token.kind is Kind.ATOM and "=?" in text:
                flags.add(AuthorFlag.ENCODED_WORD_MALFORMED)
            index += 1
        if out and (token.spaced or (token.kind is not Kind.DOT and out[-1] != ".")):
            out.append(" ")
        out.append(text)
    return "".join(out)


def _display_flags(display: str, own: set[str]) -> set[AuthorFlag]:
    flags: set[AuthorFlag] = set()
    if any(seen.lower() not in own for seen in addresses_in(display)):
        flags.add(AuthorFlag.ADDRESS_IN_DISPLAY)
    if has_control(display):
        flags.add(AuthorFlag.CONTROL_IN_DISPLAY)
    if has_bidi(display):
        flags.add(AuthorFlag.BIDI_IN_DISPLAY)
    if has_invisible(display):
        flags.add(AuthorFlag.INVISIBLE_IN_DISPLAY)
    return flags
