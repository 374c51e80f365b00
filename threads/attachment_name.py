"""Names of attached files: what they claim to be, and under which name one may be written to a disk. Pure.

A sender chooses the name. It is shown and used only as ``safe_name`` leaves it: one component, no control, no character
that turns the reading direction, nothing that Windows takes for a device.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

MAX_NAME_BYTES: Final = 150
"""Of a safe name in UTF-8: ext4 and NTFS take 255, and a copy may get a suffix."""
_MAX_READ: Final = 2_000  # characters of a name that are looked at; a longer one is no name
_MAX_EXTENSION: Final = 16  # kept when a name is cut; "settingcontent-ms" is the longest that matters

# Embedding, override and isolate characters (UAX 9) and the marks beside them: they show "exe.pdf" for "fdp.exe".
BIDI: Final = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

# What Windows, macOS, Office and Linux desktops run, install or mount on a double click, as mail providers list it.
PROGRAMS: Final = frozenset(
    ["ade", "adp", "apk", "app", "application", "appref-ms", "appx", "appxbundle", "bat", "chm", "cmd", "com", "command", "cpl", "desktop", "diagcab", "dll", "dmg", "exe", "gadget", "hlp", "hta", "img", "inf", "ins", "iso", "isp", "jar", "jnlp", "js", "jse", "lib", "library-ms", "lnk", "mde", "msc", "msi", "msix", "msixbundle", "msp", "mst", "nsh", "ocx", "pif", "pkg", "ps1", "ps1xml", "psc1", "psd1", "psm1", "pyw", "reg", "run", "scf", "scr", "sct", "search-ms", "searchconnector-ms", "settingcontent-ms", "sh", "shb", "sys", "url", "vb", "vbe", "vbs", "vhd", "vhdx", "vxd", "wim", "wsc", "wsf", "wsh", "xbap", "xll"]
)
ARCHIVES: Final = frozenset(
    ["7z", "ace", "arj", "bz2", "cab", "gz", "lha", "lz", "lzh", "lzma", "rar", "r00", "tar", "tbz", "tbz2", "tgz", "txz", "tz", "uue", "xar", "xz", "z", "zip", "zipx", "zst"]
)
MACRO_DOCUMENTS: Final = frozenset(["docm", "dotm", "ppam", "ppsm", "pptm", "sldm", "xlam", "xlm", "xlsm", "xltm"])

# What people take for a document: such an ending before a program's is there to deceive.
_HARMLESS: Final = frozenset(
    ["avi", "bmp", "csv", "doc", "docx", "eml", "gif", "htm", "html", "ics", "jpeg", "jpg", "mov", "mp3", "mp4", "msg", "odt", "pdf", "png", "ppt", "pptx", "rtf", "svg", "tif", "tiff", "txt", "wav", "webp", "xls", "xlsx", "xml"]
)
_DEVICES: Final = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)", re.IGNORECASE)
_FORBIDDEN: Final = frozenset('<>:"/\\|?*')
_BLANKS: Final = re.compile(r"\s+")
_DRIVE: Final = re.compile(r"[A-Za-z]:")


def extension(name: str) -> str:
    """The ending that a double click goes by, lower case: Windows drops dots and blanks at the end."""
    _, dot, last = _visible(name).rstrip(". \t").rpartition(".")
    return last.strip().lower() if dot else ""


def runs_by_name(name: str) -> bool:
    """Whether a double click on a file of that name runs, installs or mounts it."""
    return extension(name) in PROGRAMS


def double_extension(name: str) -> bool:
    """Whether a program's or an archive's ending follows that of a document ("invoice.pdf.exe", "a.pdf      .scr")."""
    last = extension(name)
    if last not in PROGRAMS:
        return False
    before = _visible(name).rstrip(". \t").rpartition(".")[0].rstrip()
    return extension(before) in _HARMLESS


def turns_direction(name: str) -> bool:
    """Whether a name holds characters that show it in another order than it is written."""
    return not BIDI.isdisjoint(name[:_MAX_READ])


def leads_out(name: str) -> bool:
    """Whether unpacking a file of that name would write outside its folder."""
    path = name[:_MAX_READ].replace("\\", "/")
    return path.startswith("/") or bool(_DRIVE.match(path)) or ".." in path.split("/")


def _visible(name: str) -> str:
    """The name without characters that show nothing: what a file system compares by is not hidden by them."""
    name = name[:_MAX_READ]
    if name.isascii() and name.isprintable():
        return name
    return "".join(c for c in name if unicodedata.category(c) not in {"Cf", "Cc", "Cs", "Cn"})


def safe_name(name: str | None, number: int) -> str:
    """A name to write a file under: one component, the ending kept; ``number`` names a file without a usable name."""
    text = (name or "")[:_MAX_READ].replace("\\", "/").rstrip("/").rpartition("/")[2]
    text = _visible(_BLANKS.sub(" ", text))
    text = _BLANKS.sub(" ", unicodedata.normalize("NFC", text))  # what stood between two blanks may be gone
    text = "".join("_" if c in _FORBIDDEN else c for c in text)
    text = text.strip().rstrip(". ").lstrip(". -~")
    if not text:
        return f"attachment-{number}.bin"
    if _DEVICES.fullmatch(text.partition(".")[0].strip()):
        text = f"_{text}"
    return _cut(text)


def _cut(text: str) -> str:
    if len(text.encode()) <= MAX_NAME_BYTES:
        return text
    ending = extension(text)
    ending = f".{ending}" if 0 < len(ending) <= _MAX_EXTENSION else ""
    room = MAX_NAME_BYTES - len(ending.encode())
    return text.encode()[:room].decode("utf-8", "ignore").rstrip(". ") + ending
