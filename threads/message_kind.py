"""What a message is, apart from who sent it: written by a person, or one of the machines' kinds."""

from __future__ import annotations

import re

from threads.bounce_text import broken_body, completed, read_plain
from threads.cloud_notice import read_notice
from threads.delivery_report import Bounce, read_report
from threads.model import MessageKind
from threads.subject import base_subject
from verifier.charset import to_text
from verifier.message import Message
from verifier.parts import Part

# RFC 3834 5: anything but "no" is automatic. The others are older habits.
_AUTO_FIELDS = frozenset(
    {b"x-autoreply", b"x-autorespond", b"x-autoresponder", b"x-auto-reply-from", b"x-mail-autoreply"}
)
_AUTO_SUBJECT = re.compile(
    r"auto(?:matic|mated|matische)?[ -]?(?:reply|response|respons|re|antwort|respuesta)\s?:"
)
# What the programs of each language put before the subject of what they answer, in small letters.
_ABSENCES = (
    *("automatic reply", "auto reply", "auto-reply", "autoreply", "out of office", "out of the office"),
    *("away from my mail", "vacation reply", "vacation message", "on vacation", "i am away"),
    *("abwesenheits", "automatische antwort", "réponse automatique", "absence du bureau", "absent du bureau"),
    *("respuesta automática", "fuera de oficina", "fuera de la oficina", "resposta automática", "ausência"),
    *(
        "fora do escritório",
        "risposta automatica",
        "fuori sede",
        "automatisch antwoord",
        "afwezig",
        "autosvar",
    ),
    *("ooo:", "frånvarande", "poissaoloilmoitus", "nieobecność", "mimo kancelář", "ofis dışında", "távollét"),
    *(
        "automātiskā atbilde",
        "automatinis atsakymas",
        "automaatvastus",
        "samodejni odgovor",
        "automatski odgovor",
    ),
    *("automatiskt svar", "automatisk svar", "frånvaro", "automaattinen vastaus", "automatyczna odpowiedź"),
    *("automatická odpov", "automatikus válasz", "răspuns automat", "otomatik yanıt", "αυτόματη απάντηση"),
    *(
        "автоответ",
        "автоматический ответ",
        "автоматична відповідь",
        "מענה אוטומטי",
        "תשובה אוטומטית",
        "رد تلقائي",
    ),
    *(
        "tự động trả lời",
        "自動応答",
        "自動返信",
        "不在通知",
        "不在のお知らせ",
        "自动回复",
        "自動回覆",
        "자동 회신",
        "자동 응답",
    ),
)
# What English says in the middle of a sentence as well: "On vacation sign-in from Spain". As an absence it ends there, or a time follows.
_SAID_OF_OTHERS = re.compile(
    r"(?:on vacation|out of (?:the )?office) (?!until|till|through|from|to\b|on\b|for\b|in\b|this|next|today|tomorrow|since|as of|and\b|at\b|w/"
    r"|auto|reply|response|respond|message|notif|notice|assist|alert|re\b)[a-z]"
)
# Characters of a subject at which an absence is looked for.
_MAX_PREFIX = 80
_BOUNCE_SUBJECT = re.compile(
    r"undeliver|undelivered|delivery status notification|delivery (?:has )?fail|failure notice|returned mail|mail delivery"
    r"|delivery notification|delivery failure|mail system error|non[- ]?delivery|nondeliverable|could not be delivered"
    r"|can(?:not|'t) be delivered|message you sent blocked|warning: could not send|unzustellbar|nicht zugestellt"
    r"|no se (?:puede|pudo) entregar|não (?:foi )?entregue|non remis|impossible de remettre|mancata consegna"
    r"|failed delivery|failure delivery|mail failed|could not send|still being retried|メールエラー"
    r"|non recapitabile|recapito non riuscito|onbestelbaar|kan inte levereras|kan ikke leveres|kunne ikke leveres"
    r"|toimitus epäonnistui|ei voi(?:da)? toimittaa|niedostarcz|nie można dostarczyć|nedoručiteln|kézbesíthetetlen"
    r"|nu se poate livra|teslim edilem|недостав|не (?:удается|удалось) доставить|не вдалося доставити|impossível entregar"
    r"|não é possível entregar|não foi possível entregar|δεν είναι δυνατή η παράδοση|לא ניתן למסירה|تعذر التسليم"
    r"|无法投递|无法送达|未送达|退信|無法傳遞|無法投遞|배달되지 않음|배달할 수 없"
    r"|配信不能|配信できません|エラーメール|returned to sender|error sending|delivery error|bounce",
    re.IGNORECASE,
)
_DELAY_SUBJECT = re.compile(
    r"delay|warning|still being retried|not yet|deferred|verzögert|遅延|retras", re.IGNORECASE
)
_MAILER = re.compile(
    r"mailer[-_]?daemon|post_?master|mail delivery (?:sub)?system|mail[- ]?system|mdaemon", re.IGNORECASE
)
_DISPOSITION_TYPES = frozenset(
    {"message/disposition-notification", "message/global-disposition-notification"}
)
_COMPLAINT = re.compile(r"complaint about message from [0-9a-f.:]{3,45}$", re.IGNORECASE)
# How the envelope's empty path stands in saved mail.
_NULL_PATHS = frozenset({"<>", "<MAILER-DAEMON>", "MAILER-DAEMON"})
_ROBOT = re.compile(r"no[-_]?reply@|do[-_]?not[-_]?reply@", re.IGNORECASE)
# Lists answer strangers in the words of a bounce (RFC 2369, ezmlm).
_LIST_FIELDS = frozenset({b"list-subscribe", b"mailing-list"})
# Characters in which a mailer says that it is one and that mail did not arrive.
_MAX_BOUNCE_TEXT = 4_000
# Of an answer only its beginning: what it quotes may be a bounce.
_MAX_REPLY = 200
_REPLY = re.compile(r"(?:re|aw|sv|vs|antw)\s?:", re.IGNORECASE)
_UNDELIVERED = re.compile(
    r"(?:not|n't) (?:be )?deliver|undeliver|unable to deliver|delivery (?:to|of) .{0,80}failed|did not reach the following"
    r"|delivery failed|had (?:permanent )?(?:fatal |delivery )?(?:errors|problems)|automatic bounce"
    r"|transcript of session follows|recipient addresses that were|you are not a member of|invalid user address"
    r"|error (?:delivering|sending) your|was rejected",
    re.IGNORECASE,
)
_DELAY_TEXT = re.compile(
    r"has not yet been delivered|(?:is|been) delayed|will be retried|will (?:continue|keep) trying|will retry"
    r"|still (?:being )?(?:trying|tried|retried)|do not need to resend|only a temporary failure"
    r"|delivery attempts will continue|no action is required on your part",
    re.IGNORECASE,
)
# A refusal in the words of SMTP (RFC 5321 4.2, RFC 3463): whatever language stands around it.
_REFUSED = re.compile(r"(?<![\w.])5\d\d[ -]#?5\.\d{1,3}\.\d{1,3}(?![\w.])", re.ASCII)
_GIVEN_UP = re.compile(r"permanent|given up|giving up|will not be retried|returned to you", re.IGNORECASE)
# A subject that names a failure, or says that the mail comes back, is no delay's, whatever else it quotes.
_NO_DELAY = re.compile(r"fail|returned mail|undeliver", re.IGNORECASE)
_UNSUBSCRIBE = re.compile(
    r"(?:please )?(?:unsubscribe(?: me)?|remove me|abmelden|désabonner|cancelar suscripción)\W{0,3}",
    re.IGNORECASE,
)
# A body longer than this is more than the word "unsubscribe".
_MAX_UNSUBSCRIBE = 100


def kind_of(
    message: Message, parts: tuple[Part, ...], subject: str, text: str, *, null_path: bool = False
) -> tuple[MessageKind, Bounce | None]:
    """The kind, and for reports on deliveries what they say. ``subject`` and ``text`` are decoded.

    ``null_path``: the envelope's sender is known to be empty (RFC 5321 4.5.5), so that no person sent it.
    """
    report = read_report(message, parts)
    if report is not None:
        kind = _reported(report)
        if report.recipient is None or report.status is None:
            report = completed(report, read_plain(message, parts, text, passing=kind is MessageKind.DELAY))
        return kind, report
    notice = read_notice(message, text)
    if notice is not None:
        return notice
    if parts[0].multipart and (typed := _by_type(parts, subject)) is not None:
        return typed, None
    if _from_mailer(message, subject, text, null_path=null_path):
        passing = _is_delay(subject, text)
        kind = MessageKind.DELAY if passing else MessageKind.BOUNCE
        return kind, read_plain(message, parts, text, passing=passing)
    if _automatic(message, subject):
        return MessageKind.AUTO_REPLY, None
    kind = _by_content(parts, subject, text)
    return MessageKind.AUTO_REPLY if null_path and kind is MessageKind.HUMAN else kind, None


def _by_content(parts: tuple[Part, ...], subject: str, text: str) -> MessageKind:
    for part in parts:
        if part.content_type == "text/calendar" and part.parameter("method"):
            return MessageKind.CALENDAR
    return MessageKind.UNSUBSCRIBE if _asks_to_unsubscribe(subject, text) else MessageKind.HUMAN


def _reported(report: Bounce) -> MessageKind:
    """By the action words (RFC 3464 2.3.3), or the status where they are missing: one failure is a bounce."""
    if any(fate.failed for fate in report.recipients):
        return MessageKind.BOUNCE
    return MessageKind.DELAY if any(fate.delayed for fate in report.recipients) else MessageKind.DELIVERED


def _by_type(parts: tuple[Part, ...], subject: str) -> MessageKind | None:
    """By the types of RFC 5965 (complaints) and RFC 8098 (read receipts)."""
    types = {part.content_type for part in parts}
    report_type = (parts[0].parameter("report-type") or "").lower()
    if "message/feedback-report" in types or report_type == "feedback-report":
        return MessageKind.FEEDBACK_REPORT
    if not types.isdisjoint(_DISPOSITION_TYPES) or report_type == "disposition-notification":
        return MessageKind.DISPOSITION
    # Outlook.com's complaints are older than RFC 5965: a sentence in the subject, and the mail attached.
    if "message/rfc822" in types and _COMPLAINT.match(subject) is not None:
        return MessageKind.FEEDBACK_REPORT
    return None


def _value(message: Message, name: bytes) -> str | None:
    found = message.by_name.get(name)
    return to_text(found[0].value[:1_000], None)[0].strip() if found else None


def _from_mailer(message: Message, subject: str, text: str, *, null_path: bool) -> bool:
    """A bounce or delay without fields: from a mailer, or on a null path, and it says that mail did not arrive."""
    names = message.by_name
    if b"x-failed-recipients" in names:
        return True
    author = _value(message, b"from") or ""
    if null_path or _MAILER.search(author) is not None or author == "<>" or _null(message):
        if b"in-reply-to" in names and not null_path and _REPLY.match(subject) is not None:
            # A postmaster may be a person, who answers mail about bounces.
            return _says_undelivered(text[:_MAX_REPLY] or broken_body(message))
        if _BOUNCE_SUBJECT.search(subject) is not None:
            return True
        said = text or broken_body(message)
        return _says_undelivered(said) or (
            _REPLY.match(subject) is None and _REFUSED.search(said[:_MAX_BOUNCE_TEXT]) is not None
        )
    if _ROBOT.search(author) is not None or not _LIST_FIELDS.isdisjoint(names):
        return _says_undelivered(text)
    return False


def _null(message: Message) -> bool:
    return b"return-path" in message.by_name and _value(message, b"return-path") in _NULL_PATHS


def _says_undelivered(text: str) -> bool:
    return _UNDELIVERED.search(text[:_MAX_BOUNCE_TEXT]) is not None


def _is_delay(subject: str, text: str) -> bool:
    """By what it says will happen, or by a subject that says no worse."""
    words = text[:_MAX_BOUNCE_TEXT]
    if _DELAY_TEXT.search(words) is not None:
        return True
    if _NO_DELAY.search(subject) is not None:
        return False
    return _DELAY_SUBJECT.search(subject) is not None and _GIVEN_UP.search(words) is None


def _automatic(message: Message, subject: str) -> bool:
    names = message.by_name
    if b"auto-submitted" in names:
        submitted = _value(message, b"auto-submitted") or ""
        if submitted.partition(";")[0].strip().lower() != "no":
            return True
    if not _AUTO_FIELDS.isdisjoint(names):
        return True
    if b"precedence" in names:
        precedence = _value(message, b"precedence") or ""
        if precedence.lower() in ("auto_reply", "auto-reply"):
            return True
    start = subject[:_MAX_PREFIX].lower().strip()
    if start.startswith("re:"):
        start = start[3:].lstrip()
    return (start.startswith(_ABSENCES) and _SAID_OF_OTHERS.match(start) is None) or (
        start.startswith("auto") and _AUTO_SUBJECT.match(start) is not None
    )


def _asks_to_unsubscribe(subject: str, text: str) -> bool:
    short = text.strip()
    if len(short) > _MAX_UNSUBSCRIBE:
        return False
    said = _UNSUBSCRIBE.fullmatch(base_subject(subject)) is not None
    return said and (not short or _UNSUBSCRIBE.fullmatch(short) is not None or len(short.split()) <= 12)  # noqa: PLR2004 -- a sentence
