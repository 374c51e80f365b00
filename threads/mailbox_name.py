"""When are two addresses one mailbox? Pure. Only where nobody else can have the other form.

Compared as a whole, case aside, are the author's address and a contact's. Beyond that just this is taken for the same mailbox,
and only by a signature of the provider's own domain (``standing``), since DKIM and DMARC prove a domain and not who may use which
local part there:

* a sub-address (RFC 5233: ``alex+tag@``) at a provider that documents "+" for all its mailboxes and gives no account a name
  with "+" in it;
* the dots in a Gmail name, and googlemail.com for gmail.com; the domains that one Proton name has.

At any other domain ``alex+tag@`` may be another person's mailbox. It is said to be like a contact's address, and proves nothing.

The envelope sender is never compared: a forwarder writes it. What SRS and BATV wrap in it is shown to people and decides nothing,
for anybody can write it.
"""

from __future__ import annotations

import re
from typing import Final

_DELIMITER: Final = "+"
_GMAIL: Final = ("gmail.com", "googlemail.com")
_PROTON: Final = ("proton.me", "protonmail.com", "pm.me")
_ONE_NAME: Final = {domain: family for family in (_GMAIL, _PROTON) for domain in family}
_SUBADDRESSES: Final = frozenset(
    {*_GMAIL, *_PROTON, "outlook.com", "hotmail.com", "live.com", "icloud.com", "me.com", "fastmail.com"}
)
# SRS0=hash=timestamp=domain=local@forwarder; SRS1=hash=first-forwarder==hash=timestamp=domain=local@second-forwarder.
# The separator after SRS0 or SRS1 may be "=", "+" or "-".
_SRS0: Final = re.compile(r"SRS0[=+-][^=@]{1,32}=[^=@]{1,8}=([^=@]{1,253})=([^@]{1,64})", re.IGNORECASE)
_SRS1: Final = re.compile(
    r"SRS1[=+-][^=@]{1,32}=[^=@]{1,253}=[=+-][^=@]{1,32}=[^=@]{1,8}=([^=@]{1,253})=([^@]{1,64})",
    re.IGNORECASE,
)
_BATV: Final = re.compile(r"prvs=[0-9a-f]{4,16}=([^@]{1,64})", re.IGNORECASE)
_MAX_ADDRESS: Final = 1_000


def other_forms(address: str) -> tuple[str, ...]:
    """Other addresses, lower case, under which the mailbox of ``address`` may be on record: its base, its provider's forms."""
    address = address.lower()
    local, at, domain = address.rpartition("@")
    if not at:
        return ()
    if _DELIMITER not in local and domain not in _ONE_NAME:
        return ()  # nearly every address
    base = local.partition(_DELIMITER)[0]
    locals_ = [base] if domain not in _GMAIL else [base, base.replace(".", "")]
    forms = (f"{name}@{of}" for name in locals_ if name for of in _ONE_NAME.get(domain, (domain,)))
    return tuple(form for form in dict.fromkeys(forms) if form != address)


def same_mailbox(author: str, contact: str) -> bool:
    """Whether no one but the owner of ``contact`` can have ``author``, by the rules of the provider itself."""
    one, other = author.lower(), contact.lower()
    if one == other:
        return True
    domain, of_contact = one.rpartition("@")[2], other.rpartition("@")[2]
    if domain not in _SUBADDRESSES or of_contact not in _ONE_NAME.get(domain, (domain,)):
        return False
    return _plain(one, domain) == _plain(other, domain)


def _plain(address: str, domain: str) -> str:
    base = address.rpartition("@")[0].partition(_DELIMITER)[0]
    return base.replace(".", "") if domain in _GMAIL else base


def forwarded_for(mail_from: str) -> str | None:
    """The address that a forwarder says it has rewritten (SRS, BATV), or None. A claim of the envelope, for people to see."""
    if len(mail_from) > _MAX_ADDRESS:
        return None
    local, at, domain = mail_from.rpartition("@")
    if not at:
        return None
    for form in (_SRS0, _SRS1):
        found = form.fullmatch(local)
        if found is not None:
            return f"{found.group(2)}@{found.group(1)}"
    tagged = _BATV.fullmatch(local)
    return None if tagged is None else f"{tagged.group(1)}@{domain}"
