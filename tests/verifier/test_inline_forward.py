"""Messages that were forwarded inline are told from replies, in the forms of the usual programs."""

from __future__ import annotations

import time

import pytest

from verifier.inline_forward import holds_inline_forward

OUTLOOK = "From: Defender Experts <a@experts.test>\nSent: Monday, 2 March 2026 09:00\nTo: Dana <dana@contoso.test>\nSubject: Incident\n"


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("Fwd: x", "See below.\n\n---------- Forwarded message ---------\nFrom: A <a@b.test>\n"),
        ("Fwd: x", "-------- Forwarded Message --------\nSubject: \tx\n"),
        ("Fwd: x", "Begin forwarded message:\n\n> From: A <a@b.test>\n"),
        ("RV: x", "---------- Mensaje reenviado ----------\nDe: A <a@b.test>\n"),
        ("Fwd: x", "Inicio del mensaje reenviado:\n"),
        ("ENC: x", "---------- Mensagem encaminhada ----------\n"),
        ("Fwd: x", "Início da mensagem reencaminhada:\n"),
        ("WG: x", "-------- Weitergeleitete Nachricht --------\nBetreff: x\n"),
        ("TR: x", "---------- Message transféré ----------\nDe : a@b.test\n"),
        ("Fwd: x", "---------- 転送メッセージ ----------\n"),
        ("FW: Incident", f"Is this from you?\n\n{OUTLOOK}\nHello\n"),
        ("WG: x", "Von: A <a@b.test>\nGesendet: Montag\nBetreff: x\n"),
        ("TR: x", "De : A <a@b.test>\nEnvoyé : lundi\nObjet : x\n"),
        ("RV: x", "De: A <a@b.test>\nEnviado: lunes\nAsunto: x\n"),
        ("FW: x", "*From:* A <a@b.test>\n*Sent:* Monday\n"),
    ],
)
def test_a_forward_is_seen(subject: str, text: str) -> None:
    assert holds_inline_forward(subject, text)


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("Re: Incident", f"Yes, that was us.\n\n{OUTLOOK}\nHello\n"),  # a reply quotes in the same form
        ("Re: x", "On Mon, A <a@b.test> wrote:\n> Hello\n"),
        ("FW: x", "Nothing was copied here.\n"),
        ("FW: x", "From: the team\nSent: yesterday\n"),  # nobody's address
        ("x", "Please look at the forwarded message that we sent.\n"),
        ("", ""),
        ("Forward planning", OUTLOOK),
    ],
)
def test_a_reply_and_plain_text_are_no_forward(subject: str, text: str) -> None:
    assert not holds_inline_forward(subject, text)


@pytest.mark.parametrize(
    "piece", ["From: @\n", "-" * 80 + "\n", "forwarded message ", "from: a@b\nx\n", "\n", "*" * 50, "> "]
)
def test_looking_is_linear(piece: str) -> None:
    def cost(count: int) -> float:
        text = piece * (count // len(piece))
        started = time.process_time()
        holds_inline_forward("FW: x", text)
        return time.process_time() - started

    cost(4_000)
    assert cost(64_000) < max(0.02, 40 * cost(8_000))
