"""Text of wrong or missing charsets, and broken encoded words: read, and told to be guessed."""

from __future__ import annotations

import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threads.charset_guess import decoded_words, text_of

# A sentence each, as its mail programs of old sent it without a name or as Latin-1.
SENTENCES = {
    "utf-8": "Grüße aus Köln",
    "cp1252": "Guten Tag, wir prüfen das gerade. Mit freundlichen Grüßen, Jörg Müller",
    "cp1250": "Dzień dobry, to byliśmy my. Proszę zamknąć zgłoszenie, łącznie z żądaniem",
    "cp1254": "Merhaba, bu bizim işlemimizdi. Uyarıyı kapatır mısınız, teşekkürler",
    "cp1251": "Добрый день, это были мы. Спасибо за сообщение!",
    "koi8-r": "Добрый день, это были мы. Спасибо за сообщение!",
    "cp1253": "Καλημέρα, ήταν δική μας ενέργεια. Ευχαριστούμε πολύ",
    "cp1255": "שלום, זה היינו אנחנו. תודה על ההודעה",
    "cp1256": "مرحبا، كان ذلك من عملنا. شكرا على الرسالة",
    "gb18030": "您好，这是我们自己的操作，请关闭该警报。谢谢",
    "big5": "您好，這是我們自己的操作，請關閉該警報。謝謝",
    "cp949": "안녕하세요, 저희가 한 작업입니다. 감사합니다",
    "euc_jp": "こんにちは、それは私たちの作業でした。よろしくお願いします。",
    "cp932": "こんにちは、それは私たちの作業でした。よろしくお願いします。",
    "iso2022_jp": "こんにちは、それは私たちの作業でした。",
}


@pytest.mark.parametrize("codec", SENTENCES)
@pytest.mark.parametrize("named", [None, "us-ascii", "x-unknown", "utf-8"])
def test_a_text_without_its_charset_is_read_by_its_letters(codec: str, named: str | None) -> None:
    text, guessed = text_of(SENTENCES[codec].encode(codec), named)
    assert text == SENTENCES[codec]
    assert guessed is not (named == "utf-8" and codec == "utf-8")


@pytest.mark.parametrize("codec", [c for c in SENTENCES if c not in ("cp1252", "cp1250", "cp1254")])
def test_what_is_named_latin_1_and_cannot_be_is_read_by_its_letters(codec: str) -> None:
    assert text_of(SENTENCES[codec].encode(codec), "iso-8859-1") == (SENTENCES[codec], True)


@pytest.mark.parametrize(
    ("data", "named", "text", "guessed"),
    [
        (b"plain", "us-ascii", "plain", False),
        (b"plain", None, "plain", False),
        ("中文".encode("gb2312"), "gb2312", "中文", False),
        ("朱镕基".encode("gbk"), "gb2312", "朱镕基", True),
        ("안녕".encode("euc_kr"), "ks_c_5601-1987", "안녕", False),
        ("똠방각하".encode("cp949"), "ks_c_5601-1987", "똠방각하", True),
        ("똠방각하".encode("cp949"), "ks_c_5601", "똠방각하", True),
        ("①髙橋".encode("cp932"), "Shift_JIS", "①髙橋", True),
        ("café".encode("latin-1"), "iso-8859-1", "café", False),
        ("“quoted” €".encode("cp1252"), "iso-8859-1", "“quoted” €", True),
        ("“quoted” €".encode("cp1252"), "windows-1252", "“quoted” €", False),
        ("Łódź".encode("cp1250"), "windows-1250", "Łódź", False),
        ("Ğş".encode("cp1254"), "iso-8859-9", "Ğş", False),
        ("日本語".encode("iso-2022-jp"), "iso-2022-jp", "日本語", False),
        ("x".encode("utf-16"), "utf-16", "x", False),
    ],
)
def test_a_named_charset_holds_unless_its_bytes_are_those_of_a_wider_one(
    data: bytes, named: str | None, text: str, guessed: bool
) -> None:
    assert text_of(data, named) == (text, guessed)


@pytest.mark.parametrize(
    ("field", "text", "guessed"),
    [
        ("no word", "no word", False),
        ("=?utf-8?B?5pel?= =?utf-8?B?5pys?= x", "日本 x", False),
        ("=?utf-8?B?5pc=?= =?utf-8?B?pQ==?=", "日", False),  # one character in two words
        ("=?utf-8?q?caf=C3=A9_two?=", "café two", False),
        ("=?utf-8*de?q?caf=C3=A9?=", "café", False),
        ("Re: =?utf-8?Q?are you there??= yes", "Re: are you there? yes", False),
        ("=?utf-8?B?5pel5pys", "日本", True),
        ("=?iso-8859-1?Q?=E6=97=A5?=", "日", True),
        ("=?gb2312?B?1uzp+Q==?=", "朱轾", False),
        ("=?nonsense?Q?caf=E9?=", "café", True),
        ("=?utf-8?Q?=E9t=E9?=", "été", True),
        ("=?x", "=?x", False),
    ],
)
def test_encoded_words_are_read_broken_or_not(field: str, text: str, guessed: bool) -> None:
    assert decoded_words(field) == (text, guessed)


@given(
    st.binary(max_size=300),
    st.sampled_from([None, "", "utf-8", "big5", "gb2312", "utf-16", "hz", "iso-8859-1", "x"]),
)
def test_no_bytes_raise(data: bytes, named: str | None) -> None:
    text, _ = text_of(data, named)
    decoded_words(text)
    decoded_words(f"=?{named}?b?{text}?=")


@pytest.mark.parametrize("unit", [b"\xe9", b"\xe9a", b"\xd0\xd1 ", b"\x1b$B", b"\xa4\xa2"])
def test_a_guess_at_a_megabyte_takes_no_second(unit: bytes) -> None:
    start = time.process_time()
    text_of(unit * (1_000_000 // len(unit)), None)
    text_of(unit * (1_000_000 // len(unit)), "iso-8859-1")
    assert time.process_time() - start < 2


@pytest.mark.parametrize("unit", ["=?", "=?a?q?", "=?a?q?b?= ", "=?a?b?"])
def test_a_field_of_words_without_end_takes_no_second(unit: str) -> None:
    start = time.process_time()
    decoded_words(unit * (8_000 // len(unit)))
    assert time.process_time() - start < 1


def test_many_encoded_words_of_one_charset_take_time_that_grows_with_them() -> None:
    def cost(words: int) -> float:
        text = "=?utf-8?q?aaaaaaaaaaaaaaaa?= " * words
        taken = []
        for _ in range(3):
            start = time.process_time()
            decoded_words(text)
            taken.append(time.process_time() - start)
        return min(taken)

    small, large = cost(15_000), cost(60_000)
    assert large < 10 * max(small, 0.002)  # four times the words; a square would be sixteen and more


RUSSIAN = (
    "Здравствуйте, коллеги! Да, это был я: вошёл с нового телефона.",
    "Спасибо, теперь всё работает",
    "Вход подтверждаю",
    "Пароль сменили вчера вечером, больше подозрительных входов не было. С уважением, Пётр",
)


@pytest.mark.parametrize("text", RUSSIAN)
@pytest.mark.parametrize(
    ("named", "meant"), [("windows-1251", "koi8-r"), ("koi8-r", "cp1251"), ("koi8-u", "cp1251")]
)
def test_russian_that_is_named_as_its_other_charset_is_read_and_told_as_a_guess(
    text: str, named: str, meant: str
) -> None:
    assert text_of(text.encode(meant), named) == (text, True)
    encoded = base64.b64encode(text.encode(meant)).decode()
    assert decoded_words(f"=?{named}?B?{encoded}?=") == (text, True)


@pytest.mark.parametrize(
    "text",
    [
        *RUSSIAN,
        *(one.upper() for one in RUSSIAN),
        *(one.swapcase() for one in RUSSIAN),
        "Пётр",
        "ОАО «ЮКОС»",
        "ПОПОВ П. П.",
        "ФГУП БЮРО ПЕРЕВОДОВ",
        "Юлия Щербакова, ООО «Яхрома»",
        "ЦЕХ ЁЖ ЩУП ЮГ ЭХО ФБР ПФР ФССП УФМС",
    ],
)
@pytest.mark.parametrize("charset", ["windows-1251", "koi8-r"])
def test_russian_that_is_named_rightly_is_never_taken_for_the_other_charset(text: str, charset: str) -> None:
    if "«" in text and charset == "koi8-r":
        text = text.replace("«", '"').replace("»", '"')
    assert text_of(text.encode(charset), charset) == (text, False)
