"""Words by which a signature begins, and what telephones and gateways put around a text, in the languages of customers.

What is compared with them is casefolded.
"""

from __future__ import annotations

from typing import Final

# How a telephone or a program signs: the beginning of the line.
SENT_FROM: Final = (
    *("sent from", "sent via", "sent with", "sent using", "sent by", "from my iphone", "from my ipad"),
    *("get outlook for", "get [outlook", "someone from mobile", "outlook for", "outlook für", "outlook pour"),
    *("yahoo mail for", "yahoo mail:", "download the all new aol", "sent in proton", "sent securely"),
    *("envoyé de", "envoyé depuis", "envoyé à partir", "envoyé avec", "obtenez outlook", "obtenir outlook"),
    *("télécharger outlook", "provenance :", "provenance:", "ce message a été envoyé depuis"),
    *("von meinem", "gesendet von", "gesendet mit", "gesendet aus", "diese nachricht wurde von"),
    *("holen sie sich outlook", "von outlook für", "von samsung", "von meiner"),
    *("enviado desde", "enviado do", "enviado de", "enviado a partir", "enviado pelo", "enviado por"),
    *("enviado con", "enviado com", "enviada do", "obtener outlook", "obter o outlook", "obtenha o outlook"),
    *("inviato da", "inviato con", "scarica outlook", "ottieni outlook"),
    *("verzonden met", "verzonden vanaf", "verstuurd vanaf", "download outlook", "outlook voor"),
    *("sendt fra", "sendt med", "hent outlook", "få outlook", "skickat från", "hämta outlook", "skickat med"),
    *("lähetetty", "hanki outlook", "wysłane z", "wysłano z", "pobierz outlook", "pobierz aplikację outlook"),
    *("odesláno z", "odesláno pomocí", "získat outlook", "odoslané z", "trimis de pe", "trimis din"),
    *("отправлено с", "отправлено из", "отправлено от", "скачать outlook", "надіслано з", "отримати outlook"),
    *("iphoneから送信", "ipadから送信", "androidから送信", "outlook for ios を入手", "outlook for android を入手"),
    *("私のiphoneから", "スマートフォンから送信", "galaxyから送信", "xperiaから送信"),
    *("從我的", "从我的", "发自我的", "發自我的", "获取 outlook", "取得 outlook", "來自我的", "发送自"),
    *("나의 iphone에서", "내 iphone에서", "iphone에서 보냄", "ios용 outlook", "android용 outlook", "갤럭시에서 보냄"),
    *("iphone'umdan gönderildi", "iphone cihazımdan", "ios için outlook", "android için outlook", "samsung cihazımdan"),
    *("az iphone-omról", "iphone-ról küldve", "az outlook beszerzése", "στάλθηκε από", "εστάλη από"),
    *("נשלח מה", "نُسخت من", "أرسلت من", "đã gửi từ", "được gửi từ", "dikirim dari"),
)  # fmt: skip

# How a telephone's line ends where the verb comes last.
SENT_FROM_ENDS: Final = (
    *("gesendet", "から送信", "から送信されました", "에서 보냄", "gönderildi", "küldve", "tarafımdan gönderildi"),
)  # fmt: skip

# The formula above the name, alone on its line. A word of thanks is no formula: it may be all that was written.
CLOSINGS: Final = frozenset(
    formula.casefold()
    for formula in {
        *("regards", "best regards", "kind regards", "warm regards", "kindest regards", "warmest regards"),
        *("with kind regards", "with best regards", "thanks and regards", "thanks & regards", "many regards"),
        *("thank you and best regards", "thank you and kind regards", "best", "all the best", "best wishes"),
        *("with best wishes", "cheers", "sincerely", "sincerely yours", "yours sincerely", "yours faithfully"),
        *("yours truly", "yours", "respectfully", "cordially", "rgds", "br", "kr", "brgds", "warmly"),
        *("mit freundlichen grüßen", "mit freundlichen grüssen", "mit freundlichem gruß", "freundliche grüße"),
        *("mit freundlichem gruss", "freundliche grüsse", "viele grüße", "viele grüsse", "beste grüße", "beste grüsse"),
        *("liebe grüße", "liebe grüsse", "schöne grüße", "herzliche grüße", "grüße", "gruß", "gruss", "mfg", "lg"),
        *("vg", "viele gruesse", "mit freundlichen gruessen", "hochachtungsvoll", "mit besten grüßen"),
        *("cordialement", "bien cordialement", "bien à vous", "salutations", "meilleures salutations"),
        *("sincères salutations", "cdlt", "cdt", "respectueusement", "amicalement", "très cordialement"),
        *("saludos", "un saludo", "saludos cordiales", "un cordial saludo", "atentamente", "atte"),
        *("muchos saludos", "cordialmente", "reciba un cordial saludo", "un abrazo"),
        *("atenciosamente", "cumprimentos", "com os melhores cumprimentos", "melhores cumprimentos"),
        *("cordiais saudações", "abraços", "abraço", "att", "saudações", "respeitosamente"),
        *("cordiali saluti", "distinti saluti", "saluti", "un saluto", "cordialità", "un cordiale saluto"),
        *("met vriendelijke groet", "met vriendelijke groeten", "vriendelijke groet", "vriendelijke groeten"),
        *("mvg", "groeten", "groet", "hartelijke groet", "hoogachtend"),
        *("med vänlig hälsning", "med vänliga hälsningar", "vänliga hälsningar", "vänlig hälsning", "hälsningar"),
        *("mvh", "hälsning", "bästa hälsningar"),
        *("med venlig hilsen", "venlig hilsen", "med venlige hilsner", "venlige hilsner", "hilsen", "mange hilsner"),
        *("de bedste hilsner", "kh", "vh", "kærlig hilsen", "bedste hilsner"),
        *("med vennlig hilsen", "vennlig hilsen", "beste hilsen", "hilsning", "med hilsen"),
        *("ystävällisin terveisin", "terveisin", "parhain terveisin", "yt"),
        *("pozdrawiam", "z poważaniem", "serdecznie pozdrawiam", "pozdrowienia", "z wyrazami szacunku"),
        *("s pozdravem", "s přátelským pozdravem", "hezký den", "s úctou", "s pozdravom", "zdraví"),
        *("с уважением", "с наилучшими пожеланиями", "с искренним уважением", "всего доброго"),
        *("з повагою", "з найкращими побажаннями"),
        *("saygılarımla", "saygılar", "iyi çalışmalar", "selamlar", "sevgiler"),
        *("üdvözlettel", "tisztelettel", "köszönettel", "cu stimă", "cu respect", "toate cele bune"),
        *("με εκτίμηση", "με φιλικούς χαιρετισμούς", "בברכה", "مع التقدير", "مع أطيب التحيات", "مع التحية"),
        *("よろしくお願いします", "よろしくお願いいたします", "よろしくお願い致します", "宜しくお願いします", "宜しくお願い致します"),
        *("以上、よろしくお願いいたします", "以上、よろしくお願いします", "どうぞよろしくお願いいたします", "敬具"),
        *("此致", "敬礼", "此致敬礼", "祝好", "谢谢并致敬", "敬上", "敬祝", "감사합니다. 드림", "드림"),
        *("trân trọng", "hormat kami", "salam", "hormat saya"),
    }
)  # fmt: skip

# How a notice begins that an organisation's server puts below each mail. Customers write of suspicious messages ("this
# message contains a link"), so one of the words below must follow in the same paragraph.
DISCLAIMERS: Final = (
    *("confidential", "privileged", "this email", "this e-mail", "this message", "this communication"),
    *("the information", "the contents of this", "the content of this", "please consider", "legal notice"),
    *("diese e-mail", "diese nachricht", "der inhalt dieser", "dieses e-mail", "bitte beachten sie"),
    *("ce message", "ce courriel", "ce courrier", "les informations", "le contenu de ce", "avis de confidentialité"),
    *("este mensaje", "este correo", "la información", "aviso de confidencialidad", "aviso legal"),
    *("esta mensagem", "este e-mail", "este email", "as informações", "aviso de confidencialidade"),
    *("le informazioni", "questo messaggio", "questa e-mail", "questa email", "avviso di riservatezza"),
    *("dit bericht", "dit e-mailbericht", "deze e-mail", "de informatie in dit", "detta meddelande"),
    *("detta e-postmeddelande", "denne e-mail", "denne meddelelse", "denne e-posten", "denne meldingen"),
    *("tämä viesti", "tämä sähköposti", "ta wiadomość", "niniejsza wiadomość", "informacje zawarte"),
    *("это сообщение", "данное сообщение", "информация", "настоящее сообщение", "це повідомлення"),
    *("tento e-mail", "tato zpráva", "bu e-posta", "bu mesaj", "ez az e-mail", "acest mesaj", "acest e-mail"),
    *("このメール", "本メール", "本电子邮件", "此邮件", "此电子邮件", "本郵件", "此電子郵件", "이 메일", "본 메일"),
)  # fmt: skip
CONFIDENTIAL: Final = (
    *("confiden", "privileg", "intended recipient", "intended solely", "intended only", "scanned for", "virus"),
    *("vertraulich", "viren", "destinataire", "destinatario", "destinatário", "riservat", "vertrouwelijk"),
    *("konfidenti", "fortrolig", "luottamuk", "poufn", "конфиденц", "конфіденц", "důvěrn", "gizli", "bizalmas"),
    *("機密", "宛先", "保密", "机密", "기밀", "before printing", "the environment"),
)  # fmt: skip
# A notice whose heading stands alone on its line.
NOTICE_HEADINGS: Final = frozenset(
    {
        *("disclaimer", "confidentiality notice", "confidentiality", "legal disclaimer", "email disclaimer"),
        *("haftungsausschluss", "vertraulichkeitshinweis", "avis de confidentialité", "aviso legal"),
        *("aviso de confidencialidad", "aviso de confidencialidade", "avviso di riservatezza", "免责声明"),
    }
)

# What a server puts above each mail from outside: the beginning of the line. "external" or its like must follow.
BANNERS: Final = ("caution", "warning", "[external", "external email", "external sender", "[caution", "***")
BANNER_WORDS: Final = ("originated from outside", "originated outside", "external email", "external sender")
