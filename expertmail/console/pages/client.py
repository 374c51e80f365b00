"""Where a request comes from, also through a proxy on this machine."""

from __future__ import annotations

from ipaddress import ip_address

from expertmail.console.api_access import is_near
from expertmail.console.pages.page import Visit


def address_of(visit: Visit) -> str:
    """The client's address.

    With ``console.url`` set a proxy on this machine stands before us: what it adds last to X-Forwarded-For is its client. Anything
    before that, and the field from anybody else, is what somebody wrote.
    """
    client = "" if visit.request.client is None else visit.request.client.host
    if visit.place.url is None or not is_near(visit.request):
        return client
    told = visit.request.headers.getlist("x-forwarded-for")
    last = told[-1].rpartition(",")[2].strip() if told else ""
    try:
        return str(ip_address(last))
    except ValueError:
        return client
