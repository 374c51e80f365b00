"""What the demo sends and what has to come of it. Values only: every outcome is observed, none is written here."""

from __future__ import annotations

from dataclasses import dataclass

DESK = "query@experts.test"
VERIFY = "verify@experts.test"
CUSTOMER = "dana.reyes@contoso.test"
STRANGER = "robin.lund@fabrikam.test"
ATTACKER = "alerts@attacker.test"
LOOKALIKE = "incidents@expert5.test"
EXPERTS = "defender-experts@experts.test"


@dataclass(frozen=True, slots=True)
class SceneOutcome:
    """What became of a message.

    ``verdict`` of the message, ``inner`` those of attached ones; ``author`` as read strictly; ``dkim`` result and
    reason of each signature, ``aligned_by`` what is in line with the author. ``filed`` is filed, held, triage, answered or
    refused; ``thread`` the reference it belongs to.
    """

    verdict: str
    author: str | None
    dkim: tuple[str, ...]
    aligned_by: tuple[str, ...]
    filed: str
    thread: str | None = None
    inner: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scene:
    """One sample message, the envelope it travels in, and what has to come of it."""

    title: str
    file: str
    mail_from: str
    rcpt_to: str
    expected: SceneOutcome


BOTH = ("dkim", "spf")
PASS = ("pass",)

SCENES = (
    Scene(
        "A new question from a customer",
        "customer-question.eml",
        CUSTOMER,
        DESK,
        SceneOutcome("no-claim", CUSTOMER, PASS, BOTH, "filed", "INQ-000001"),
    ),
    Scene(
        "An out-of-office that belongs nowhere",
        "customer-out-of-office.eml",
        CUSTOMER,
        DESK,
        SceneOutcome("no-claim", CUSTOMER, PASS, BOTH, "held"),
    ),
    Scene(
        "A stranger who knows an incident's number",
        "stranger-with-incident-tag.eml",
        STRANGER,
        DESK,
        SceneOutcome("no-claim", STRANGER, PASS, BOTH, "held", "INC-000001"),
    ),
    Scene(
        "A genuine notification",
        "genuine-notification.eml",
        EXPERTS,
        DESK,
        SceneOutcome("genuine", EXPERTS, PASS, BOTH, "triage"),
    ),
    Scene(
        "False: the experts' display name",
        "false-display-name.eml",
        ATTACKER,
        DESK,
        SceneOutcome("forged", ATTACKER, PASS, BOTH, "held"),
    ),
    Scene(
        "False: a look-alike domain",
        "false-lookalike-domain.eml",
        LOOKALIKE,
        DESK,
        SceneOutcome("forged", LOOKALIKE, PASS, BOTH, "held"),
    ),
    Scene(
        "False: the address hidden in the display name",
        "false-hidden-address.eml",
        ATTACKER,
        DESK,
        SceneOutcome("forged", ATTACKER, PASS, BOTH, "held"),
    ),
    Scene(
        "False: DMARC fails in our own session",
        "false-dmarc-failure.eml",
        ATTACKER,
        DESK,
        SceneOutcome("forged", EXPERTS, PASS, (), "held"),
    ),
    Scene(
        "False: a second From",
        "false-second-from.eml",
        ATTACKER,
        DESK,
        SceneOutcome("forged", None, ("pass", "fail extra-from"), (), "refused"),
    ),
    Scene(
        "False: the body changed after signing",
        "false-body-changed.eml",
        ATTACKER,
        DESK,
        SceneOutcome("forged", EXPERTS, ("fail body-changed",), (), "held"),
    ),
    Scene(
        "False: text appended below l=",
        "false-text-appended.eml",
        ATTACKER,
        DESK,
        SceneOutcome("forged", EXPERTS, ("policy body-length-limit",), (), "held"),
    ),
    Scene(
        "False: a signature that leaves From out",
        "false-from-not-signed.eml",
        ATTACKER,
        DESK,
        SceneOutcome("forged", EXPERTS, ("permerror from-not-signed",), (), "held"),
    ),
    Scene(
        "A known analyst asks about a suspicious message",
        "customer-forwards-suspicious.eml",
        CUSTOMER,
        VERIFY,
        SceneOutcome("no-claim", CUSTOMER, PASS, BOTH, "answered", inner=("forged",)),
    ),
    Scene(
        "A stranger asks about a suspicious message",
        "stranger-forwards-suspicious.eml",
        STRANGER,
        VERIFY,
        SceneOutcome("no-claim", STRANGER, PASS, BOTH, "triage", inner=("forged",)),
    ),
)

REPLY = SceneOutcome("no-claim", CUSTOMER, PASS, BOTH, "filed", "INC-000001")
"""What has to come of the customer's answer to the experts' request."""

REQUEST = SceneOutcome("genuine", EXPERTS, PASS, ("dkim",), "delivered", "INC-000001")
"""What a customer's verifier has to say of the experts' request."""

REPORT = SceneOutcome("genuine", EXPERTS, PASS, ("dkim",), "delivered")
"""The same for the verdict that goes back to the analyst."""

ACKNOWLEDGEMENT = SceneOutcome("genuine", EXPERTS, PASS, ("dkim",), "delivered", "INQ-000001")
"""The same for the acknowledgement of the new question."""
