"""From a draft and its template to frozen bytes: the same arguments give the same bytes. Pure.

The result is CRLF, 7-bit (but for an address that is not ASCII itself, RFC 6532), with lines of at most 78
characters where nothing longer is in one word, so that no relay has a reason to change it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import format_datetime

import css_inline

from outbound import header
from outbound.errors import ComposeError
from outbound.links import LinkError, check_html, check_text
from outbound.model import Draft, Letterhead, MailKind, Rendered, Stamp
from outbound.template import Template, checked_values, render_text
from outbound.variables import withheld

# A text part may go as it is while its lines are this short (RFC 5322 2.1.1).
_PLAIN_LINE = 78
_BASE64_LINE = 76  # RFC 2045 6.8
# Stands around what is said while a text is made; no variable can hold a control character.
_MARK = "\x1e"
LEFT_OUT = "Left out of this mail; the portal, or a call, has to say it:"
"""Stands in the record between what a mail says and what was left out of it."""
_BLANK_RUN = re.compile(r"\n{3,}")

_INLINER = css_inline.CSSInliner(
    keep_style_tags=True,  # dark mode and narrow screens live in at-rules that cannot be inlined
    keep_at_rules=True,
    remove_inlined_selectors=True,
    load_remote_stylesheets=False,  # nothing is ever fetched
)


def render(draft: Draft, template: Template, letterhead: Letterhead, stamp: Stamp) -> Rendered:
    """Freeze one mail. Raises ComposeError for variables that do not fit, in words for the writer."""
    if draft.kind.automatic and draft.recipient.display_name:
        raise ComposeError(f"A {draft.kind.value} mail is automatic and repeats no name that came by mail.")
    try:
        return _render(draft, template, letterhead, stamp)
    except (header.HeaderError, LinkError) as error:
        raise ComposeError(str(error)) from error


def _render(draft: Draft, template: Template, letterhead: Letterhead, stamp: Stamp) -> Rendered:
    if stamp.date.tzinfo is None:
        raise ComposeError("The date of a mail needs a zone.")
    if not header.plain_message_id(stamp.message_id.removeprefix("<").removesuffix(">")):
        raise ComposeError("The Message-ID is not a plain one.")
    recipient = header.mailbox(draft.recipient.address)
    given = checked_values(template, draft.variables, letterhead.link_hosts)
    frame: dict[str, object] = {
        "tag": draft.tag,
        "language": template.language,
        "recipient_name": draft.recipient.display_name,
        "service_name": letterhead.service_name,
        "sender_address": letterhead.sender.address,
        "verify_address": letterhead.verify_address,
        "ask_address": letterhead.ask_address,
        "phone": letterhead.phone,
        "code": "" if draft.code is None else draft.code.text,
        "mark": _MARK,
    }
    values: Mapping[str, object] = {**given, **frame}
    left_out = ""
    if not draft.disclosure.full and template.reduced is not None:
        left_out = _left_out(template, values, draft)
        template = template.reduced
        values = {**withheld(template.variables, given), **frame, "kind": draft.kind.value}
    subject, values = _headed(template, values, draft)
    text, said = _text(template, values)
    check_text(f"{subject}\n{text}", letterhead.link_hosts)
    html = _styled(template, render_text(template.html, values), letterhead.link_hosts)
    raw = _headers(draft, letterhead, stamp, recipient, subject) + _body(text, _tidy(html), stamp)
    return Rendered(
        raw=raw,
        message_id=stamp.message_id,
        mail_from=draft.mail_from,
        rcpt_to=recipient,
        subject=subject,
        said=said.strip("\n") + left_out,
        kind=draft.kind,
        template_version=template.version,
        language=template.language,
        thread_id=draft.thread_id,
        contact_id=draft.recipient.contact_id,
        created=stamp.date,
        code_key=None if draft.code is None else draft.code.key,
        disclosure=draft.disclosure,
    )


def _headed(
    template: Template, values: Mapping[str, object], draft: Draft
) -> tuple[str, Mapping[str, object]]:
    """The subject, and the values with it and the heading among them."""
    heading = _heading(template, values)
    subject = _subject(draft, heading, template.subject_max)
    return subject, {**values, "heading": heading, "subject": subject}


def _left_out(template: Template, values: Mapping[str, object], draft: Draft) -> str:
    """What the mail would have said, for our own record; the mail itself has nothing of it."""
    subject, values = _headed(template, values, draft)
    _text_part, said = _text(template, values)
    return f"\n\n{LEFT_OUT}\n{subject}\n\n" + said.strip("\n")


def _styled(template: Template, html: str, hosts: frozenset[str]) -> str:
    check_html(html, hosts)
    try:
        return _INLINER.inline(html)
    except css_inline.InlineError as error:
        raise ComposeError(f"The HTML of {template.kind.value} cannot be styled: {error}.") from error


def _text(template: Template, values: Mapping[str, object]) -> tuple[str, str]:
    """The text part, and of it what is said between greeting and small print."""
    above, said, below = render_text(template.text, values).split(_MARK)
    return _tidy(above + said + below), _tidy(said)


def _heading(template: Template, values: Mapping[str, object]) -> str:
    """What the mail is about, in one line: the subject without the tag."""
    return " ".join(render_text(template.subject, values).split())


def _subject(draft: Draft, heading: str, longest: int) -> str:
    subject = f"[{draft.tag}] {heading}" if draft.tag else heading
    return subject if len(subject) <= longest else subject[: longest - 3].rstrip() + "..."


def _tidy(text: str) -> str:
    """No blanks at line ends, no run of empty lines, one line end at the end."""
    lines = "\n".join(line.rstrip() for line in text.replace("\r\n", "\n").split("\n"))
    return _BLANK_RUN.sub("\n\n", lines).strip("\n") + "\n"


def _headers(draft: Draft, letterhead: Letterhead, stamp: Stamp, recipient: str, subject: str) -> bytes:
    sender = letterhead.sender
    fields = [
        ("From", header.name_addr(sender.display_name, header.mailbox(sender.address))),
        ("To", header.name_addr(draft.recipient.display_name, recipient)),
        ("Subject", header.unstructured(subject)),
        ("Date", format_datetime(stamp.date.astimezone(UTC).replace(microsecond=0))),
        ("Message-ID", stamp.message_id),
        ("Reply-To", f"<{header.mailbox(draft.reply_to)}>"),
    ]
    if draft.in_reply_to is not None and header.plain_message_id(draft.in_reply_to):
        fields.append(("In-Reply-To", f"<{draft.in_reply_to}>"))
    if listed := header.references(draft.references):
        fields.append(("References", " ".join(f"<{one}>" for one in listed)))
    if draft.kind.automatic:
        answers = draft.kind not in (MailKind.ALERT, MailKind.REMINDER)
        fields.append(("Auto-Submitted", "auto-replied" if answers else "auto-generated"))  # RFC 3834 5
    # An expert's absence is nobody's news here, and must not come back as mail that experts are told of.
    suppressed = "All" if draft.kind is MailKind.ALERT else header.SUPPRESS
    fields.append(("X-Auto-Response-Suppress", suppressed))
    fields.append(("MIME-Version", "1.0"))
    return b"".join(header.field(name, value) for name, value in fields)


def _body(text: str, html: str, stamp: Stamp) -> bytes:
    parts = (_part("plain", text), _part("html", html))
    # "=_" cannot occur in quoted-printable (RFC 2045 6.7), and the digest of the parts cannot stand in them.
    digest = hashlib.sha256(stamp.boundary_seed.encode() + b"\0" + b"\0".join(parts)).hexdigest()
    boundary = f"=_{digest[:32]}"
    return (
        f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"\r\n\r\n'.encode()
        + b"".join(f"--{boundary}\r\n".encode() + part + b"\r\n" for part in parts)
        + f"--{boundary}--\r\n".encode()
    )


def _part(subtype: str, text: str) -> bytes:
    lines = text.split("\n")
    plain = text.isascii() and all(len(line) <= _PLAIN_LINE for line in lines)
    if plain and not any(line.startswith("From ") for line in lines):
        encoding, body = "7bit", text.replace("\n", "\r\n").encode("ascii")
    else:
        encoding, body = "quoted-printable", _quoted_printable(text)
        # Each letter of Japanese takes nine characters there, and four here.
        if len(shorter := _base64(text)) < len(body):
            encoding, body = "base64", shorter
    charset = "us-ascii" if encoding == "7bit" else "utf-8"
    return (
        f"Content-Type: text/{subtype}; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    ).encode() + body


def _base64(text: str) -> bytes:
    encoded = base64.b64encode(text.replace("\n", "\r\n").encode())
    lines = (encoded[at : at + _BASE64_LINE] for at in range(0, len(encoded), _BASE64_LINE))
    return b"".join(line + b"\r\n" for line in lines)


def _quoted_printable(text: str) -> bytes:
    encoded = binascii.b2a_qp(text.replace("\n", "\r\n").encode(), quotetabs=False, istext=True)
    # Some programs on the way write ">From", which would break the signature.
    return re.sub(rb"^From ", b"=46rom ", encoded, flags=re.MULTILINE)
