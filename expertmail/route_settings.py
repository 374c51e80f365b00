"""One row of the table of routes, as the settings file has it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

ActionWord = Literal["accept", "tag", "hold", "defer", "reject"]


class RouteRow(BaseModel):
    """A row of `[[routes.table]]`: a pattern of recipients, where it leads, and what is done with their mail."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    recipient: str = Field(
        max_length=320,
        description="`local@domain`; `*` stands for any letters of the local part, `.domain` for all subdomains. The first row that fits counts; postmaster and abuse of operated domains come before all rows.",
    )
    to: Literal["incident", "query", "verify", "service", "bounce", "relay", "reject"] = Field(
        description="`incident`: reply addresses, only their strictness; `query`, `verify`, `service`: that mailbox; `bounce`: returned mail only; `relay`: to `next_hop`; `reject`: 550 at RCPT.",
    )
    next_hop: str | None = Field(
        default=None, max_length=300, description="`HOST` or `HOST:PORT` that relayed mail goes to; port 25 if not said."
    )
    next_hop_tls: Literal["none", "opportunistic", "required"] = Field(
        default="opportunistic",
        description="`required` checks the certificate and sends nothing without TLS; `opportunistic` encrypts where it is offered.",
    )
    on_genuine: ActionWord | None = Field(default=None, description="For the verdict genuine.")
    on_unpinned: ActionWord | None = Field(default=None, description="For the verdict authentic-unpinned.")
    on_unproven: ActionWord | None = Field(default=None, description="For the verdict unproven.")
    on_forged: ActionWord | None = Field(
        default=None,
        description="For the verdict forged. `reject` refuses what two independent reasons speak against, and takes the rest as doubtful.",
    )
    on_no_claim: ActionWord | None = Field(default=None, description="For mail that does not say it is from a protected sender.")
    on_dmarc_pass: ActionWord | None = Field(default=None, description="Where DMARC passes.")
    on_dmarc_fail: ActionWord | None = Field(
        default=None, description="Where DMARC fails and the author's domain asks for quarantine or reject."
    )
    on_dmarc_none: ActionWord | None = Field(default=None, description="Where DMARC says neither.")
    on_temperror: ActionWord | None = Field(
        default=None, description="Where a needed DNS answer could not be had. `reject` means `defer`: the next try may find it."
    )
    on_program: ActionWord | None = Field(
        default=None,
        description="Where a file is attached that a double click would run, by name, declared type or content, also in an archive that can be listed or in an attached message. A held message's known author is told of `mail.submission_channel`; the same goes for the next two.",
    )
    on_encrypted: ActionWord | None = Field(
        default=None,
        description="Where an attached archive or document is encrypted, so that nobody on the way can look into it.",
    )
    on_macros: ActionWord | None = Field(
        default=None, description="Where an attached Office document holds macros."
    )
    max_message_bytes: int | None = Field(
        default=None, ge=1_024, description="Largest message of this route; unset means `smtp.max_message_bytes`."
    )
