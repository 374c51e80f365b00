"""Stable codes: why SPF has no answer about a sender, or none that counts (RFC 7208 2.6)."""

from __future__ import annotations

from enum import StrEnum


class SpfReason(StrEnum):
    """Why a result is "none" or an error; the other results say all by their word."""

    # none
    NO_SESSION = "no-session"  # 4.1: there is no client to check
    CLIENT_ADDRESS = "client-address"  # 4.1 <ip>
    PATH_DOMAIN = "path-domain"  # 4.3: the reverse path has no domain that can be looked up
    PATH_SYNTAX = "path-syntax"  # RFC 5321 4.1.2
    HELO_DOMAIN = "helo-domain"  # 4.3, 2.3
    NO_RECORD = "no-record"  # 4.5
    # permerror
    RECORD_ERROR = "record-error"  # 4.6, 4.6.4
    # temperror
    DNS_UNAVAILABLE = "dns-unavailable"  # 4.4
