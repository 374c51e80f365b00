"""The enhanced status (RFC 3463) that the words of a mail server mean, where it gives no code of its own.

Only phrases that say which thing failed are listed; what is not here stays X.0.0, which claims nothing.
"""

from __future__ import annotations

import re

# Characters of one server's words that are looked at; replies have under 600 (RFC 5321 4.5.3.1.5: 512 octets a line).
MAX_WORDS = 4_000

# No part of an IP address, of a version or of a longer number.
_ENHANCED = re.compile(r"(?<![\w.])([245])\.(\d{1,3})\.(\d{1,3})(?!\.?\d)", re.ASCII)
_REPLY = re.compile(r"(?:^|(?<=[\s\[(:>\"'#]))([45])[0-5]\d(?=[\s\]):,-])", re.ASCII)

_NUMBER = re.compile(r"\d+", re.ASCII)

# Subject and detail of the status, and phrases of it; "#" stands for any number. The first line that fits counts:
# causes stand before what follows of them.
_TABLE = """
1.10  null mx | nullmx | indicated no smtp service | domain does not accept mail
7.25  no ptr record | reverse dns | ptr record | rdns
7.26  multiple authentication checks failed | dmarc | unauthenticated email from
2.2   mailbox full | mailbox is full | mailfolder is full | folder is full | over quota | overquota
2.2   quota exceeded | exceeded the local limit | exceeds allowed size | disk quota | storage quota
2.2   exceeded storage | insufficient storage | out of storage | mailbox has exceeded | full mailbox
2.2   not enough storage | mailbox size limit | quota limit | user is over | account is full | 容量を超え
2.2   メールボックスがいっぱい | メールボックスに空き | 容量がいっぱい
2.1   account is disabled | account disabled | account has been disabled | account is locked | mailbox disabled
2.1   mailbox is disabled | mailbox is inactive | account is inactive | suspended | user disabled
2.1   account inactive | no longer active | account that you tried to reach is disabled
3.4   size limit exceeded | message size exceed | message too large | message is too large
3.4   exceeds maximum size | exceeds the maximum | message too big | size exceeds | exceeded the maximum
3.4   message exceeds | exceeds size limit | サイズが大き
7.2   not member | not a member of | not allowed to post
4.3   host not found, try again | name service error | temporary lookup failure | ldap server | dns timeout
1.2   host unknown | unknown host | no mx | host not found | domain not found | unrouteable mail domain
1.2   host or domain name not found | non-existent hosts | unknown domain | no such domain
1.2   all host address lookups failed | couldn't find any host named | couldn't find the domain
1.2   name server: host not found | invalid domain | bad destination host | domain doesn't exist
1.2   cannot find your domain | could not be resolved | no mail server | no route to host by that name
1.2   domain couldn't be found | domain does not exist
4.6   too many hops | mail loop | routing loop | loop detected | loops back | loop alert
7.1   spam | blocked | blacklist | blocklist | black list | relaying denied | relay denied | relay access denied
7.1   relaying not allowed | relay not permitted | not permitted to relay | rejected by policy | access denied
7.1   unsolicited | too many unwanted | policy violation | invalid ip for sending | banned | virus
7.1   content rejected | administrative prohibition | not authorized | domain filter | refused by
7.1   not accept mail from | フィルタ | 受信拒否 | local policy
5.0   protocol error
1.1   user unknown | unknown user | no such user | unknown recipient | recipient unknown
1.1   recipient name is not recognized | invalid user | not listed in | no mailbox here | no such mailbox
1.1   mailbox not found | unknown or illegal user | does not exist | doesn't exist | couldn't be found
1.1   recipnotfound | invalid recipient | invalid address | no such recipient | unrouteable address
1.1   unroutable address | not a known user | addressee unknown | unknown local | unknown address
1.1   no such address | no such account | address unknown | not a valid mailbox | recipient not found
1.1   mailbox unavailable | user not found | not our customer | no account | unknown mailbox | user doesn't have
1.1   is not a valid user | not found in directory | unlisted | address rejected | invalid mailbox
1.1   user is unknown | not known at this | no local mailbox | ディレクトリのリストにありません | 宛先が存在しません | ユーザは存在しません
1.1   あて先が見つかりません | メールアドレスが見つから | アドレスは存在しません | нет такого | не существует | недоступен | user invalid
1.1   possibly incorrect | is not handled by
1.3   malformed address | syntax error in address | bad address syntax | incorrectly constructed
4.1   connection timed out | connection refused | timed out | time out | unable to connect | could not connect
4.1   couldn't connect | cannot connect | can't connect | failed to connect | socket error | requests to connect
4.1   no answer | unable to contact | connection failed | did not respond | not responding
4.1   network is unreachable | no route to host
4.2   connection reset | lost connection | connection dropped | connection lost | conversation with
4.7   retry timeout exceeded | retry time not reached | in the queue too long | delivery time expired
4.7   delivery expired | expired | failed # attempts | could not be delivered for | has been in queue
4.7   cannot send message for | could not send message for | not be delivered within
4.0   network error
"""
_WORDS = tuple(
    (line.split(None, 1)[0], tuple(line.split(None, 1)[1].split(" | ")))
    for line in _TABLE.strip().splitlines()
)
# Words that name a passing fault: they keep class 4 even where the mail was given up for them.
_PASSING = frozenset({"4.3"})


def enhanced_status(text: str) -> str | None:
    """The first enhanced status that stands in the text, class, subject and detail without leading zeros."""
    found = _ENHANCED.search(text[:MAX_WORDS])
    return None if found is None else ".".join(str(int(number)) for number in found.groups())


def failure_status(text: str) -> str | None:
    """The first enhanced status of a failure, temporary or permanent, that stands in the text."""
    for found in _ENHANCED.finditer(text[:MAX_WORDS]):
        if found.group(1) != "2":
            return ".".join(str(int(number)) for number in found.groups())
    return None


def meant_status(text: str, *, passing: bool = False) -> str | None:
    """What the words mean, or None; ``passing`` gives the class: 4 for a fault that is still being tried, else 5."""
    words = _NUMBER.sub("#", " ".join(text[:MAX_WORDS].casefold().split()))
    for detail, phrases in _WORDS:
        if any(phrase in words for phrase in phrases):
            return f"{'4' if passing or detail in _PASSING else '5'}.{detail}"
    return None


def reply_class(text: str) -> str | None:
    """4.0.0 or 5.0.0 by the first SMTP reply code (RFC 5321 4.2) in the text."""
    found = _REPLY.search(text[:MAX_WORDS])
    return None if found is None else f"{found.group(1)}.0.0"
