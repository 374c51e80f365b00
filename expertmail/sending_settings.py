"""The settings of what may be sent on whose word, and of a trial in which customers get nothing."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_settings import NoDecode

from expertmail.setting_values import Address, _listed
from outbound.model import MailKind


def _kind(value: str) -> str:
    """A kind of mail that is sent on somebody's word."""
    if value not in {kind.value for kind in MailKind if kind.templated}:
        raise ValueError("it has to be a kind of mail, as `expertmail compose kinds` lists them")
    return value


Kinds = Annotated[tuple[Annotated[str, AfterValidator(_kind)], ...], NoDecode, BeforeValidator(_listed)]


class SendingSettings(BaseModel):
    """On whose word mail goes out, and whether it goes to customers at all."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    second_person: Kinds = Field(
        default=(),
        description="Kinds of mail that somebody else than their writer approves before they are sent (`expertmail approvals`); an automatic kind then needs a standing approval of its template version and delivery mode. Empty is off: whoever writes a mail sends it, since a first start has one person.",
    )
    test_mode_to: Address | None = Field(
        default=None,
        description="Test mode: everything that we write goes to this address instead, with the real recipient in the subject and in `X-Test-Mode-Recipient`. Unset is off. Mail that was queued before keeps its recipient.",
    )
