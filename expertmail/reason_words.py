"""What the codes of SPF and of a refused From field mean, in words: phrases that follow "because"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from verifier.address import AddressCode
from verifier.report import AuthResult
from verifier.spf_reason import SpfReason

SPF_RESULTS: Final[Mapping[AuthResult, str]] = {
    AuthResult.PASS: "the domain lets this computer send for it",
    AuthResult.FAIL: "the domain says that this computer must not send for it",
    AuthResult.SOFTFAIL: "the domain believes that this computer does not send for it, and does not stand by that",
    AuthResult.NEUTRAL: "the domain says nothing about this computer",
    AuthResult.NONE: "there is nothing to go by: no session, no domain, or no record",
    AuthResult.PERMERROR: "the domain's record cannot be evaluated",
    AuthResult.TEMPERROR: "a DNS answer that is needed was not to be had",
}
SPF: Final[Mapping[SpfReason, str]] = {
    SpfReason.NO_SESSION: "how the message came in is not known, as with every saved one",
    SpfReason.CLIENT_ADDRESS: "the address of the computer that sent it cannot be read",
    SpfReason.PATH_DOMAIN: "the return path has no domain that can be looked up",
    SpfReason.PATH_SYNTAX: "the return path is not an address",
    SpfReason.HELO_DOMAIN: "the return path is empty or not known, and the name in HELO is no domain that can be looked up",
    SpfReason.NO_RECORD: "the domain publishes no SPF record",
    SpfReason.RECORD_ERROR: "the record is broken, there are several, or it asks for more than is allowed",
    SpfReason.DNS_UNAVAILABLE: "a DNS answer that is needed was not to be had just now",
}
ADDRESS: Final[Mapping[AddressCode, str]] = {
    AddressCode.TOO_LONG: "the field is longer than any that names people",
    AddressCode.NUL: "it holds a NUL, at which some programs stop reading",
    AddressCode.NOT_UTF8: "it holds bytes that are no UTF-8",
    AddressCode.BARE_NEWLINE: "it holds a CR or LF that ends a line for some programs only",
    AddressCode.CONTROL_CHAR: "it holds a control character",
    AddressCode.EMPTY: "there is nothing in it",
    AddressCode.UNTERMINATED_COMMENT: "a comment is not closed",
    AddressCode.UNTERMINATED_QUOTE: "a quoted string is not closed",
    AddressCode.TOO_DEEP: "comments are nested deeper than anybody writes them",
    AddressCode.STRAY_BACKSLASH: "a backslash stands where none may",
    AddressCode.SYNTAX: "it is not written as a list of authors must be",
    AddressCode.EMPTY_ELEMENT: "the list has an element with nothing in it",
    AddressCode.TRAILING_JUNK: "something follows where an author ends",
    AddressCode.MISSING_CLOSE_ANGLE: "an angle bracket is not closed",
    AddressCode.MISSING_LOCAL: "nothing stands before the at-sign",
    AddressCode.MISSING_DOMAIN: "an address has no domain",
    AddressCode.UNTERMINATED_GROUP: "a group is not closed by its semicolon",
    AddressCode.NO_MAILBOX: "it names nobody: a group or brackets with nothing in them",
    AddressCode.TOO_MANY: "it names more authors than any message has",
    AddressCode.OBS_ROUTE: "an address has a route before it, which some programs take for the address",
    AddressCode.OBSOLETE_SYNTAX: "blanks or comments stand inside an address, as was allowed long ago",
    AddressCode.BAD_DOTS: "a local part begins or ends with a dot, or has two in a row",
    AddressCode.LOCAL_TOO_LONG: "a local part is longer than 64 octets",
    AddressCode.UNSAFE_CHAR: "a local part holds an invisible, blank or direction-changing character",
    AddressCode.DOMAIN_LITERAL: "an IP address stands where the domain belongs",
    AddressCode.ENCODED_WORD_IN_ADDRESS: "part of an address is written as an encoded word, which some programs decode",
    AddressCode.BAD_DOMAIN: "the domain is no domain name",
    AddressCode.BAD_IDN: "the domain is no valid internationalised name",
    AddressCode.MULTIPLE_FROM: "the message has several From fields, of which programs show different ones",
    AddressCode.NO_FROM: "the message has no From field",
    AddressCode.MALFORMED_HEADER: "the header is broken, so nobody can say which fields there are",
}
