"""Which protected identity a message claims to come from, and whether it imitates one from elsewhere.

Only what names the author makes a claim: the From field. Brand words in the text and a Reply-To that leads
elsewhere are told by ``mentions`` and prove nothing: every customer's reply quotes the brand.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from verifier.address import AuthorField, AuthorFlag, Mailbox
from verifier.ambiguity import ambiguities_of
from verifier.ambiguity_form import Ambiguity
from verifier.author import AuthorRefusal
from verifier.display import fold, names_same, skeleton, visible
from verifier.encoded_word import decode
from verifier.identity import Identity, a_label_name
from verifier.lookalike import Lookalikes
from verifier.message import Message
from verifier.report import Claim, ClaimedBy

MAX_FROM_TEXT = 4_096  # characters of From fields searched for hidden addresses and names in comments
MAX_ADDRESSES = 40  # addresses looked at in one text
MAX_CLAIMS = 20

_COMMENT = re.compile(r"\(([^()]*)\)")
_AROUND = re.compile(r"[ \t]*+([.@])[ \t]*+")
_DOMAIN = re.compile(r"[\w.-]{1,253}")
_LOCAL = re.compile(r"[^\s<>()\"',;:@\\\[\]]{1,64}$")
# Fields that clients show as the author where From cannot be read (RFC 5322 3.6.2, 3.6.6).
_STAND_INS = (b"sender", b"resent-from")


@dataclass(frozen=True, slots=True)
class Claims:
    """What a message claims. ``owner`` is the identity whose domain the one well-formed author is at."""

    claims: tuple[Claim, ...] = ()
    imitations: tuple[Claim, ...] = ()  # those of them that come from elsewhere: row 1 of the table
    owner: Identity | None = None
    pinned: bool = False
    several: bool = False  # several authors
    malformed: str | None = None  # the refusal's code
    ambiguities: tuple[Ambiguity, ...] = ()  # forms that readers read differently, where something is claimed


class BrandTerm(NamedTuple):
    """A brand term by its looks, in lower case, its first word alone, and as the identity file has it.

    A text without the first word does not hold the term: that is looked for first, as nearly no text holds it.
    """

    folded: str
    plain: str
    first_word: str
    shown: str


class Protection:
    """The identities with everything that is worked out once: skeletons of names, look-alike targets."""

    def __init__(self, identities: Iterable[Identity]) -> None:
        self.identities = tuple(identities)
        self.lookalikes = Lookalikes(self.identities)
        names: dict[str, list[Identity]] = {}
        for identity in self.identities:
            for shown in identity.display_names:
                key = skeleton(shown)
                if key:
                    names.setdefault(key, []).append(identity)
        self.names = tuple((key, tuple(owners)) for key, owners in names.items())
        self.terms = tuple(
            BrandTerm(folded, term.casefold(), term.casefold().split()[0], term)
            for folded, term in {fold(t): t for i in self.identities for t in i.brand_terms}.items()
        )
        self.owned: dict[str, Identity] = {}
        for identity in self.identities:
            for domain in identity.domains:
                if not domain.startswith("."):
                    self.owned.setdefault(domain, identity)
        self.wild = tuple(i for i in self.identities if any(d.startswith(".") for d in i.domains))

    def owner_of(self, domain: str) -> Identity | None:
        """The identity that a domain belongs to as an author's."""
        return self.owned.get(domain) or next((i for i in self.wild if i.owns(domain)), None)

    def named(self, identity: str) -> Identity | None:
        """The identity of that name."""
        return next((i for i in self.identities if i.name == identity), None)


@lru_cache(maxsize=32)
def protection_of(identities: tuple[Identity, ...]) -> Protection:
    """The identities made ready; built once per set."""
    return Protection(identities)


def claims_of(message: Message, author: AuthorField | AuthorRefusal, protection: Protection) -> Claims:
    """Work out all claims of a message. Pure; cost bounded by the caps above."""
    fields = [field.value for field in message.named(b"from")]
    if isinstance(author, AuthorRefusal):
        fields += [field.value for name in _STAND_INS for field in message.named(name)]
        return _malformed(author, _text_of(fields), protection)
    text = _text_of(fields)
    if len(author.mailboxes) != 1:
        return _several(author.mailboxes, text, protection)
    mailbox = author.mailboxes[0]
    owner = protection.owner_of(mailbox.domain)
    address = f"{mailbox.local}@{mailbox.domain}"
    imitations: list[Claim] = []
    plain: list[Claim] = []
    if owner is not None:
        by = ClaimedBy.AUTHOR_ADDRESS if owner.pins(address) else ClaimedBy.AUTHOR_DOMAIN
        plain.append(Claim(owner.name, by, address))
    else:
        found = protection.lookalikes.find(mailbox.domain)
        if found is not None:
            detail = f"{mailbox.domain} looks like {found.protected}: {found.how}"
            imitations.append(Claim(found.identity, ClaimedBy.LOOKALIKE_DOMAIN, detail))
    names = _names_in(mailbox.display, text)
    if AuthorFlag.GROUP in author.flags:  # some clients show the group's name as the author's (RFC 6854 5)
        names.append(skeleton(_without_addresses(text)))
    for claim, identity in _by_name(names, protection, mailbox.domain):
        target = plain if identity.knows(mailbox.domain) else imitations
        target.append(claim)
    if text.count("@") > 1:  # the only one is the author's own
        imitations.extend(_hidden(text, mailbox, protection, owner))
    claims = _unique((*plain, *imitations))
    return Claims(
        claims,
        _unique(imitations),
        owner,
        owner is not None and owner.pins(address),
        several=False,
        malformed=None,
        ambiguities=ambiguities_of(message, author) if claims else (),
    )


def _several(mailboxes: tuple[Mailbox, ...], text: str, protection: Protection) -> Claims:
    """Several authors: one of them naming a protected identity is enough (RFC 9989 5.3.1)."""
    found = list(_named_authors(mailboxes, text, protection))
    return Claims(_unique(found), _unique(found), several=True)


def _malformed(refusal: AuthorRefusal, text: str, protection: Protection) -> Claims:
    """No author can be read; whatever a lenient client might show counts."""
    found = list(_named_authors(refusal.mailboxes, text, protection))
    if not found:  # readers of obsolete syntax join what blanks and comments keep apart (RFC 5322 4.4)
        for local, domain in named_addresses(_AROUND.sub(r"\1", _COMMENT.sub("", text))):
            found += _by_domain(domain, local, protection, ClaimedBy.AUTHOR_DOMAIN)
    return Claims(_unique(found), _unique(found), malformed=refusal.code)


def _named_authors(mailboxes: tuple[Mailbox, ...], text: str, protection: Protection) -> Iterator[Claim]:
    named = {(mailbox.local, mailbox.domain) for mailbox in mailboxes}
    for mailbox in mailboxes[:MAX_ADDRESSES]:
        yield from _by_domain(mailbox.domain, mailbox.local, protection, ClaimedBy.AUTHOR_DOMAIN)
        for claim, _ in _by_name(_names_in(mailbox.display, ""), protection, mailbox.domain):
            yield claim
    for local, domain in named_addresses(text):
        if (local, domain) not in named:
            yield from _by_domain(domain, local, protection, ClaimedBy.HIDDEN_ADDRESS)
    for claim, _ in _by_name([skeleton(_without_addresses(text)), *_names_in(None, text)], protection, ""):
        yield claim


def _by_domain(domain: str, local: str, protection: Protection, by: ClaimedBy) -> Iterator[Claim]:
    owner = protection.owner_of(domain)
    if owner is not None:
        if by is ClaimedBy.AUTHOR_DOMAIN and owner.pins(f"{local}@{domain}"):
            by = ClaimedBy.AUTHOR_ADDRESS
        yield Claim(owner.name, by, f"{local}@{domain}")
        return
    found = protection.lookalikes.find(domain)
    if found is not None:
        yield Claim(
            found.identity, ClaimedBy.LOOKALIKE_DOMAIN, f"{domain} looks like {found.protected}: {found.how}"
        )


def _by_name(names: list[str], protection: Protection, domain: str) -> Iterator[tuple[Claim, Identity]]:
    """Display names of identities; two identities may share one, and each of their domains may carry it."""
    for key, owners in protection.names:
        if any(owner.owns(domain) for owner in owners):
            continue
        if any(names_same(name, key) for name in names):
            known = next((owner for owner in owners if owner.knows(domain)), owners[0])
            shown = next(s for s in known.display_names if skeleton(s) == key)
            yield Claim(known.name, ClaimedBy.DISPLAY_NAME, f"the author's name reads “{shown}”"), known


def _hidden(text: str, author: Mailbox, protection: Protection, owner: Identity | None) -> Iterator[Claim]:
    """Addresses in the name or a comment that are a protected identity's, while the author is elsewhere."""
    for local, domain in named_addresses(text):
        if domain == author.domain:
            continue
        for claim in _by_domain(domain, local, protection, ClaimedBy.HIDDEN_ADDRESS):
            named = protection.named(claim.identity)
            if owner is not None and (
                named is owner or (named and set(named.display_names) & set(owner.display_names))
            ):
                continue
            detail = f"{local}@{domain} stands in the author's name"
            yield Claim(claim.identity, ClaimedBy.HIDDEN_ADDRESS, detail)


def _names_in(display: str | None, text: str) -> list[str]:
    """Skeletons of everything that a client may show as the author's name."""
    shown = [display] if display else []
    if "(" in text:
        shown += _COMMENT.findall(text)
    decoded = [decode(name) if "=?" in name else name for name in shown]
    return [key for name in decoded if (key := skeleton(_without_addresses(name)))]


def _text_of(values: list[bytes]) -> str:
    """From fields as one visible text: unfolded, encoded words decoded wherever they stand."""
    raw = b" ".join(values)[:MAX_FROM_TEXT]
    text = raw.decode("utf-8", "replace").replace("\r\n", "").replace("\n", "")
    if "=?" in text:
        text = decode(text)
        if "=?" in text:  # inside quotes and comments, and without blanks around, strict decoding leaves them
            text = decode(_SPACED.sub(r" \1 ", text))
    return text if text.isascii() else "".join(visible(text[i : i + 500]) for i in range(0, len(text), 500))


_SPACED = re.compile(r"(=\?[!-~]{1,200}?\?=)")


def named_addresses(text: str) -> Iterator[tuple[str, str]]:
    """Addresses as a person would see them in a text: local part and domain in A-labels."""
    at = -1
    for _ in range(MAX_ADDRESSES):
        at = text.find("@", at + 1)
        if at < 0:
            return
        domain = _DOMAIN.match(text, at + 1)
        local = _LOCAL.search(text[max(0, at - 64) : at])
        if domain is None:
            continue
        name = a_label_name(unicodedata.normalize("NFKC", domain[0]).strip(".-_"))
        if name is not None and "." in name:
            yield (local[0] if local else "", name)


def _without_addresses(text: str) -> str:
    """The text without what stands around each @, so that a local part is not taken for a name."""
    if "@" not in text:
        return text
    return " ".join(word for word in text.split() if "@" not in word)


def _unique(claims: Iterable[Claim]) -> tuple[Claim, ...]:
    return tuple(dict.fromkeys(claims))[:MAX_CLAIMS]
