"""New text in the languages of customers and the programs that they write with."""

from __future__ import annotations

import pytest

from threads.new_text import split_text

NEW = "Yes, that was me."
OLD = "We saw a sign-in.\nWas this you?"
MARKED = "> We saw a sign-in.\n> Was this you?"
WHO = "Experts <x@experts.test>"

# Gmail on the web and on telephones, by the language of its reader.
GMAIL = {
    "English": f"On Wed, Nov 25, 2026 at 9:00 AM {WHO} wrote:",
    "British": f"On Wed, 25 Nov 2026 at 09:00, {WHO} wrote:",
    "German": f"Am Mi., 25. Nov. 2026 um 09:00 Uhr schrieb {WHO}:",
    "French": f"Le mer. 25 nov. 2026 à 09:00, {WHO} a écrit :",
    "Spanish": "El mié, 25 nov 2026 a las 9:00, Experts (<x@experts.test>) escribió:",
    "Portuguese": f"Em qua., 25 de nov. de 2026 às 09:00, {WHO} escreveu:",
    "Portuguese of Portugal": f"{WHO} escreveu (quarta, 25/11/2026 à(s) 09:00):",
    "Italian": f"Il giorno mer 25 nov 2026 alle ore 09:00 {WHO} ha scritto:",
    "Dutch": f"Op wo 25 nov 2026 om 09:00 schreef {WHO}:",
    "Swedish": f"Den ons 25 nov. 2026 kl 09:00 skrev {WHO}:",
    "Danish": f"Den ons. 25. nov. 2026 kl. 09.00 skrev {WHO}:",
    "Norwegian": f"ons. 25. nov. 2026 kl. 09:00 skrev {WHO}:",
    "Finnish": f"ke 25. marrask. 2026 klo 9.00 {WHO} kirjoitti:",
    "Polish": f"śr., 25 lis 2026 o 09:00 {WHO} napisał(a):",
    "Czech": f"st 25. 11. 2026 v 9:00 odesílatel {WHO} napsal:",
    "Slovak": f"st 25. 11. 2026 o 9:00 {WHO} napísal(a):",
    "Russian": f"ср, 25 нояб. 2026 г. в 09:00, {WHO}:",
    "Ukrainian": f"ср, 25 лист. 2026 р. о 09:00 {WHO} пише:",
    "Turkish": f"{WHO}, 25 Kas 2026 Çar, 09:00 tarihinde şunu yazdı:",
    "Japanese": f"2026年11月25日(水) 9:00 {WHO}:",
    "Chinese": f"{WHO} 于2026年11月25日周三 09:00写道：",
    "Chinese of Taiwan": f"{WHO} 於 2026年11月25日 週三 上午9:00寫道：",
    "Korean": f"2026년 11월 25일 (수) 오전 9:00, {WHO}님이 작성:",
    "Hungarian": f"{WHO} ezt írta (időpont: 2026. nov. 25., Sze, 9:00):",
    "Romanian": f"În mie., 25 nov. 2026 la 09:00, {WHO} a scris:",
    "Greek": f"Στις Τετ 25 Νοε 2026 στις 9:00 π.μ., ο χρήστης {WHO} έγραψε:",
    "Hebrew": "\u202bבתאריך יום ד׳, 25 בנוב׳ 2026 ב-9:00 מאת \u202aExperts\u202c <\u202ax@experts.test\u202c>:\u202c",
    "Arabic": f"في الأربعاء، 25 نوفمبر 2026 في 9:00 ص تمت كتابة ما يلي بواسطة {WHO}:",
    "Vietnamese": f"Vào Th 4, 25 thg 11, 2026 vào lúc 9:00 {WHO} đã viết:",
    "Indonesian": f"Pada tanggal Rab, 25 Nov 2026 pukul 09.00 {WHO} menulis:",
}

# Apple Mail and telephones, Thunderbird, and others that write a line of their own.
OTHERS = {
    "Apple Mail, English": f"On 25 Nov 2026, at 09:00, {WHO} wrote:",
    "Apple Mail, German": f"Am 25.11.2026 um 09:00 schrieb {WHO}:",
    "Apple Mail, French": f"Le 25 nov. 2026 à 09:00, {WHO} a écrit :",
    "Apple Mail, Spanish": f"El 25 nov 2026, a las 9:00, {WHO} escribió:",
    "Apple Mail, Portuguese": f"Em 25 de nov. de 2026, à(s) 09:00, {WHO} escreveu:",
    "Apple Mail, Italian": f"Il giorno 25 nov 2026, alle ore 09:00, {WHO} ha scritto:",
    "Apple Mail, Dutch": f"Op 25 nov. 2026, om 09:00 heeft {WHO} het volgende geschreven:",
    "Apple Mail, Swedish": f"25 nov. 2026 kl. 09:00 skrev {WHO}:",
    "Apple Mail, Danish": f"Den 25. nov. 2026 kl. 09.00 skrev {WHO}:",
    "Apple Mail, Norwegian": f"25. nov. 2026 kl. 09:00 skrev {WHO}:",
    "Apple Mail, Finnish": f"{WHO} kirjoitti 25.11.2026 kello 9.00:",
    "Apple Mail, Polish": f"Wiadomość napisana przez {WHO} w dniu 25 lis 2026, o godz. 09:00:",
    "Apple Mail, Czech": f"25. 11. 2026 v 9:00, {WHO}:",
    "Apple Mail, Russian": f"25 нояб. 2026 г., в 09:00, {WHO} написал(а):",
    "Apple Mail, Turkish": f"{WHO} şunları yazdı (25 Kas 2026 09:00):",
    "Apple Mail, Japanese": f"2026/11/25 9:00、{WHO}のメール:",
    "Apple Mail, Chinese": f"在 2026年11月25日，09:00，{WHO} 写道：",
    "Apple Mail, Korean": f"2026. 11. 25. 오전 9:00, {WHO} 작성:",
    "Thunderbird, French": "Le 25/11/2026 à 09:00, Experts a écrit :",
    "Thunderbird, Spanish": "El 25/11/2026 a las 9:00, Experts escribió:",
    "Thunderbird, Portuguese": "Em 25/11/2026 09:00, Experts escreveu:",
    "Thunderbird, Polish": "W dniu 25.11.2026 o 09:00, Experts pisze:",
    "Thunderbird, Russian": "25.11.2026 09:00, Experts пишет:",
    "Thunderbird, Japanese": "2026/11/25 9:00 に Experts さんは書きました:",
    "Thunderbird, Chinese": "在 2026/11/25 9:00, Experts 写道:",
    "Yahoo": f"On Wednesday, November 25, 2026 at 09:00:00 AM GMT+1, {WHO} wrote:",
    "Yahoo, wrapped": "On Wednesday, November 25, 2026 at 09:00:00 AM GMT+1, Experts\n<x@experts.test> wrote:",
    "Yahoo, Japanese": f"2026年11月25日水曜日 09:00:00 JST、{WHO}が書き込みました:",
    "Notes": "-----Experts <x@experts.test> wrote: -----\nTo: Alex\nFrom: Experts\nDate: 25.11.2026 09:00\nSubject: x",
    "mail.ru": f"Среда, 25 ноября 2026, 9:00 +03:00 от {WHO}:",
    "Yandex": '25.11.2026, 09:00, "Experts" <x@experts.test>:',
    "Proton": f"On Wednesday, November 25th, 2026 at 9:00 AM, {WHO} wrote:",
    "Proton, older": "‐‐‐‐‐‐‐ Original Message ‐‐‐‐‐‐‐\nOn Wednesday, November 25th, 2026 at 9:00 AM, Experts wrote:",
    "Fastmail": "On Wed, Nov 25, 2026, at 9:00 AM, Experts wrote:",
    "Zoho": f"---- On Wed, 25 Nov 2026 09:00:00 +0100 {WHO} wrote ----",
    "Zoho, plain": f"On Wed, 25 Nov 2026 09:00:00 +0100 {WHO} wrote",
    "mutt": "On Wed, Nov 25, 2026 at 09:00:00AM +0100, Experts wrote:",
}
# Known as headings by what stands below them.
ABOVE_MARKS = {
    "iPhone, German": f"> Am 25.11.2026 um 09:00 schrieb {WHO}:\n>",
    "a language that nobody listed": f"25 Samhain 2026 09:00, scríobh {WHO} mar seo:",
    "an encoding that nobody undid": f"On Wed, Nov 25, 2026 at 9:00=E2=80=AFAM {WHO} w=\nrote:",
}

# The block that Outlook for Windows, on the web and on telephones puts above a message.
OUTLOOK = {
    "English": ("From:", "Sent:", "To:", "Subject:"),
    "German": ("Von:", "Gesendet:", "An:", "Betreff:"),
    "French": ("De :", "Envoyé :", "À :", "Objet :"),
    "French, no-break blanks": ("De\u00a0:", "Envoyé\u00a0:", "À\u00a0:", "Objet\u00a0:"),
    "Spanish": ("De:", "Enviado:", "Para:", "Asunto:"),
    "Spanish, Outlook for Windows": ("De:", "Enviado el:", "Para:", "Asunto:"),
    "Portuguese": ("De:", "Enviado:", "Para:", "Assunto:"),
    "Portuguese of Brazil": ("De:", "Enviada em:", "Para:", "Assunto:"),
    "Italian": ("Da:", "Inviato:", "A:", "Oggetto:"),
    "Dutch": ("Van:", "Verzonden:", "Aan:", "Onderwerp:"),
    "Swedish": ("Från:", "Skickat:", "Till:", "Ämne:"),
    "Danish": ("Fra:", "Sendt:", "Til:", "Emne:"),
    "Norwegian": ("Fra:", "Sendt:", "Til:", "Emne:"),
    "Finnish": ("Lähettäjä:", "Lähetetty:", "Vastaanottaja:", "Aihe:"),
    "Polish": ("Od:", "Wysłano:", "Do:", "Temat:"),
    "Czech": ("Od:", "Odesláno:", "Komu:", "Předmět:"),
    "Russian": ("От:", "Отправлено:", "Кому:", "Тема:"),
    "Ukrainian": ("Від:", "Надіслано:", "Кому:", "Тема:"),
    "Turkish": ("Kimden:", "Gönderildi:", "Kime:", "Konu:"),
    "Japanese": ("差出人:", "送信日時:", "宛先:", "件名:"),
    "Chinese": ("发件人:", "发送时间:", "收件人:", "主题:"),
    "Chinese of Taiwan": ("寄件者:", "寄件日期:", "收件者:", "主旨:"),
    "Korean": ("보낸 사람:", "보낸 날짜:", "받는 사람:", "제목:"),
    "Hungarian": ("Feladó:", "Elküldve:", "Címzett:", "Tárgy:"),
    "Romanian": ("De la:", "Trimis:", "Către:", "Subiect:"),
    "Greek": ("Από:", "Στάλθηκε:", "Προς:", "Θέμα:"),
    "Hebrew": ("מאת:", "נשלח:", "אל:", "נושא:"),
    "Arabic": ("من:", "تاريخ الإرسال:", "إلى:", "الموضوع:"),
}
VALUES = (WHO, "25.11.2026 09:00", "Alex <alex@contoso.test>", "RE: [INC-000001] x")

SEPARATORS = (
    *(
        "-----Original Message-----",
        "-------- Original Message --------",
        "-----Ursprüngliche Nachricht-----",
    ),
    *(
        "-------- Weitergeleitete Nachricht --------",
        "-----Message d'origine-----",
        "-----Mensaje original-----",
    ),
    *("-----Mensagem original-----", "-----Messaggio originale-----", "-----Oorspronkelijk bericht-----"),
    *(
        "-----Ursprungligt meddelande-----",
        "-----Oprindelig meddelelse-----",
        "-----Opprinnelig melding-----",
    ),
    *("-----Alkuperäinen viesti-----", "-----Wiadomość oryginalna-----", "-----Původní zpráva-----"),
    *("-----Исходное сообщение-----", "-----Orijinal Mesaj-----", "-----元のメッセージ-----"),
    *("------------------ 原始邮件 ------------------", "-----原始郵件-----", "-----원본 메시지-----"),
    *("---------- Forwarded message ---------", "Begin forwarded message:", "=== Original Message ==="),
    *(
        "Anfang der weitergeleiteten Nachricht:",
        "Inicio del mensaje reenviado:",
        "Début du message transféré :",
    ),
)

# A telephone's or a program's own line.
SENT_FROM = (
    *("Sent from my iPhone", "Sent from my Galaxy", "Sent from Outlook for iOS<https://aka.ms/o0ukef>"),
    *(
        "Get Outlook for Android<https://aka.ms/AAb9ysg>",
        "Sent from Yahoo Mail on Android",
        "Sent from Mail for Windows",
    ),
    *(
        "Von meinem iPhone gesendet",
        "Holen Sie sich Outlook für iOS",
        "Envoyé de mon iPhone",
        "Envoyé de mon mobile",
    ),
    *("Télécharger Outlook pour Android", "Enviado desde mi iPhone", "Obtener Outlook para iOS"),
    *("Enviado do meu iPhone", "Obter o Outlook para iOS", "Inviato da iPhone", "Scarica Outlook per iOS"),
    *(
        "Verstuurd vanaf mijn iPhone",
        "Skickat från min iPhone",
        "Sendt fra min iPhone",
        "Lähetetty iPhonesta",
    ),
    *("Wysłane z iPhone'a", "Odesláno z iPhonu", "Отправлено с iPhone", "Надіслано з iPhone"),
    *(
        "iPhone'umdan gönderildi",
        "iPhoneから送信",
        "发自我的 iPhone",
        "從我的 iPhone 傳送",
        "나의 iPhone에서 보냄",
    ),
)

CLOSINGS = (
    *("Regards,", "Best regards", "Kind regards,", "Mit freundlichen Grüßen", "Viele Grüße", "Cordialement,"),
    *(
        "Saludos cordiales,",
        "Atenciosamente,",
        "Cordiali saluti",
        "Met vriendelijke groet,",
        "Med vänlig hälsning",
    ),
    *(
        "Med venlig hilsen",
        "Vennlig hilsen",
        "Ystävällisin terveisin",
        "Pozdrawiam",
        "S pozdravem",
        "С уважением,",
    ),
    *("Saygılarımla,", "Üdvözlettel:", "Cu stimă,", "Με εκτίμηση,", "בברכה,", "مع التحية،", "Cheers 🎉"),
)


@pytest.mark.parametrize("heading", [*GMAIL.values(), *OTHERS.values()], ids=[*GMAIL, *OTHERS])
@pytest.mark.parametrize("old", [MARKED, OLD], ids=["marked", "unmarked"])
def test_what_stands_above_the_heading_of_a_quote_is_new(heading: str, old: str) -> None:
    split = split_text(f"{NEW}\n\n{heading}\n\n{old}\n")
    assert split.new == NEW
    assert split.quoted.endswith("Was this you?")


@pytest.mark.parametrize("heading", ABOVE_MARKS.values(), ids=ABOVE_MARKS)
def test_what_stands_above_a_heading_of_marked_lines_is_new(heading: str) -> None:
    assert split_text(f"{NEW}\n\n{heading}\n\n{MARKED}\n").new == NEW


@pytest.mark.parametrize("heading", GMAIL.values(), ids=GMAIL)
@pytest.mark.parametrize("width", [60, 72])
def test_a_heading_may_be_wrapped_anywhere(heading: str, width: int) -> None:
    at = heading.rfind(" ", 0, width)
    if at < 0:
        pytest.skip("a language without blanks, of which programs wrap none")
    assert split_text(f"{NEW}\n\n{heading[:at]}\n{heading[at + 1 :]}\n\n{MARKED}\n").new == NEW


@pytest.mark.parametrize("labels", OUTLOOK.values(), ids=OUTLOOK)
@pytest.mark.parametrize(
    "form", ["{} {}", "*{}* {}", "  {}\t{}", "> {} {}"], ids=["plain", "bold", "indented", "marked"]
)
def test_what_stands_above_an_outlook_block_is_new(labels: tuple[str, ...], form: str) -> None:
    block = "\n".join(form.format(label, value) for label, value in zip(labels, VALUES, strict=True))
    for rule in ("", "________________________________\n", "\n-----\n\n"):
        assert split_text(f"{NEW}\n\n{rule}{block}\n\n{OLD if '>' not in form else MARKED}\n").new == NEW


@pytest.mark.parametrize("separator", SEPARATORS)
def test_what_stands_above_a_separator_is_new(separator: str) -> None:
    assert split_text(f"{NEW}\n\n{separator}\n\n{OLD}\n").new == NEW


@pytest.mark.parametrize("line", SENT_FROM)
def test_a_telephone_s_own_line_is_a_signature(line: str) -> None:
    split = split_text(f"{NEW}\n\n{line}\n\n{GMAIL['English']}\n\n{MARKED}\n")
    assert (split.new, split.signature) == (NEW, line)


@pytest.mark.parametrize("closing", CLOSINGS)
def test_a_closing_formula_with_a_name_is_a_signature(closing: str) -> None:
    for below in ("Alex", "\nAlex Doe\nSecurity Operations\n+49 30 123456"):
        split = split_text(f"{NEW}\n\n{closing}\n{below}\n\n{GMAIL['English']}\n{MARKED}\n")
        assert (split.new, split.signature) == (NEW, f"{closing}\n{below}")


@pytest.mark.parametrize(
    ("text", "new"),
    [
        (
            f"{NEW}\n\nBest regards",
            f"{NEW}\n\nBest regards",
        ),  # no name below: it may be a sentence that goes on elsewhere
        (f"{NEW}\n\nThanks,\nAlex", f"{NEW}\n\nThanks,\nAlex"),
        (f"{NEW}\n\n-Alex Doe", NEW),
        (f"{NEW}\n\n/Alex", NEW),
        (f"{NEW}\n\n- the laptop\n- the phone", f"{NEW}\n\n- the laptop\n- the phone"),
        (f"{NEW}\n\n/etc/passwd", f"{NEW}\n\n/etc/passwd"),
        (f"{NEW}\n\n-Xmx512m", f"{NEW}\n\n-Xmx512m"),
        (f"{NEW}\n\n—————\nAlex\nCISO", NEW),
        (f"{NEW}\n\nDisclaimer\n\nThis e-mail is confidential.", NEW),
        (f"{NEW}\n\nThis e-mail and any files are confidential and intended solely for the addressee.", NEW),
        (
            f"{NEW}\n\nThis e-mail came from our own domain.",
            f"{NEW}\n\nThis e-mail came from our own domain.",
        ),
        (f"CAUTION: This email originated from outside of Contoso.\n\n{NEW}", NEW),
        ("Warning: the disk of HOST-7 is full.", "Warning: the disk of HOST-7 is full."),
        ("Regards\nAlex", "Regards\nAlex"),  # nothing would be left
        ("On 25 Nov 2026, X <x@y.test> wrote:\n> Was it you?\nYes.\n\nRegards,\nAlex", "Yes."),
    ],
)
def test_what_is_a_signature_without_a_delimiter(text: str, new: str) -> None:
    assert split_text(text).new == new


@pytest.mark.parametrize(
    "text",
    [
        "Please ask John <john@contoso.test> about this:\n\nthe laptop was his until 2025.",
        "We blocked these senders:\nx@evil.test\ny@evil.test",
        "I wrote:\nnothing.",
        "At 09:00 the user logged in from these addresses:\n192.0.2.1\n192.0.2.2",
        "On 25 November we changed three things:\n- the password\n- the token\n- the key",
        "From: and To: were empty.\nSubject: too.",
        "To: be or not.\nFrom: here to there.",
        "Do not delete it: we need it.\nDate: 25.11.",
        "Sent from the sandbox, the sample contacted x@evil.test.\n\nIt then stopped.",
        "2026-11-25 09:00:00 user@contoso.test login ok\n2026-11-25 09:01:00 user@contoso.test login failed",
        "a > b and b > c",
        "C:\\> dir\nC:\\> type x.txt",
        "Our answer to your questions of 2026:\nyes, and no.",
    ],
)
def test_what_only_looks_like_a_heading_stays_new(text: str) -> None:
    assert split_text(text).new == text


NOTES = (
    "-----Alex Doe/Contoso wrote: -----\n",
    "----- Forwarded by Alex Doe/Contoso on 11/25/2026 10:00 AM -----\n",
    "----- Weitergeleitet von Alex Doe/Contoso am 25.11.2026 10:00 -----\n",
    "----- Message from Alex Doe <alex@contoso.test> on Wed, 25 Nov 2026 10:00:00 +0100 -----\n\nTo: bob@x.test\n",
    '"Alex Doe" <alex@contoso.test>\n11/25/2026 10:00 AM\n\nTo\n"Bob" <bob@x.test>\ncc\n\nSubject\nRe: sign-in\n',
    '"Alex Doe" <alex@contoso.test>\nSent by: sam@contoso.test\n11/25/2026 10:00 AM\n\nTo\nbob@x.test\nSubject\nRe: sign-in\n',
    "Alex Doe <alex@contoso.test>\n25.11.2026 10:00\n\nAn\nBob <bob@x.test>\nKopie\n\nThema\nRe: sign-in\n",
    "Alex Doe/Contoso/US\n11/25/2026 10:00 AM\n\nTo\nBob Roe/Experts/DE@Experts\ncc\n\nSubject\nRe: sign-in\n",
    "Alex Doe/Contoso@CONTOSO\n11/25/2026 10:00 AM\nTo:     Bob\ncc:\nSubject:   Re: sign-in\n",
)


@pytest.mark.parametrize("heading", NOTES)
def test_the_headings_of_old_notes_begin_what_is_quoted(heading: str) -> None:
    split = split_text(f"Yes, it was me.\n\n{heading}\nWas it you?\n")
    assert split.new == "Yes, it was me."
    assert split.quoted == f"{heading}\nWas it you?"


@pytest.mark.parametrize(
    "text",
    [
        "It happened so:\n\n25.11.2026 10:00\nthe mail came.\n25.11.2026 10:05\nI opened it.\nTo\nme it looked right.",
        "alex@contoso.test\n11/25/2026 10:00 AM\nlogged in from abroad, and the\nSubject\nwas odd.",
        "----- written by hand/later -----\nMy text.",
    ],
)
def test_times_and_labels_in_ones_own_words_are_no_heading_of_notes(text: str) -> None:
    assert split_text(text).new == text


LOGS = (
    "2026-11-25 10:00:01 user did: login\n2026-11-25 10:00:05 user wrote:\nC:\\x.exe",
    "2026-11-25 10:00:01 alex@contoso.test wrote:\nC:\\x.exe",
    "2026-11-25T10:00:01Z powershell.exe wrote:\nC:\\x.exe",
    "2026-11-25T10:00:01.123+01:00 powershell.exe wrote:\nC:\\x.exe",
    "[2026-11-25 10:00:01] alex@contoso.test wrote:\nhello",
    "2026/11/25 10:00:01 alex@contoso.test said:\nhello",
    "25.11.2026 10:00:01 alex@contoso.test schrieb:\nhallo",
    "25/11/2026 10:00:01 alex@contoso.test wrote:\nhello",
    "11/25/2026 10:00:01 AM EventID 11 powershell.exe wrote:\nC:\\x.exe",
    "Nov 25 10:00:01 host sshd[1]: alex@contoso.test wrote:\nhello",
    "Nov  5 10:00:01 host postfix/smtpd[1]: alex@contoso.test wrote:\nhello",
    "2026-11-25 10:00:01 rule made for <bob@x.test>\n2026-11-25 10:00:02 mail sent to <al@x.test>",
    "2026-11-25 10:00:01 GMT rule made by alex@contoso.test",
    "2026-11-25 10:00:01 mail sent to <al@x.test>:\n250 2.0.0 OK",
)


@pytest.mark.parametrize("log", LOGS)
def test_a_pasted_timeline_is_the_authors_own_text(log: str) -> None:
    text = f"We saw this:\n{log}\nWhat is it?"
    assert split_text(text).new == text


@pytest.mark.parametrize(
    "heading",
    [
        "2026-11-25 10:00:01, Alex Doe <alex@contoso.test> wrote:",
        "On 2026-11-25 10:00:01, Alex Doe wrote:",
        "2026-11-25 10:00, Alex Doe wrote:",
        "2026-11-25 10:00 GMT+01:00 Alex Doe <alex@contoso.test>:",
        "2026/11/25 Alex Doe <alex@contoso.test>",
    ],
)
def test_a_heading_that_begins_with_its_date_is_still_one(heading: str) -> None:
    split = split_text(f"Yes.\n\n{heading}\nWas it you?")
    assert (split.new, split.quoted) == ("Yes.", f"{heading}\nWas it you?")
