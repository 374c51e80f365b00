"""Words by which mail programs announce that quoted text follows, in the languages of customers.

All in casefolded form. The service answers in English, Spanish, Japanese and Portuguese; the programs of
the people who write to it speak more.
"""

from __future__ import annotations

# The verb of "On … somebody wrote:".
VERBS = frozenset(
    {
        *("wrote", "writes", "schrieb", "schreef", "geschreven", "écrit", "ecrit", "escribió", "escribio"),
        *("escreveu", "scritto", "skrev", "skreiv", "skrifaði", "napisał", "napisała", "napisal", "napsal"),
        *("написал", "написала", "писал", "пишет", "пише", "написав", "kirjoitti", "yazdı", "yazmış"),
        *("írta", "scris", "έγραψε", "כתב", "كتب", "viết", "menulis", "va", "skrivo"),
    }
    - {"va"}  # Catalan "va escriure": the auxiliary alone says nothing
)
# The same where words are not set apart by blanks.
VERB_PARTS = (
    "書きました",
    "のメール",
    "のメッセージ",
    "書き込み",
    "写道",
    "寫道",
    "님이 작성",
    "작성:",
    "napisał(a)",
    "написал(а)",
)

# How such a line begins; the name of a day or a date may stand there too.
OPENERS = frozenset(
    {
        *("on", "le", "am", "el", "em", "il", "op", "den", "dnia", "at", "in", "no", "a", "w", "på", "die"),
        *("в", "у", "dne", "dana", "pada", "vào", "em", "dia", "from", "tarihinde", "στις", "v", "de", "-on"),
        *("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
        *("montag", "dienstag", "mittwoch", "donnerstag", "freitag", "samstag", "sonntag"),
        *("понедельник", "вторник", "среда", "четверг", "пятница", "суббота", "воскресенье"),
    }
)

# Separators: between dashes, asterisks or underscores, or with a colon behind.
MARKERS = frozenset(
    {
        *("original message", "original appointment", "original text", "original email", "reply message"),
        *(
            "mensaje original",
            "mensaje reenviado",
            "mensagem original",
            "mensagem encaminhada",
            "reply above",
        ),
        *("ursprüngliche nachricht", "originalnachricht", "weitergeleitete nachricht", "original-nachricht"),
        *(
            "message d'origine",
            "message d’origine",
            "message original",
            "message transféré",
            "message initial",
        ),
        *("messaggio originale", "messaggio inoltrato", "oorspronkelijk bericht", "doorgestuurd bericht"),
        *("ursprungligt meddelande", "originalmeddelande", "opprinnelig melding", "original meddelelse"),
        *("oprindelig meddelelse", "alkuperäinen viesti", "wiadomość oryginalna", "oryginalna wiadomość"),
        *("исходное сообщение", "оригинал сообщения", "пересылаемое сообщение", "původní zpráva"),
        *(
            "元のメッセージ",
            "元のメール",
            "転送メッセージ",
            "転送されたメッセージ",
            "原始邮件",
            "原始郵件",
            "原邮件",
            "转发的邮件",
            "원본 메시지",
            "원본 메일",
        ),
        *("forwarded message", "begin forwarded message", "forwarded by", "forwarded"),
        *(
            "anfang der weitergeleiteten nachricht",
            "début du message réexpédié",
            "début du message transféré",
        ),
        *("inicio del mensaje reenviado", "início da mensagem encaminhada", "inizio messaggio inoltrato"),
    }
)

# Field names of the block that Outlook and others put above a quoted message, by what they stand for.
FIELD_NAMES: dict[str, str] = {
    **dict.fromkeys(
        ("from", "von", "de", "da", "van", "från", "fra", "od", "от", "від", "lähettäjä", "kimden", "差出人", "送信元", "发件人", "寄件者", "보낸 사람", "mittente", "expéditeur", "remitente"),
        "from",
    ),
    **dict.fromkeys(
        ("sent", "date", "gesendet", "datum", "envoyé", "envoyé le", "enviado", "enviado el", "enviado em", "fecha", "data", "data/hora", "inviato", "verzonden", "skickat", "sendt", "dato", "wysłano", "data", "отправлено", "дата", "lähetetty", "päivämäärä", "gönderildi", "tarih", "送信日時", "日時", "日付", "发送时间", "日期", "寄件日期", "보낸 날짜", "날짜"),
        "date",
    ),
    **dict.fromkeys(
        ("to", "an", "à", "para", "a", "aan", "till", "til", "do", "кому", "vastaanottaja", "kime", "宛先", "收件人", "收件者", "받는 사람", "destinatario", "destinataire", "per", "empfänger"),
        "to",
    ),
    **dict.fromkeys(
        ("subject", "betreff", "objet", "asunto", "assunto", "oggetto", "onderwerp", "ämne", "emne", "temat", "тема", "aihe", "konu", "件名", "主题", "主旨", "제목", "sujet"),
        "subject",
    ),
    **dict.fromkeys(("cc", "kopie", "copie", "cópia", "kopia", "kopi", "копия", "抄送", "副本", "참조", "bcc"), "cc"),
    **dict.fromkeys(("reply-to", "risposta", "antwort an", "répondre à", "responder a", "importance", "attachments", "anlagen"), "other"),
}  # fmt: skip

# How a telephone signs.
SENT_FROM = (
    *("sent from", "sent via", "sent with", "sent using", "sent by", "from my iphone", "from my ipad"),
    *(
        "get outlook for",
        "get [outlook",
        "someone from mobile",
        "envoyé de",
        "envoyé depuis",
        "envoyé à partir",
    ),
    *(
        "obtenez outlook",
        "télécharger outlook",
        "von meinem",
        "gesendet von",
        "gesendet mit",
        "diese nachricht wurde von",
    ),
    *(
        "holen sie sich outlook",
        "outlook für",
        "enviado desde",
        "enviado do",
        "enviado de",
        "enviado a partir",
    ),
    *("enviado pelo", "obtener outlook", "obter o outlook", "inviato da", "scarica outlook", "verzonden met"),
    *("verzonden vanaf", "verstuurd vanaf", "sendt fra", "hent outlook", "skickat från", "hämta outlook"),
    *(
        "lähetetty",
        "wysłane z",
        "wysłano z",
        "отправлено с",
        "отправлено из",
        "надіслано з",
        "iphoneから送信",
    ),
    *(
        "ipadから送信",
        "androidから送信",
        "outlook for",
        "從我的",
        "从我的",
        "发自我的",
        "發自我的",
        "나의 iphone에서",
        "tarafımdan gönderildi",
    ),
)
