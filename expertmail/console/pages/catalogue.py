"""All pages."""

from __future__ import annotations

from typing import Final

from expertmail.console.pages import (
    account,
    accounts,
    approvals,
    audit,
    codes,
    compose,
    contacts,
    customer_mode,
    held,
    held_acts,
    home,
    identities,
    incident,
    incident_acts,
    incident_moves,
    incidents,
    message,
    new_incident,
    oidc_sign_in,
    outbox,
    reports,
    set_up,
    sign_in,
    statics,
    tokens,
    verify,
)
from expertmail.console.pages.page import Page

PAGES: Final[tuple[Page, ...]] = (
    *home.PAGES,
    *oidc_sign_in.PAGES,
    *sign_in.PAGES,
    *set_up.PAGES,
    *account.PAGES,
    *incidents.PAGES,
    *new_incident.PAGES,
    *incident.PAGES,
    *incident_acts.PAGES,
    *incident_moves.PAGES,
    *customer_mode.PAGES,
    *message.PAGES,
    *held.PAGES,
    *held_acts.PAGES,
    *outbox.PAGES,
    *compose.PAGES,
    *approvals.PAGES,
    *contacts.PAGES,
    *identities.PAGES,
    *audit.PAGES,
    *codes.PAGES,
    *reports.PAGES,
    *accounts.PAGES,
    *tokens.PAGES,
    *verify.PAGES,
    *statics.PAGES,
)
