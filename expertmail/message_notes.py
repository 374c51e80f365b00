"""What is noticed, or done, while a saved message is read, and what each note says to a person."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Note(StrEnum):
    """What was noticed, or done, while reading a file."""

    LF_ONLY = "lf-only"  # no CRLF at all: read as CRLF
    MIXED_LINE_ENDS = "mixed-line-ends"  # left as it is; a signature may fail by that
    MBOX = "mbox"  # from an mbox file: ">From " lines were unquoted
    EMPTY = "empty"
    REBUILT = "rebuilt"  # from an Outlook .msg file; the notes below are about those only
    MSG_NO_HEADER = "msg-no-header"
    MSG_OTHER_SENDER = "msg-other-sender"
    MSG_NO_ADDRESS = "msg-no-address"
    MSG_RTF_ONLY = "msg-rtf-only"
    MSG_LEFT_OUT = "msg-left-out"
    MSG_DAMAGED = "msg-damaged"


NOTE_TEXT: Final = {
    Note.LF_ONLY: "Its lines end in LF only; it was read as if they ended in CRLF.",
    Note.MIXED_LINE_ENDS: "Some of its lines end in CRLF and some in LF only; a signature may fail by that alone.",
    Note.MBOX: "It comes from an mbox file, which may have changed lines that begin with “From ”.",
    Note.EMPTY: "It holds nothing.",
    Note.REBUILT: (
        "It was rebuilt from an Outlook .msg file, which does not hold the message as it was sent: its signatures cannot "
        "be checked. Ask for the original, as .eml or as an attachment."
    ),
    Note.MSG_NO_HEADER: "The file holds no whole header; what is missing was made from what Outlook recorded, and anybody can write that.",
    Note.MSG_OTHER_SENDER: "Outlook shows another sender than the message's own header names.",
    Note.MSG_NO_ADDRESS: "Outlook recorded its sender by name only, without a mail address.",
    Note.MSG_RTF_ONLY: "Its text is there in Outlook's own format only (RTF), and was read as plain text.",
    Note.MSG_LEFT_OUT: "Something in the file is left out: a link, an object of Outlook's own, or what is too large, too deep or too much.",
    Note.MSG_DAMAGED: "Parts of the file are missing or damaged; what could be read is judged.",
}
