"""Signatures that mail programs mark in HTML are told from the text; nothing that somebody wrote becomes one."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threads.html_signature import with_signature_set_off
from threads.html_text import html_to_text
from threads.new_text import split_text
from threads.reading import read

WRAPPERS = (
    '<div id="Signature"><div>Alex Doe</div><div>Contoso</div></div>',
    "<div id='Signature' class='x'><p>Alex Doe</p><p>Contoso</p></div>",
    '<div class="elementToProof" id="x_Signature"><table><tr><td>Alex Doe<br>Contoso</td></tr></table></div>',
    '<div id="ms-outlook-mobile-signature" dir="ltr"><div>Alex Doe</div><div>Contoso</div></div>',
    "<div id=Signature><div>Alex Doe<br>Contoso</div></div>",
    '<div id="AppleMailSignature" dir="ltr">Alex Doe<br>Contoso</div>',
    '<div class="apple-mail-signature">Alex Doe<br>Contoso</div>',
    '<div dir="ltr" class="gmail_signature" data-smartmail="gmail_signature"><div dir="ltr">Alex Doe<br>Contoso</div></div>',
    '<span class="gmail_signature_prefix">-- </span><br><div class="gmail_signature">Alex Doe<br>Contoso</div>',
    '<pre class="moz-signature" cols="72">-- <br>Alex Doe<br>Contoso</pre>',
    '<span id="ms-outlook-mobile-signature">Alex Doe<br>Contoso</span>',
)
QUOTES = (
    "",
    '<hr style="width:98%"><div id="divRplyFwdMsg"><b>From:</b> Ana<br><b>Sent:</b> Monday<br><b>To:</b> Alex<br></div>Was it you?',
    '<div id="appendonsend"></div><hr><div id="divRplyFwdMsg">From: Ana<br>Sent: Monday<br>To: Alex</div><div>Was it you?</div>',
    '<div class="gmail_quote"><div class="gmail_attr">On Mon, 23 Nov 2026, Ana &lt;a@x.test&gt; wrote:<br></div><blockquote>Was it you?</blockquote></div>',
)


def html_mail(body: str) -> bytes:
    return (
        b"From: Alex <alex@contoso.test>\r\nSubject: Re: x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
        + f"<html><body>{body}</body></html>".encode()
    )


@pytest.mark.parametrize("quote", QUOTES)
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_marked_signature_is_a_span_of_its_own(wrapper: str, quote: str) -> None:
    body = read(html_mail(f"<div>It was me.</div><div><br></div>{wrapper}<div><br></div>{quote}")).body
    assert body.new.strip() == "It was me."
    assert "Alex Doe" in body.signature
    assert "Contoso" in body.signature
    assert ("Was it you?" in body.quoted) == bool(quote)


@pytest.mark.parametrize(
    "html",
    [
        '<div id="Signature">Alex Doe</div><div>PS. Please call me: it happened again.</div>',
        '<div>Hello</div><div id="Signature"><br></div><div>It was me.</div>',
        '<div id="SignatureOfTheFile">It was me.</div>',
        '<div class="not_gmail_signature_but">It was me.</div>',
        "<p>The id=Signature of the file was wrong.</p>",
        '<blockquote><div id="Signature">Ana</div></blockquote><div>It was me.</div>',
        '<div>It was me.</div><hr><div id="divRplyFwdMsg">From: Ana</div><div id="x_Signature">Ana</div>',
    ],
)
def test_nothing_else_is_set_off(html: str) -> None:
    assert with_signature_set_off(html) == html


SIGNATURE = '<div id="Signature">Alex Doe<br>Contoso</div>'


@pytest.mark.parametrize(
    "html",
    [
        # Written with the cursor inside the signature, or put there by hand.
        '<p>It was me.</p><div id="Signature">Alex Doe<p>Please call me, it happened again.</p></div>',
        '<p>It was me.</p><div id="Signature">Alex Doe<p>PS: call me again</p></div>',
        '<p>It was me.</p><div id="Signature">Alex Doe<br>we pay again to the old account</div>',
        '<p>It was me.</p><div id="Signature">Alex Doe<br>また起きました。</div>',
        '<p>Hi,</p><div id="Signature"><p>It happened again to all of us</p><p>Regards</p></div>',
        '<div id="Signature"><p>Again</p></div>',
        '<p>It was me.</p><div id="Signature">Alex Doe<br>The information: it happened again!</div>',
        '<p>Please <span class="gmail_signature">do not pay again</span></p>',
        # Below it, though tags and quotations are written so that it does not seem to be.
        f"<p>It was me.</p>{SIGNATURE}< again >",
        f"<p>It was me.</p>{SIGNATURE}<3 again and <4>",
        f"<p>It was me.</p>{SIGNATURE}<hr><p>Again</p>",
        f"<p>It was me.</p>{SIGNATURE}<div id=divRplyFwdMsg></div><p>Again</p>",
        f'<p>It was me.</p>{SIGNATURE}<div class="gmail_quote"><p>Again</p></div>',
        f"<p>It was me.</p>{SIGNATURE}<blockquote>Again",
        '<p>It was me.</p><div id="Signature"><p>Alex</p><p>Again</p>',
        '<p>It was me.</p><div id="Signature"><!-- <div> -->Alex</div><p>Again</p>',
        '<p>It was me.</p><div id="Signature"><b title="<div">Alex</b></div><p>Again</p>',
        '<p>It was me.</p><div id="Signature">Alex<div-x></div><p>Again</p>',
        # The words stand in another attribute.
        '<p>It was me.</p><div data-id="Signature">Again</div>',
        '<p>It was me.</p><p title="my class=gmail_signature x">Again</p>',
        '<p>It was me.</p><p class="x signature y">Again</p>',
    ],
)
def test_what_is_written_inside_or_below_a_marked_signature_stays_new(html: str) -> None:
    body = read(html_mail(html)).body
    assert any(word in body.new for word in ("again", "Again", "また"))
    assert body.signature == ""


@pytest.mark.parametrize(
    "line",
    [
        "Head of Incident Response",
        "Leiter der IT-Sicherheit",
        "+1 555 0100 | www.contoso.test",
        "Sent from Outlook for Android",
    ],
)
@pytest.mark.parametrize(
    "notice",
    [
        "",
        "<p>This message is confidential and for the intended recipient only. Delete it if you are another.</p>",
    ],
)
def test_titles_numbers_and_notices_are_part_of_a_signature(line: str, notice: str) -> None:
    body = read(
        html_mail(f'<p>It was me.</p><div id="Signature"><p>Alex Doe</p><p>{line}</p>{notice}</div>')
    ).body
    assert body.new.strip() == "It was me."


@given(
    st.lists(
        st.sampled_from(
            ("<div id=Signature>", "</div>", "<hr>", "--", "a", "&nbsp;", "<", ">", '"', "<div ")
        ),
        max_size=30,
    )
)
def test_no_html_raises_and_none_of_its_text_is_lost(pieces: list[str]) -> None:
    html = "".join(pieces)
    set_off = with_signature_set_off(html)
    assert set_off == html or set_off.replace("<div>-- </div>", "", 1) == html
    split_text(html_to_text(html))


@pytest.mark.parametrize(
    "piece",
    [
        "<div id=Signature>",
        '<div id="',
        "<div ",
        "<span class=' ",
        "<div id=Signature></div>",
        "<hr",
        "&nbsp;Signature",
        "<x id=",
        "<div " + "id = " * 100,
        "<div " + "id=a " * 120 + ">",
        "<p>a</p><div id=Signature><p>a</p>",
    ],
)
def test_hostile_html_is_looked_through_in_time_that_grows_with_it(piece: str) -> None:
    def seconds(size: int) -> float:
        html = "Signature" + piece * (size // len(piece))
        best = 9.0
        for _ in range(3):
            start = time.process_time()
            with_signature_set_off(html)
            best = min(best, time.process_time() - start)
        return best

    assert seconds(400_000) < 0.5
