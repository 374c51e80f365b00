"""One mail of every kind, in every form and language, with words as experts write them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from outbound.compose import Office
from outbound.disclosure import Disclosure
from outbound.mail_code import MailCode
from outbound.model import Draft, Finding, MailKind, Recipient, Rendered, Stamp, Value
from outbound.render import render
from outbound.review_period import period_named
from outbound.service_review import ForgedCounts, Incident, MailCounts, review_of
from threads.model import Severity

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
PORTAL = "portal.experts.test"
LINK = f"https://{PORTAL}/incidents/000001?tab=response&view=all"
PHONE = "+1 555 0100"
CODE = MailCode("7K2P-9QXW-3RTM", "0" * 64)
LANGUAGES = ("en", "ja")

EN_TITLE = "Sign-ins from an unusual country and a new inbox rule"
JA_TITLE = "通常と異なる国からのサインインと新しい受信トレイ ルール"
EN_STEPS = (
    "Reset the password of j.doe@contoso.test and end all sessions of this account.",
    'Remove the inbox rule named "..", which moves mail from your bank to the folder RSS Feeds.',
    "Isolate the device CONTOSO-LT-0042 until we have looked at it.",
)
JA_STEPS = (
    "j.doe@contoso.test のパスワードをリセットし、このアカウントのすべてのセッションを終了してください。",
    "銀行からのメールをフォルダー「RSS フィード」へ移動する受信トレイ ルール「..」を削除してください。",
    "調査が終わるまで、デバイス CONTOSO-LT-0042 を隔離してください。",
)
EN_DONE = (
    "We revoked the refresh tokens of j.doe@contoso.test.",
    "We blocked the address 198.51.100.23 (hxxps://login-contoso[.]example).",
)
JA_DONE = (
    "j.doe@contoso.test の更新トークンを失効させました。",
    "アドレス 198.51.100.23 (hxxps://login-contoso[.]example) をブロックしました。",
)
EN_TEXT = (
    "At 08:14 UTC somebody signed in to j.doe@contoso.test from an address that this account had never used. Two minutes "
    "later a rule was made that hides mail from your bank.\n\nWe think that the password was stolen by a fake sign-in page: "
    "hxxps://login-contoso[.]example.\nNo other account is concerned as far as we can see."
)
JA_TEXT = (
    "8 時 14 分 (UTC) に、これまで使われたことのないアドレスから j.doe@contoso.test へのサインインがありました。その 2 分後に、銀行からの"
    "メールを隠すルールが作成されています。\n\n偽のサインイン ページ (hxxps://login-contoso[.]example) でパスワードが盗まれたと"
    "考えられます。\n現時点で確認できる限り、ほかのアカウントへの影響はありません。"
)
EN_QUESTIONS = (
    "Was this sign-in yours?",
    "Which device was used, and is it managed by you? Please give its name as it stands in the portal.",
    "Who else knows the password of the shared mailbox?",
)
JA_QUESTIONS = (
    "このサインインはお客様ご自身によるものですか。",
    "どのデバイスを使用しましたか。また、それは貴社が管理しているデバイスですか。ポータルに表示されている名前をお知らせください。",
    "共有メールボックスのパスワードをほかに知っている方はいますか。",
)

_FINDINGS = (
    Finding("forged", "operated", "experts-test.example", ("display-name", "dmarc-fail")),
    Finding("genuine", "operated", "experts.test", ("dkim-aligned",)),
    Finding("unproven", "operated", "experts.test", ("body-changed",)),
)

FIGURES = review_of(
    "Contoso",
    period_named("2026-10"),
    [
        Incident(
            severity, NOW - timedelta(days=60 - day), NOW - timedelta(days=60 - day, minutes=-7 * day), moves
        )
        for day, severity, moves in (
            (5, Severity.HIGH, ((NOW - timedelta(days=40), True),)),
            (20, Severity.HIGH, ((NOW - timedelta(days=38, hours=5), True),)),
            (22, Severity.MEDIUM, ()),
            (30, Severity.LOW, ((NOW - timedelta(days=29, hours=21), True),)),
        )
    ],
    [],
    MailCounts((0.4, 2.0, 3_700.0), deferred=1, returned=1),
    ForgedCounts(2, 1, 1204),
).tables

# Each form of each kind, in English and in Japanese.
FORMS: dict[str, tuple[MailKind, dict[str, Value], dict[str, Value]]] = {
    "managed-response": (
        MailKind.MANAGED_RESPONSE,
        {"title": EN_TITLE, "severity": "High", "summary": EN_TEXT, "pending": EN_STEPS, "completed": EN_DONE, "link": LINK},
        {"title": JA_TITLE, "severity": "High", "summary": JA_TEXT, "pending": JA_STEPS, "completed": JA_DONE, "link": LINK},
    ),
    "managed-response.pending": (
        MailKind.MANAGED_RESPONSE,
        {"title": EN_TITLE, "severity": "High", "summary": EN_TEXT, "pending": EN_STEPS},
        {"title": JA_TITLE, "severity": "High", "summary": JA_TEXT, "pending": JA_STEPS},
    ),
    "managed-response.completed": (
        MailKind.MANAGED_RESPONSE,
        {"title": EN_TITLE, "severity": "Medium", "summary": EN_TEXT, "completed": EN_DONE},
        {"title": JA_TITLE, "severity": "Medium", "summary": JA_TEXT, "completed": JA_DONE},
    ),
    "reminder": (
        MailKind.REMINDER,
        {"title": EN_TITLE, "number": 2, "since": NOW, "severity": "High", "pending": EN_STEPS, "link": LINK},
        {"title": JA_TITLE, "number": 2, "since": NOW, "severity": "High", "pending": JA_STEPS, "link": LINK},
    ),
    "reminder.bare": (
        MailKind.REMINDER,
        {"title": EN_TITLE, "number": 1, "since": NOW, "severity": "Medium"},
        {"title": JA_TITLE, "number": 1, "since": NOW, "severity": "Medium"},
    ),
    "request-for-context": (
        MailKind.REQUEST_FOR_CONTEXT,
        {"title": EN_TITLE, "opening": EN_TEXT, "questions": EN_QUESTIONS, "expert": "Ana, Defender Experts"},
        {"title": JA_TITLE, "opening": JA_TEXT, "questions": JA_QUESTIONS, "expert": "田中 (Defender Experts)"},
    ),
    "manual-detection": (
        MailKind.MANUAL_DETECTION,
        {"title": EN_TITLE, "severity": "High", "found": EN_TEXT, "actions": EN_STEPS, "expert": "Ana, Defender Experts"},
        {"title": JA_TITLE, "severity": "High", "found": JA_TEXT, "actions": JA_STEPS, "expert": "田中 (Defender Experts)"},
    ),
    "reply": (
        MailKind.REPLY,
        {"title": EN_TITLE, "text": EN_TEXT, "expert": "Ana, Defender Experts"},
        {"title": JA_TITLE, "text": JA_TEXT, "expert": "田中 (Defender Experts)"},
    ),
    "reply-posted": (
        MailKind.REPLY_POSTED,
        {"title": EN_TITLE, "place": "chat", "text": EN_TEXT, "expert": "Ana", "link": LINK},
        {"title": JA_TITLE, "place": "chat", "text": JA_TEXT, "expert": "田中", "link": LINK},
    ),
    "reply-posted.inquiry": (
        MailKind.REPLY_POSTED,
        {"title": "Is this update safe?", "place": "inquiry", "expert": "Ana"},
        {"title": "この更新プログラムは安全ですか", "place": "inquiry", "expert": "田中"},
    ),
    "contact-added": (
        MailKind.CONTACT_ADDED,
        {"organisation": "Contoso", "role": "incident-notification"},
        {"organisation": "コントソ株式会社", "role": "incident-notification"},
    ),
    "contact-added.review": (
        MailKind.CONTACT_ADDED,
        {"organisation": "Contoso", "role": "service-review"},
        {"organisation": "コントソ株式会社", "role": "service-review"},
    ),
    "test-notification": (MailKind.TEST_NOTIFICATION, {}, {}),
    "service-review": (
        MailKind.SERVICE_REVIEW,
        {"title": "Fourth quarter", "occasion": "operations", "when": "2026-12-03 09:00 UTC", "text": "Our review of the fourth quarter is due.\n\nPlease tell us what you would like to speak about.", "manager": "Kim Park"},
        {"title": "第 4 四半期", "occasion": "operations", "when": "2026-12-03 18:00 (日本時間)", "text": "第 4 四半期の運用レビューの時期になりました。\n\nお話しになりたい内容があればお知らせください。", "manager": "佐藤"},
    ),
    "service-review.figures": (
        MailKind.SERVICE_REVIEW,
        {"title": "2026-10", "occasion": "operations", "first_day": "2026-10-01", "last_day": "2026-10-31", "figures": FIGURES, "manager": "Kim Park"},
        {"title": "2026-10", "occasion": "operations", "first_day": "2026-10-01", "last_day": "2026-10-31", "figures": FIGURES, "text": "10 月のレビューをお送りします。", "manager": "佐藤"},
    ),
    "portal-notice": (MailKind.PORTAL_NOTICE, {}, {}),
    "acknowledgement": (MailKind.ACKNOWLEDGEMENT, {}, {}),
    "attachment-held": (
        MailKind.ATTACHMENT_HELD,
        {"channel": f"https://{PORTAL}/submissions"},
        {"channel": f"https://{PORTAL}/submissions"},
    ),
    "verdict-report": (MailKind.VERDICT_REPORT, {"examined": 5, "findings": _FINDINGS}, {"examined": 5, "findings": _FINDINGS}),
    "verdict-report.nothing": (MailKind.VERDICT_REPORT, {"examined": 0, "findings": ()}, {"examined": 0, "findings": ()}),
    "verdict-report.codes": (MailKind.VERDICT_REPORT, {"examined": 0, "findings": (), "codes": 1}, {"examined": 0, "findings": (), "codes": 1}),
    "code-answer": (
        MailKind.CODE_ANSWER,
        {"about": "managed-response", "written": NOW, "subject_line": f"[INC-000001] {EN_TITLE}"},
        {"about": "managed-response", "written": NOW, "subject_line": f"[INC-000001] {JA_TITLE}"},
    ),
    "alert": (
        MailKind.ALERT,
        {"news": ("1 reply came", "2 messages are held"), "events": ("INC-000001: a reply came, 2026-11-25 12:00Z, genuine",), "more": 0},
        {},
    ),
}  # fmt: skip

WORDS = MappingProxyType(
    {kind: {"en": en, "ja": ja or en} for name, (kind, en, ja) in FORMS.items() if name == kind.value}
)
"""The words of each kind's first form."""

_NAMES = {"en": "Ana Lee", "ja": "李 安奈"}
_NOT_ON_A_THREAD = {MailKind.VERDICT_REPORT, MailKind.ALERT}


def forms(office: Office) -> Iterator[tuple[MailKind, str, str]]:
    """Each form of each kind in each language that is declared for it."""
    declared = {one.kind: one.languages for one in office.templates.catalogue}
    for name, (kind, _en, _ja) in FORMS.items():
        for language in declared[kind]:
            yield kind, name, language


def draft_of(kind: MailKind, name: str, language: str, **more: Value) -> Draft:
    """A draft with the sample's words, ``more`` in their place."""
    words = {**FORMS[name][2 if language == "ja" else 1], **more}
    return Draft(
        kind=kind,
        recipient=Recipient("ana@contoso.test", "" if kind.automatic else _NAMES[language], 1),
        thread_id=1,
        tag="" if kind in _NOT_ON_A_THREAD else "INC-000001",
        reply_to="r+c2FtcGxl@reply.experts.test",
        mail_from="r+c2FtcGxl@reply.experts.test",
        variables=words,
        language=language,
        code=None if kind.automatic else CODE,
    )


def catalogue_mail(kind: MailKind, name: str, language: str, office: Office, **more: Value) -> Rendered:
    """The mail itself, under a letterhead with a portal and a telephone."""
    return _rendered(draft_of(kind, name, language, **more), name, office)


def reduced_mail(kind: MailKind, name: str, language: str, office: Office, **more: Value) -> Rendered:
    """The same where its details are left out."""
    left_out = Disclosure(full=False, reason="TLP:AMBER")
    return _rendered(replace(draft_of(kind, name, language, **more), disclosure=left_out), name, office)


def all_mails(office: Office) -> Iterator[tuple[str, Rendered]]:
    """Each form in each language by its name, whole, and without its details where it has any."""
    for kind, name, language in forms(office):
        yield f"{name}.{language}", catalogue_mail(kind, name, language, office)
        if office.templates.holds_details(kind) and kind is not MailKind.ALERT:
            yield f"{name}.reduced.{language}", reduced_mail(kind, name, language, office)


def _rendered(draft: Draft, name: str, office: Office) -> Rendered:
    letterhead = replace(office.letterhead, link_hosts=frozenset({PORTAL}), phone=PHONE)
    language = draft.language
    stamp = Stamp(f"<{name}.{language}@experts.test>", NOW, f"{name}.{language}")
    return render(draft, office.templates.get(draft.kind, language), letterhead, stamp)
