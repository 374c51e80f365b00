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
        *("írta", "scris", "έγραψε", "כתב", "כתבה", "كتب", "كتبت", "viết", "menulis", "skrivo"),
        *(
            "napísal",
            "napísala",
            "napsala",
            "skrifar",
            "написали",
            "written",
            "pisze",
            "napisana",
            "napisane",
            "escriure",
            "yazıyor",
        ),
    }
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
        *("в", "у", "dne", "dana", "pada", "vào", "em", "dia", "from", "tarihinde", "στισ", "v", "de", "-on"),
        *("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
        *("montag", "dienstag", "mittwoch", "donnerstag", "freitag", "samstag", "sonntag"),
        *("понедельник", "вторник", "среда", "четверг", "пятница", "суббота", "воскресенье"),
        *("mon", "tue", "tues", "wed", "thu", "thur", "thurs", "fri", "sat", "sun"),
        *(
            "mo",
            "di",
            "mi",
            "do",
            "fr",
            "sa",
            "so",
            "am",
            "op",
            "il",
            "lun",
            "mar",
            "mer",
            "jeu",
            "ven",
            "sam",
            "dim",
        ),
        *(
            "mié",
            "jue",
            "vie",
            "sáb",
            "dom",
            "seg",
            "ter",
            "qua",
            "qui",
            "sex",
            "gio",
            "sab",
            "ma",
            "wo",
            "vr",
            "za",
            "zo",
        ),
        *(
            "mån",
            "tis",
            "ons",
            "tors",
            "fre",
            "lör",
            "sön",
            "tir",
            "man",
            "tor",
            "lør",
            "søn",
            "ke",
            "pe",
            "la",
            "su",
            "ti",
            "to",
        ),
        *("pon", "pn", "wt", "śr", "czw", "pt", "niedz", "sob", "po", "út", "st", "čt", "pá", "ne", "so"),
        *("пн", "вт", "ср", "чт", "пт", "сб", "вс", "нд", "pzt", "sal", "çar", "per", "cum", "cmt", "paz"),
        *("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"),
        *("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"),
        *("segunda-feira", "terça-feira", "quarta-feira", "quinta-feira", "sexta-feira"),
        *("lunedì", "martedì", "mercoledì", "giovedì", "venerdì", "sabato", "domenica"),
        *("maandag", "dinsdag", "woensdag", "donderdag", "vrijdag", "zaterdag", "zondag"),
        *(
            "måndag",
            "tisdag",
            "onsdag",
            "torsdag",
            "fredag",
            "lördag",
            "söndag",
            "mandag",
            "tirsdag",
            "lørdag",
            "søndag",
        ),
        *("poniedziałek", "wtorek", "środa", "czwartek", "piątek", "sobota", "niedziela"),
        *("în", "la", "σε", "בתאריך", "ב", "في", "بتاريخ", "dňa", "z", "den"),
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
        *("oprindelig besked", "videresendt besked", "videresendt meddelelse", "oprindelig mail"),
        *("opprinnelig e-post", "videresendt melding", "vidarebefordrat meddelande", "vidarebefordrat mejl"),
        *("ursprungligt mejl", "alkuperäinen viesti", "välitetty viesti", "edelleenlähetetty viesti"),
        *("przekazana wiadomość", "wiadomość przekazana dalej", "wiadomość pierwotna", "přeposlaná zpráva"),
        *("pôvodná správa", "orijinal mesaj", "özgün ileti", "iletilen mesaj", "yönlendirilen ileti"),
        *("eredeti üzenet", "továbbított üzenet", "mesaj original", "mesaj redirecționat"),
        *("αρχικό μήνυμα", "προωθημένο μήνυμα", "הודעה מקורית", "הודעה שהועברה", "الرسالة الأصلية"),
        *("رسالة معاد توجيهها", "thư gốc", "tin nhắn gốc", "pesan asli", "оригінальне повідомлення"),
        *("переслане повідомлення", "вихідне повідомлення", "начало пересылаемого сообщения"),
        *("originele bericht", "begin doorgestuurd bericht", "inizio messaggio inoltrato", "originalmail"),
        *("原始訊息", "轉寄的郵件", "轉寄郵件", "转发邮件", "原始信件", "오리지널 메시지", "전달된 메시지"),
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
        ("from", "von", "de", "da", "van", "från", "fra", "od", "от", "від", "lähettäjä", "kimden", "差出人", "送信元", "发件人", "寄件者", "보낸 사람", "mittente", "expéditeur", "remitente", "lähettäjältä", "feladó", "de la", "από", "מאת", "من", "từ", "dari", "odesílatel", "odosielateľ", "gönderen", "보낸사람", "寄件人"),
        "from",
    ),
    **dict.fromkeys(
        ("sent", "date", "gesendet", "datum", "envoyé", "envoyé le", "enviado", "enviado el", "enviado em", "fecha", "data", "data/hora", "inviato", "verzonden", "skickat", "sendt", "dato", "wysłano", "data", "отправлено", "дата", "lähetetty", "päivämäärä", "gönderildi", "tarih", "送信日時", "日時", "日付", "发送时间", "日期", "寄件日期", "보낸 날짜", "날짜", "보낸시간", "보낸 시간", "sent on", "date sent", "odesláno", "dne", "odoslané", "küldve", "elküldve", "dátum", "trimis", "στάλθηκε", "ημερομηνία", "נשלח", "תאריך", "تاريخ الإرسال", "التاريخ", "ngày", "đã gửi", "tanggal", "dikirim", "надіслано", "час", "送信日", "發送時間", "傳送日期", "时间", "日 期", "date et heure", "fecha de envío", "enviada em", "enviada", "data de envio"),
        "date",
    ),
    **dict.fromkeys(
        ("to", "an", "à", "para", "a", "aan", "till", "til", "do", "кому", "vastaanottaja", "kime", "宛先", "收件人", "收件者", "받는 사람", "destinatario", "destinataire", "per", "empfänger", "komu", "címzett", "către", "προσ", "אל", "إلى", "đến", "tới", "kepada", "받는사람", "送信先", "destinatário"),
        "to",
    ),
    **dict.fromkeys(
        ("subject", "betreff", "thema", "objet", "asunto", "assunto", "oggetto", "onderwerp", "ämne", "emne", "temat", "тема", "aihe", "konu", "件名", "主题", "主旨", "제목", "sujet", "předmět", "predmet", "tárgy", "subiect", "θέμα", "נושא", "الموضوع", "chủ đề", "tiêu đề", "perihal", "subjek", "題名", "主 题", "主題", "标题"),
        "subject",
    ),
    **dict.fromkeys(("cc", "kopie", "copie", "cópia", "kopia", "kopi", "копия", "抄送", "副本", "참조", "bcc"), "cc"),
    **dict.fromkeys(("reply-to", "risposta", "antwort an", "répondre à", "responder a", "importance", "attachments", "anlagen"), "other"),
}  # fmt: skip
