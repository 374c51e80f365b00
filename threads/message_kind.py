"""What a message is, apart from who sent it: written by a person, or one of the machines' kinds."""

from __future__ import annotations

import re

from threads.delivery_report import Bounce, read_plain, read_report
from threads.model import MessageKind
from threads.subject import base_subject
from verifier.charset import to_text
from verifier.message import Message
from verifier.parts import Part

# RFC 3834 5: anything but "no" is automatic. The others are older habits.
_AUTO_FIELDS = (
    b"x-autoreply",
    b"x-autorespond",
    b"x-autoresponder",
    b"x-auto-reply-from",
    b"x-mail-autoreply",
)
_AUTO_SUBJECT = re.compile(
    r"(?:re:\s*)?(?:auto(?:matic|mated|matische)?[ -]?(?:reply|response|re|antwort|respuesta)?\s?:|automatic reply|auto[- ]?reply"
    r"|out of (?:the )?office|away from my mail|vacation (?:reply|message)|on vacation|i am away"
    r"|abwesenheits|automatische antwort|réponse automatique|absence du bureau|absent du bureau"
    r"|respuesta automática|fuera de (?:la )?oficina|resposta automática|ausência|fora do escritório"
    r"|risposta automatica|fuori sede|automatisch antwoord|afwezig|autosvar|automatiskt svar|frånvaro"
    r"|自動応答|自動返信|不在通知|不在のお知らせ|自动回复|自動回覆|автоответ|автоматический ответ|자동 회신)",
    re.IGNORECASE,
)
_BOUNCE_SUBJECT = re.compile(
    r"undeliver|undelivered|delivery status notification|delivery (?:has )?fail|failure notice|returned mail|mail delivery"
    r"|delivery notification|delivery failure|mail system error|non[- ]?delivery|nondeliverable|could not be delivered"
    r"|can(?:not|'t) be delivered|message you sent blocked|warning: could not send|unzustellbar|nicht zugestellt"
    r"|no se (?:puede|pudo) entregar|não (?:foi )?entregue|non remis|impossible de remettre|mancata consegna"
    r"|failed delivery|failure delivery|mail failed|could not send|still being retried|メールエラー"
    r"|配信不能|配信できません|エラーメール|returned to sender|error sending|delivery error|bounce",
    re.IGNORECASE,
)
_DELAY_SUBJECT = re.compile(
    r"delay|warning|still being retried|not yet|deferred|verzögert|遅延|retras", re.IGNORECASE
)
_MAILER = re.compile(
    r"mailer[-_]?daemon|post_?master|mail delivery (?:sub)?system|mail[- ]?system|mdaemon", re.IGNORECASE
)
_UNSUBSCRIBE = re.compile(
    r"(?:please )?(?:unsubscribe(?: me)?|remove me|abmelden|désabonner|cancelar suscripción)\W{0,3}",
    re.IGNORECASE,
)
# A body longer than this is more than the word "unsubscribe".
_MAX_UNSUBSCRIBE = 100
_ACTION_KINDS = {"delayed": MessageKind.DELAY, "failed": MessageKind.BOUNCE}


def kind_of(
    message: Message, parts: tuple[Part, ...], subject: str, text: str
) -> tuple[MessageKind, Bounce | None]:
    """The kind, and for reports on deliveries what they say. ``subject`` and ``text`` are decoded."""
    report = read_report(message, parts)
    if report is not None:
        return _reported(report), report
    if (kind := _by_type(parts)) is not None:
        return kind, None
    if _from_mailer(message, subject):
        delayed = _DELAY_SUBJECT.search(subject) and "fail" not in subject.lower()
        return MessageKind.DELAY if delayed else MessageKind.BOUNCE, read_plain(message, parts, text)
    if _automatic(message, subject):
        return MessageKind.AUTO_REPLY, None
    if any(part.content_type == "text/calendar" and part.parameter("method") for part in parts):
        return MessageKind.CALENDAR, None
    return MessageKind.UNSUBSCRIBE if _asks_to_unsubscribe(subject, text) else MessageKind.HUMAN, None


def _reported(report: Bounce) -> MessageKind:
    """By the action word (RFC 3464 2.3.3), or the status where it is missing."""
    if report.action is not None:
        return _ACTION_KINDS.get(report.action, MessageKind.DELIVERED)
    return MessageKind.DELAY if (report.status or "").startswith("4") else MessageKind.BOUNCE


def _by_type(parts: tuple[Part, ...]) -> MessageKind | None:
    """By the types of RFC 5965 (complaints) and RFC 8098 (read receipts)."""
    types = {part.content_type for part in parts}
    report_type = (parts[0].parameter("report-type") or "").lower()
    if "message/feedback-report" in types or report_type == "feedback-report":
        return MessageKind.FEEDBACK_REPORT
    if "message/disposition-notification" in types or report_type == "disposition-notification":
        return MessageKind.DISPOSITION
    return None


def _value(message: Message, name: bytes) -> str | None:
    found = message.named(name)
    return to_text(found[0].value[:1_000], None)[0].strip() if found else None


def _from_mailer(message: Message, subject: str) -> bool:
    if message.named(b"x-failed-recipients"):
        return True
    author = _value(message, b"from") or ""
    sender = _value(message, b"return-path")
    mailer = _MAILER.search(author) is not None or sender == "<>"
    return mailer and _BOUNCE_SUBJECT.search(subject) is not None


def _automatic(message: Message, subject: str) -> bool:
    submitted = _value(message, b"auto-submitted")
    if submitted is not None and submitted.partition(";")[0].strip().lower() != "no":
        return True
    if any(message.named(name) for name in _AUTO_FIELDS):
        return True
    if (_value(message, b"precedence") or "").lower() in ("auto_reply", "auto-reply"):
        return True
    return _AUTO_SUBJECT.match(subject.strip()) is not None


def _asks_to_unsubscribe(subject: str, text: str) -> bool:
    short = text.strip()
    if len(short) > _MAX_UNSUBSCRIBE:
        return False
    said = _UNSUBSCRIBE.fullmatch(base_subject(subject)) is not None
    return said and (not short or _UNSUBSCRIBE.fullmatch(short) is not None or len(short.split()) <= 12)  # noqa: PLR2004 -- a sentence
