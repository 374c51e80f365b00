"""What a file is, by its own octets and not by its name. Pure, and linear in the file.

The magic numbers are those of the formats' own specifications, named beside them, and of the table of file(1). Nothing
is opened: no container is entered but for its list of names (``archive_listing``), no script is parsed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

UNKNOWN: Final = "application/octet-stream"
TEXT: Final = "text/plain"
OLE: Final = "application/x-ole-storage"
ZIP: Final = "application/zip"
TAR: Final = "application/x-tar"
GZIP: Final = "application/gzip"
RAR: Final = "application/vnd.rar"
SEVEN_ZIP: Final = "application/x-7z-compressed"
PDF: Final = "application/pdf"

_HEAD: Final = 4_096
"""Octets in which a text says what it is: longer than any licence comment before <html>."""
_PDF_HEAD: Final = 1_024  # readers look for %PDF- so far (ISO 32000-1, annex H, note 13)

_MAGIC: Final[tuple[tuple[int, bytes, str], ...]] = (
    # -- what a machine runs
    (0, b"MZ", "application/vnd.microsoft.portable-executable"),  # Microsoft PE/COFF 2.1, and DOS before it
    (0, b"\x7fELF", "application/x-elf"),  # System V ABI, ELF header
    (0, b"\xfe\xed\xfa\xce", "application/x-mach-binary"),  # Mach-O: mach-o/loader.h MH_MAGIC, both orders
    (0, b"\xfe\xed\xfa\xcf", "application/x-mach-binary"),
    (0, b"\xce\xfa\xed\xfe", "application/x-mach-binary"),
    (0, b"\xcf\xfa\xed\xfe", "application/x-mach-binary"),
    (0, b"dex\n", "application/x-dex"),  # Android DEX format
    (0, b"\x00asm", "application/wasm"),  # WebAssembly core 5.5.16
    (0, b"L\x00\x00\x00\x01\x14\x02\x00", "application/x-ms-shortcut"),  # [MS-SHLLINK] 2.1
    (0, b"ITSF", "application/vnd.ms-htmlhelp"),  # CHM
    (0, b"MSCF", "application/vnd.ms-cab-compressed"),  # [MS-CAB] 2.1
    (0, b"!<arch>\n", "application/x-archive"),  # ar: deb packages, libraries
    (0, b"\xed\xab\xee\xdb", "application/x-rpm"),
    # -- archives and images of disks
    (0, b"PK\x03\x04", ZIP),  # APPNOTE 4.3.7
    (0, b"PK\x05\x06", ZIP),  # an empty one, 4.3.16
    (0, b"PK\x07\x08", ZIP),  # a spanned one, 8.5.5
    (0, b"Rar!\x1a\x07", RAR),  # RAR 4 and 5 technotes
    (0, b"7z\xbc\xaf\x27\x1c", SEVEN_ZIP),  # 7zFormat.txt, SignatureHeader
    (0, b"\x1f\x8b", GZIP),  # RFC 1952 2.3.1
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\x00", "application/x-xz"),  # xz file format 2.1.1.1
    (0, b"\x28\xb5\x2f\xfd", "application/zstd"),  # RFC 8878 3.1.1
    (0, b"LZIP", "application/x-lzip"),
    (0, b"\x1f\x9d", "application/x-compress"),
    (0, b"\x60\xea", "application/x-arj"),
    (7, b"**ACE**", "application/x-ace-compressed"),
    (2, b"-lh", "application/x-lzh-compressed"),
    (0, b"xar!", "application/x-xar"),  # macOS packages
    (257, b"ustar", TAR),  # POSIX.1 pax, ustar interchange format
    (0, b"conectix", "application/x-virtualbox-vhd"),  # VHD format, hard disk footer
    (0, b"vhdxfile", "application/x-virtualbox-vhdx"),  # [MS-VHDX] 2.2
    (0, b"MSWIM\x00\x00\x00", "application/x-ms-wim"),
    (32_769, b"CD001", "application/vnd.efi.iso"),  # ECMA-119 8.1.2, in the 17th sector
    (34_817, b"CD001", "application/vnd.efi.iso"),
    # -- documents
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", OLE),  # [MS-CFB] 2.2
    (0, b"{\\rtf", "application/rtf"),
    (0, b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3", "application/onenote"),  # [MS-ONESTORE] 2.3.1
    (0, b"\x78\x9f\x3e\x22", "application/ms-tnef"),  # [MS-OXTNEF] 2.1.3.2
    (0, b"%!PS", "application/postscript"),
    (0, b"SQLite format 3\x00", "application/vnd.sqlite3"),
    # -- pictures, sound, film
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),  # PNG 5.2
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (0, b"\x00\x00\x01\x00", "image/vnd.microsoft.icon"),
    (0, b"8BPS", "image/vnd.adobe.photoshop"),
    (40, b" EMF", "image/emf"),  # [MS-EMF] 2.3.4.2
    (0, b"\xd7\xcd\xc6\x9a", "image/wmf"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"OggS", "application/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"\x1a\x45\xdf\xa3", "video/webm"),
    (0, b"wOFF", "font/woff"),
    (0, b"wOF2", "font/woff2"),
)
_FURTHER_IN: Final = tuple(entry for entry in _MAGIC if entry[0])
_AT_THE_START: Final = {
    first: tuple(entry for entry in _MAGIC if not entry[0] and entry[1].startswith(first))
    for first in {magic[:1] for offset, magic, _ in _MAGIC if not offset}
}
"""The same by their first octet: the rest need not be tried."""
_RIFF: Final = {b"WEBP": "image/webp", b"WAVE": "audio/vnd.wave", b"AVI ": "video/vnd.avi"}
_JAVA_MAJOR: Final = 45
"""CA FE BA BE begins both: in a Java class its version follows, at least 45; in a fat Mach-O the number of machines."""

EXECUTABLE: Final = frozenset(
    {
        *("application/vnd.microsoft.portable-executable", "application/x-elf", "application/x-mach-binary"),
        *("application/x-dex", "application/wasm", "application/x-ms-shortcut", "application/vnd.ms-htmlhelp"),
        *("application/java-vm", "application/java-archive", "application/vnd.android.package-archive"),
        *("application/x-msi", "application/x-shellscript", "application/x-rpm", "application/x-archive"),
        *("application/hta", "application/x-xar", "application/appx"),
    }
)
"""Types that a machine runs or installs from."""
DISK_IMAGES: Final = frozenset(
    {
        *("application/vnd.efi.iso", "application/x-virtualbox-vhd", "application/x-virtualbox-vhdx"),
        "application/x-ms-wim",
    }
)
"""Types that are mounted as a disk; what lies on it then comes without the mark of the web."""
NOT_LISTED: Final = frozenset(
    {
        *(RAR, SEVEN_ZIP, "application/vnd.ms-cab-compressed", "application/x-bzip2", "application/x-xz"),
        *("application/zstd", "application/x-lzip", "application/x-compress", "application/x-arj"),
        *("application/x-ace-compressed", "application/x-lzh-compressed", "application/ms-tnef"),
        *DISK_IMAGES,
    }
)
"""Containers that are recognised, and whose content is not listed."""

_MARKUP: Final = re.compile(rb"<(!doctype\s+html|html|head|body|script|iframe|meta|table|a\s|div|p>|title)", re.IGNORECASE)
_SVG: Final = re.compile(rb"<(?:[a-z]{1,20}:)?svg[\s>]", re.IGNORECASE)
_HTA: Final = re.compile(rb"<hta:application", re.IGNORECASE)
_MIME: Final = re.compile(rb"\A(?:[!-9;-~]{1,80}:[^\n]{0,2000}\n(?:[ \t][^\n]{0,2000}\n){0,20}){1,50}", re.ASCII)
_CONTROLS: Final = bytes({*range(32)} - {9, 10, 12, 13, 27}) + b"\x7f"


def type_of(data: bytes) -> str:
    """The media type by content: ``UNKNOWN`` for octets that no rule knows, ``TEXT`` for text of no known form."""
    for offset, magic, name in (*_AT_THE_START.get(data[:1], ()), *_FURTHER_IN):
        if data.startswith(magic, offset):
            return _refined(data, name)
    return next((found for found in (form(data) for form in _FORMS) if found), UNKNOWN)


def _java_or_mach(data: bytes) -> str:
    if not data.startswith(b"\xca\xfe\xba\xbe"):
        return ""
    return "application/java-vm" if int.from_bytes(data[4:8]) >= _JAVA_MAJOR else "application/x-mach-binary"


def _riff(data: bytes) -> str:
    return _RIFF.get(data[8:12], "") if data.startswith(b"RIFF") else ""


def _bitmap(data: bytes) -> str:
    # With the reserved octets of BITMAPFILEHEADER: "BM" also begins words.
    return "image/bmp" if data.startswith(b"BM") and data[6:10] == bytes(4) else ""


def _iso_media(data: bytes) -> str:
    if data[4:8] != b"ftyp":  # ISO/IEC 14496-12 4.3
        return ""
    return "image/heif" if data[8:12] in {b"heic", b"heix", b"mif1", b"avif"} else "video/mp4"


def _late_pdf(data: bytes) -> str:
    return PDF if b"%PDF-" in data[:_PDF_HEAD] else ""


def _fixed_vhd(data: bytes) -> str:
    return "application/x-virtualbox-vhd" if data[-512:].startswith(b"conectix") else ""  # a footer only


def _refined(data: bytes, name: str) -> str:
    if name == OLE:
        return _ole_type(data)
    if name.startswith("application/vnd.microsoft.portable") and _looks_like_text(data[:_HEAD]):
        return _text_type(data)  # "MZ" also begins words
    return name


# -- OLE: [MS-CFB] 2.2 header, 2.6.1 directory entries; class ids of what is stored in one
_MSI: Final = bytes.fromhex("84100c0000000000c000000000000046")
_MSG: Final = bytes.fromhex("0b0d020000000000c000000000000046")
_OLE_HEADER: Final = 512
_CLASS_ID: Final = slice(80, 96)


def _ole_type(data: bytes) -> str:
    if len(data) < _OLE_HEADER:
        return OLE
    shift = int.from_bytes(data[30:32], "little")
    if shift not in {9, 12}:  # the two sector sizes that there are
        return OLE
    root = (int.from_bytes(data[48:52], "little") + 1) << shift
    class_id = data[root : root + 128][_CLASS_ID]
    if class_id == _MSI:
        return "application/x-msi"
    if class_id == _MSG:
        return "application/vnd.ms-outlook"
    for stream, name in _OLE_STREAMS:
        if stream in data:
            return name
    return OLE


def _utf16(name: str) -> bytes:
    """A directory entry's name as it is stored, with the zero at its end."""
    return (name + "\0").encode("utf-16-le")


_OLE_STREAMS: Final = (
    (_utf16("EncryptedPackage"), "application/x-encrypted-office"),  # [MS-OFFCRYPTO] 2.3.4.4
    (_utf16("WordDocument"), "application/msword"),
    (_utf16("Workbook"), "application/vnd.ms-excel"),
    (_utf16("PowerPoint Document"), "application/vnd.ms-powerpoint"),
)
_VBA: Final = _utf16("_VBA_PROJECT")  # [MS-OVBA] 2.2.1


def ole_has_macros(data: bytes) -> bool:
    """Whether an OLE file holds a VBA project: its directory names one. The files are not read."""
    return _VBA in data


def pdf_is_encrypted(data: bytes) -> bool:
    """Whether a PDF's trailer names an encryption dictionary (ISO 32000-1 7.6.1)."""
    return b"/Encrypt" in data


# -- text
def _looks_like_text(head: bytes) -> bool:
    return bool(head) and len(head.translate(None, _CONTROLS)) == len(head)


def _text_type(data: bytes) -> str:
    head = data[:_HEAD]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):  # UTF-16 with its mark
        head = head.decode("utf-16", "replace").encode()
    if not _looks_like_text(head):
        return UNKNOWN
    head = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return next((name for form, name in _TEXT_FORMS if form(head)), TEXT)


def _is_page(head: bytes) -> bool:
    start = head[:1_024].lower()
    return (b"<html" in start or b"<script" in start or head.startswith(b"<")) and bool(_MARKUP.search(head))


def _is_message(head: bytes) -> bool:
    return b"mime-version:" in head.lower() and bool(_MIME.match(head))


_TEXT_FORMS: Final[tuple[tuple[Callable[[bytes], bool], str], ...]] = (
    (lambda head: head.startswith(b"#!"), "application/x-shellscript"),
    (lambda head: bool(_HTA.search(head)), "application/hta"),
    (lambda head: head.startswith(b"<") and bool(_SVG.search(head)), "image/svg+xml"),
    (_is_page, "text/html"),
    (lambda head: head.startswith(b"<?xml"), "application/xml"),
    (_is_message, "message/rfc822"),  # RFC 2557 MHTML has the same form
    (lambda head: head.startswith(b"BEGIN:VCALENDAR"), "text/calendar"),
)
_FORMS: Final = (_java_or_mach, _riff, _bitmap, _iso_media, _late_pdf, _fixed_vhd, _text_type)


def has_script(data: bytes) -> bool:
    """Whether a page or a drawing holds a script element or a script link."""
    lower = data.lower()
    return b"<script" in lower or b"javascript:" in lower


# -- what an ending or a declaration promises
_IMAGE: Final = ("image/",)
_AUDIO_VIDEO: Final = ("audio/", "video/", "application/ogg")
_TEXTS: Final = (
    *("text/", "message/", "image/svg", "application/xml", "application/rtf", "application/x-shellscript"),
)
_ZIPPED: Final = (ZIP, "application/vnd.openxmlformats", "application/vnd.ms-", "application/vnd.oasis", "application/epub")
_OFFICE: Final = ("application/msword", "application/vnd.ms-", OLE, "application/vnd.openxmlformats", "application/x-encrypted-office", "application/rtf")
_PROMISES: Final[dict[str, tuple[str, ...]]] = {
    "pdf": (PDF,),
    "rtf": ("application/rtf",),
    **dict.fromkeys(["png", "jpg", "jpeg", "gif", "bmp", "tif", "tiff", "webp", "ico", "heic"], _IMAGE),
    **dict.fromkeys(["docx", "docm", "dotx", "dotm", "xlsx", "xlsm", "xltx", "xlsb", "pptx", "pptm", "ppsx"], (*_ZIPPED, *_OFFICE)),
    **dict.fromkeys(["doc", "dot", "ppt", "pps"], _OFFICE),
    "xls": (*_OFFICE, *_TEXTS),  # accounting programs write tables of HTML under this ending
    **dict.fromkeys(["odt", "ods", "odp"], _ZIPPED),
    "zip": (*_ZIPPED, "application/java-archive", "application/vnd.android"),
    "rar": (RAR,),
    "7z": (SEVEN_ZIP,),
    "gz": (GZIP,),
    "tgz": (GZIP,),
    "tar": (TAR,),
}
"""Beginnings of the types that a file with this ending may have; octets of no known type break the promise, too."""
_LOOSE: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(["txt", "csv", "log", "json", "xml", "ics", "vcf", "eml", "htm", "html", "md", "yml", "yaml", "ini"], _TEXTS),
    **dict.fromkeys(["mp3", "wav", "ogg", "mp4", "mov", "avi", "mkv", "webm", "m4a"], _AUDIO_VIDEO),
    "svg": _TEXTS,
}
"""The same where unknown octets may be fine: many formats of sound and film, and charsets, are not known here."""
_DECLARED: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("application/pdf", (PDF,)),
    ("image/", _IMAGE),
    ("text/", _TEXTS),
    ("audio/", _AUDIO_VIDEO),
    ("video/", _AUDIO_VIDEO),
)


def breaks_promise(ending: str, declared: str, found: str) -> bool:
    """Whether a file's type by content is none that its ending, or its declared type, promises."""
    strict = _PROMISES.get(ending)
    if strict is not None and not found.startswith(strict):
        return True
    if found == UNKNOWN:
        return False
    loose = _LOOSE.get(ending)
    if loose is not None and not found.startswith(loose):
        return True
    return any(
        declared.startswith(family) and not found.startswith(promised) for family, promised in _DECLARED
    )
