"""What a browser is told it may do with a page, where a request may come from, and how the session's cookie is named. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

CONTENT_SECURITY: Final = (
    "default-src 'none'; "
    "script-src 'self'; "
    "style-src 'self'; "
    "img-src 'self' data:; "
    "connect-src 'self'; "
    "frame-src 'self'; "
    "form-action 'self'; "
    "frame-ancestors 'none'; "
    "base-uri 'none'; "
    "require-trusted-types-for 'script'; "
    "trusted-types console"
)
"""Of every page: nothing of anybody else's, no inline script and no inline style."""

PAGE_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    # Not "no-referrer": with that, browsers send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}

SECRET_ADDRESS_HEADERS: Final = {"Referrer-Policy": "strict-origin"}
"""Of a page whose address holds a secret: no Referer has it, not even one to us, which a proxy's log may keep."""

MAIL_FRAME_HEADERS: Final = {
    **PAGE_HEADERS,
    # What mail brings is shown without scripts, forms, links to follow or anything from outside.
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'; sandbox",
}
"""Of HTML that came by mail, for a frame of our own page."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where people find the console: ``url`` is the setting, None for this machine only."""

    url: str | None

    @property
    def secure(self) -> bool:
        """Whether browsers come by TLS."""
        return self.url is not None and self.url.startswith("https://")

    @property
    def cookie(self) -> str:
        """The session's cookie (the prefix: RFC 6265bis 4.1.3.2)."""
        return "__Host-expertmail" if self.secure else "expertmail"

    def is_host(self, host: str) -> bool:
        """Whether a Host field names us. Any other name was pointed at us by somebody else's DNS."""
        return _is_loopback(host) or (
            self.url is not None and host.lower() == urlsplit(self.url).netloc.lower()
        )

    def is_origin(self, origin: str, host: str) -> bool:
        """Whether an Origin field (RFC 6454 7) names a page of ours; ``host`` is the Host field of the same request."""
        if self.url is not None and origin.lower() == origin_of(self.url):
            return True
        return _is_loopback(host) and origin.lower() == f"http://{host.lower()}"


def origin_of(url: str) -> str:
    """The origin of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def local_path(text: str) -> str:
    """Where to go on after signing in: a path of ours, "/" for anything else, such as ``//elsewhere``."""
    ours = text.startswith("/") and not text.startswith(("//", "/\\"))
    return text if ours and text.isascii() and text.isprintable() and "\\" not in text else "/"


def _is_loopback(host: str) -> bool:
    name = host.removeprefix("[").partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if name.lower() == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
