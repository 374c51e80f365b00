"""The tables of the settings file: each setting with its rule, its default and the reason for both."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from expertmail.route_settings import RouteRow
from expertmail.setting_values import (
    Address,
    Addresses,
    AlertKinds,
    ConsoleUrl,
    Domain,
    Domains,
    LateMinutes,
    Line,
    Networks,
    OidcIssuer,
    OidcRoles,
    People,
    Port,
    ReminderSteps,
    Servers,
)
from outbound.retry import LEAST_AGE, MAX_AGE, MOST_AGE

_HOUR = timedelta(hours=1)


class _Section(BaseModel):
    """A table of the settings file."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class SmtpSettings(_Section):
    """Where mail comes in."""

    host: str = Field(
        default="127.0.0.1",
        description="Address to listen on. Loopback, so that a first start is reachable by nobody else; `0.0.0.0` or `::` for the MX path.",
    )
    port: Port = Field(
        default=2525, description="Port to listen on. 2525 needs no privileges; MX traffic arrives on 25."
    )
    tls_certificate: Path | None = Field(
        default=None,
        description="PEM file with the certificate chain for STARTTLS. Without it STARTTLS is not offered.",
    )
    tls_key: Path | None = Field(
        default=None,
        description="PEM file with the certificate's private key, without a passphrase; may be the same file as the chain.",
    )
    max_message_bytes: int = Field(
        default=36_700_160,
        ge=65_536,
        le=1_073_741_824,
        description="Largest message taken, told in EHLO. 35 MiB holds a 25 MB attachment once encoded, which is the usual limit of mail providers.",
    )
    max_connections: int = Field(
        default=1_000,
        ge=1,
        le=100_000,
        description="Sessions at one time. Each costs some 12 KB while idle; beyond it clients hear 421 and come back.",
    )
    max_tls_connections: int = Field(
        default=500,
        ge=1,
        le=100_000,
        description="Sessions under TLS at one time. Each costs some 280 KB, so they are capped on their own.",
    )
    max_address_connections: int = Field(
        default=50,
        ge=0,
        le=100_000,
        description="Sessions of one address at one time (of one /64 with IPv6); 0 is no limit. Large providers use some twenty; beyond it clients hear 421 4.7.0.",
    )
    max_network_connections: int = Field(
        default=200,
        ge=0,
        le=100_000,
        description="Sessions of one network at one time (/24, or /48 with IPv6); 0 is no limit. A fifth of all places, so that nobody takes them all.",
    )
    address_connections_per_minute: int = Field(
        default=600,
        ge=0,
        le=1_000_000,
        description="New connections of one address a minute; 0 is no limit. Ten a second for minutes is no mail server.",
    )
    network_connections_per_minute: int = Field(
        default=2_400,
        ge=0,
        le=1_000_000,
        description="New connections of one network a minute; 0 is no limit.",
    )
    address_messages_per_minute: int = Field(
        default=1_200,
        ge=0,
        le=1_000_000,
        description="Messages of one address a minute; 0 is no limit. Twenty a second to a handful of mailboxes is a flood; beyond it clients hear 421 4.7.0 at MAIL.",
    )
    network_messages_per_minute: int = Field(
        default=4_800,
        ge=0,
        le=1_000_000,
        description="Messages of one network a minute; 0 is no limit.",
    )
    unlimited_networks: Networks = Field(
        default=("127.0.0.0/8", "::1/128"),
        description="Networks whose clients are not counted: this machine. Add your own relays, since all mail comes from their few addresses.",
    )
    proxy_protocol_from: Networks = Field(
        default=(),
        description="Addresses of proxies (HAProxy, a cloud's load balancer) whose connections begin with a PROXY header, version 1 or 2. Their word on the client's address is believed, and a connection of theirs without it is closed; nobody else's is. Empty means there is no proxy.",
    )
    greeting_seconds: float = Field(
        default=0.0,
        ge=0,
        le=30,
        description="Delay before the greeting. A client that talks before it is a program that reads no replies, and hears 554. 0 delays nobody and sees only octets that are there already; some seconds catch more, and hold every client up but those of `unlimited_networks`.",
    )
    idle_seconds: float = Field(
        default=300.0,
        ge=10,
        le=3_600,
        description="Silence between commands before the session ends with 421. RFC 5321 4.5.3.2.7 asks for five minutes.",
    )
    data_idle_seconds: float = Field(
        default=300.0,
        ge=10,
        le=3_600,
        description="Silence in the middle of a message before the session ends with 421. Every octet counts, so a sender that is slow but alive is not cut.",
    )
    data_seconds: float = Field(
        default=3_600.0,
        ge=60,
        le=86_400,
        description="For the whole of one message, however lively the client is. 35 MiB in an hour are 10 KB a second.",
    )
    max_errors: int = Field(
        default=20,
        ge=1,
        le=1_000,
        description="Refused commands of one session before it ends with 421. No honest client is wrong so often.",
    )
    max_command_bytes: int = Field(
        default=2_048,
        ge=1_024,
        le=16_384,
        description="Longest command line: 512 octets (RFC 5321 4.5.3.1.4) and what SMTPUTF8 and DSN parameters add; a longer one hears 500.",
    )
    max_recipients: int = Field(
        default=100,
        ge=100,
        le=10_000,
        description="Recipients of one message; others hear 452 and come in a copy of their own. 100 is the least that RFC 5321 4.5.3.1.8 allows.",
    )
    max_spool_bytes: int = Field(
        default=4_294_967_296,
        ge=1_048_576,
        le=1_099_511_627_776,
        description="Disk space in `data_dir` for messages over 256 KiB that are still coming in; beyond it they hear 452. A hundred of the largest at one time.",
    )
    workers: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Processes that take mail. 1 means that one process does everything, which is enough for some hundred messages a second; with more, one process binds, delivers and shows the console, and starts so many that take mail, each some 70 MB. Raise it to the number of cores when one core is busy with mail. Limits hold for all of them together. A change needs a restart.",
    )
    user: Line | None = Field(
        default=None,
        description="Account to become once the ports are bound, when started as root. It has to own `data_dir`, and to be able to read the settings and the certificate's key, now and at a reload. Unset as root means a warning in the log. A change needs a restart.",
    )


class ConsoleSettings(_Section):
    """HTTP: health, metrics and the verdict interface."""

    host: str = Field(
        default="127.0.0.1",
        description="Address to listen on. Keep it on loopback: it speaks no TLS, and whoever reaches it sees health and metrics. Programs elsewhere need a token (docs/api.md).",
    )
    port: Port = Field(default=8025, description="Port to listen on.")
    url: ConsoleUrl | None = Field(
        default=None,
        description="Address that people use, such as `https://console.experts.example`, where a proxy before the console speaks TLS. Pages are shown to browsers that ask for this name, and otherwise on this machine only.",
    )
    oidc_issuer: OidcIssuer | None = Field(
        default=None,
        description="Who else signs people in, by OpenID Connect: the issuer's address, such as `https://login.experts.example/tenant`. Needs console.oidc_client_id and console.oidc_client_secret.",
    )
    oidc_client_id: Line = Field(default="", description="What the issuer calls this console.")
    oidc_client_secret: SecretStr | None = Field(
        default=None,
        description="What this console proves itself to the issuer by. Best given as the environment variable `EXPERTMAIL_CONSOLE__OIDC_CLIENT_SECRET`, or in a settings file of mode 0600.",
    )
    oidc_name: Line = Field(default="Sign in with your organisation", description="What the button says.")
    oidc_roles_claim: Line = Field(
        default="groups", description="The claim of the ID token whose values console.oidc_roles looks at."
    )
    oidc_roles: OidcRoles = Field(
        default=(),
        description='Which roles those values give, such as `["soc-experts: expert", "contoso-sec: analyst@Contoso"]`; who has one of them gets an account at the first sign-in, and the roles anew at each. Without it an account has to be there whose address the issuer has verified.',
    )
    max_verify_bytes: int = Field(
        default=36_700_160,
        ge=1_024,
        le=1_073_741_824,
        description="Largest message that POST /api/v1/verify takes; the same as for SMTP, so that what can arrive can be checked.",
    )


class MailSettings(_Section):
    """The domains and addresses that the gateway operates."""

    domains: Domains = Field(
        default=("experts.test",),
        description="Operated domains: mail for their addresses ends here. The default's zone exists only inside this gateway.",
    )
    reply_domain: Domain = Field(
        default="reply.experts.test",
        description="Domain of the per-conversation reply addresses. A domain of its own keeps them apart from people's addresses.",
    )
    sender_name: Line = Field(default="Defender Experts", description="Display name in From of what we send.")
    sender_address: Address = Field(
        default="defender-experts@experts.test",
        description="Address in From of what we send; its domain has to be operated, and is the domain that signs.",
    )
    query_address: Address = Field(
        default="query@experts.test",
        description="Where customers ask the experts; a new question opens an inquiry.",
    )
    verify_address: Address = Field(
        default="verify@experts.test",
        description="Where a known contact forwards a suspicious message as an attachment and gets a verdict back.",
    )
    service_address: Address = Field(
        default="service@experts.test", description="Where customers write to their service delivery manager."
    )
    submission_channel: Line | None = Field(
        default=None,
        max_length=300,
        description="The way for files that mail is not the way for, in words for customers, such as `the upload page https://upload.experts.example/`. A known contact whose message a route's `on_program`, `on_encrypted` or `on_macros` holds is told of it once. Unset means that nobody is told. It is the same for everybody: write nothing secret into it.",
    )
    portal_hosts: Domains = Field(
        default=(),
        description="Hosts that our mail may link to, such as the portal's. A mail that links to any other host is refused when it is composed.",
    )
    phone: Line | None = Field(
        default=None,
        max_length=40,
        description="The number that customers may call, as they know it from you; each mail of ours shows it and asks them to compare it. Unset: a mail says to call the number agreed on.",
    )
    default_tlp: Literal["RED", "AMBER+STRICT", "AMBER", "GREEN", "CLEAR"] = Field(
        default="AMBER",
        description="TLP of contacts that have none of their own (`expertmail contacts change --tlp`). With AMBER, mail holds what experts wrote only where TLS on its way is required and checked, in delivery mode `files`, or where the contact allows it, and says to see the portal elsewhere; GREEN lets it go by any mail (docs/expert.md).",
    )


class DatabaseSettings(_Section):
    """The record."""

    url: SecretStr | None = Field(
        default=None,
        description="SQLAlchemy URL. Unset means SQLite in `data_dir`/expertmail.db, which needs no server. A URL with a password is a secret: set it in the environment or in a file of mode 0600.",
    )


class DeliverySettings(_Section):
    """How our mail leaves."""

    mode: Literal["files", "smarthost", "mx"] = Field(
        default="files",
        description="`files` writes to `data_dir`/outbox and mails nobody, so that a first start can do no harm; `smarthost` hands everything to one server; `mx` delivers to the recipients' own servers.",
    )
    smarthost: str = Field(default="127.0.0.1", description="Name or address of the smarthost.")
    smarthost_port: Port = Field(default=25, description="Port of the smarthost.")
    smarthost_tls: Literal["none", "starttls", "tls"] = Field(
        default="starttls",
        description="Encryption towards the smarthost: `starttls` refuses to send when it is not offered, `tls` speaks it from the first byte, `none` is for loopback only.",
    )
    smarthost_user: str | None = Field(
        default=None, description="Account name on the smarthost, if it asks for one."
    )
    smarthost_password: SecretStr | None = Field(
        default=None, description="Password on the smarthost. A secret."
    )
    mx_port: Port = Field(
        default=25, description="Port of the recipients' servers in mode `mx`; another one is for tests."
    )
    mx_tls: Literal["opportunistic", "required"] = Field(
        default="opportunistic",
        description="TLS towards recipients' servers in mode `mx`: `opportunistic` takes it where it is offered, with any certificate, and else sends in the clear (RFC 7435); `required` lets mail wait until a server offers it with a valid certificate for its MX name.",
    )
    tls_required_domains: Domains = Field(
        default=(),
        description="Recipients' domains, with all below them, to which TLS is `required` whatever `mx_tls` says: your customers, once their servers have good certificates.",
    )
    tls_optional_domains: Domains = Field(
        default=(),
        description="Domains, with all below them, that are exempt from `mx_tls` `required`. The nearest entry of both lists holds.",
    )
    ca_file: Path | None = Field(
        default=None,
        description="PEM file of the authorities that required TLS trusts, towards recipients' servers and the smarthost. Unset means the system's.",
    )
    concurrency: int = Field(
        default=50,
        ge=1,
        le=1_000,
        description="Mails on their way out at one time, each in a dialogue of its own.",
    )
    domain_concurrency: int = Field(
        default=20,
        ge=0,
        le=1_000,
        description="Mails on their way to one domain at one time; 0 is no limit. Large providers take some twenty connections of one client.",
    )
    domain_per_minute: int = Field(
        default=0,
        ge=0,
        le=100_000,
        description="Mails to one domain a minute; 0 is no limit. For a provider that answers 4xx to more.",
    )
    give_up_hours: int = Field(
        default=MAX_AGE // _HOUR,
        ge=LEAST_AGE // _HOUR,
        le=MOST_AGE // _HOUR,
        description="Hours after which a mail that no server took is given up, from when it was written, or approved if that was later; `outbox list` calls it `expired`. Five days is what RFC 5321 4.5.4.1 asks for; fewer hours tell experts sooner that a customer has to be called. At most six days: an approval lasts seven.",
    )
    daily_automatic_per_address: int = Field(
        default=20,
        ge=0,
        le=10_000,
        description="Automatic answers to one address a day (UTC). A loop of robots ends here.",
    )
    daily_automatic_per_domain: int = Field(
        default=200,
        ge=0,
        le=1_000_000,
        description="Automatic answers to one domain a day (UTC): a flood must not make us a mail source.",
    )


class DkimSettings(_Section):
    """What we sign with."""

    selector: Line = Field(
        default="s1",
        description="Selector of the RSA key that signs; its file is `data_dir`/keys/DOMAIN.SELECTOR.pem. An Ed25519 key under SELECTOR`-ed25519` makes a second signature. `expertmail keys rotate` lets other keys sign and needs no change here; another value given here later wins over it.",
    )
    keep_days: int = Field(
        default=7,
        ge=1,
        le=365,
        description="Days for which the records of earlier keys are needed after the last mail that was signed with them left: servers try for up to five days (RFC 5321 4.5.4.1), and people forward mail that they doubt.",
    )


class DnsSettings(_Section):
    """Where DNS answers come from."""

    resolvers: Servers = Field(
        default=(),
        description="Resolvers to ask, as ADDRESS or ADDRESS:PORT. Empty means those of the system.",
    )
    zone: Path | None = Field(
        default=None,
        description="Master file (RFC 1035) answered by ourselves before anybody is asked. Unset means `data_dir`/zone.db in delivery mode `files`, and none in the others, so that the records of a trial never stand in for the published ones.",
    )
    max_questions: int = Field(
        default=200,
        ge=20,
        le=1_000,
        description="Questions for one message. Eight signatures, fifty seals, SPF at its own limit and DMARC's walks stay below; a hostile record cannot make more.",
    )
    max_seconds: float = Field(
        default=10.0,
        ge=1,
        le=50,  # smtp_gateway.intake ends the whole judgement after 60
        description="Seconds for all DNS of one message; what is missing then is a temporary error. 10, so that a client is answered within 12 when all resolvers are silent. At most 50, for the gateway ends the whole judgement after 60.",
    )


class VerifierSettings(_Section):
    """How messages are judged."""

    dmarc_mode: Literal["rfc9989", "rfc7489"] = Field(
        default="rfc9989",
        description="By which RFC DMARC is evaluated. `rfc9989` is the one in force: the domains' owners say in DNS what belongs together. `rfc7489` is the older one, by the public suffix list; for receivers who must answer as they did before.",
    )


class RouteSettings(_Section):
    """How strict the mailboxes for conversations are."""

    on_temperror: Literal["hold", "defer"] = Field(
        default="hold",
        description="What to do with a message when needed DNS answers could not be had: `hold` it for an expert, or `defer` it with 451, so that the sender tries again.",
    )
    on_forgery: Literal["hold", "reject"] = Field(
        default="reject",
        description="What to do with a forgery that two independent reasons prove. Everything doubtful is held whatever this says.",
    )
    table: tuple[RouteRow, ...] = Field(
        default=(),
        max_length=1_000,
        description="Rows of `[[routes.table]]`, see below: recipients that lead elsewhere, or are treated otherwise, than by default.",
    )


class RelaySettings(_Section):
    """How mail is passed on to next hops."""

    arc_seal: bool = Field(
        default=False,
        description="Whether relayed mail is sealed (ARC, RFC 8617) with the key of `dkim.selector`. Worth it where servers behind change or forward messages. Publish the key first (`expertmail dns check`): a seal without a published key breaks the chain.",
    )
    verify_recipients: bool = Field(
        default=True,
        description="Whether a recipient is asked for at its next hop before RCPT is answered, so that unknown ones are refused there and nobody is bounced. Turn it off for a next hop that dislikes such questions.",
    )


class HeldSettings(_Section):
    """How long mail waits for an expert."""

    retention_days: int = Field(
        default=30,
        ge=0,
        le=3_650,
        description="Days that mail waits for an expert. Then its content is removed, and envelope, verdict, reasons and evidence are kept and shown: it is never released by time. So long is kept, too, what was discarded, or released to a next hop, from that day on. A month outlasts holidays, and mail that nobody wanted for so long is a risk to keep. 0 keeps everything until somebody decides.",
    )
    notice_days: int = Field(
        default=7,
        ge=0,
        le=365,
        description="Days before that in which the log says once a day how much is about to expire, and `/metrics` counts it (`expertmail_held_expiring`). A week has working days in it.",
    )
    second_person: Literal["never", "claims", "always"] = Field(
        default="never",
        description="Whose release is only a request until another person consents: `claims`: of messages that say they are from the experts and are not proven to be; `always`: of all.",
    )


class AlertSettings(_Section):
    """Whom the gateway tells, by mail, that something waits for an expert. Nobody, until an address is named."""

    team: Addresses = Field(
        default=(),
        description="Addresses of the team. They hear of everything that no single expert has in hand.",
    )
    people: People = Field(
        default=(),
        description="Experts of their own: `NAME=ADDRESS`, where NAME is the name under which they work at the command line (`--by`, or the account's). Who wrote to the customer on a thread last hears of news there, instead of the team.",
    )
    tell: AlertKinds = Field(
        default=("reply", "held", "triage", "bounce", "late", "call", "breakglass"),
        description="What is told: `reply`: a person's mail was filed on a thread, or a customer wrote in the portal; `held`: mail that may be a customer's waits for a decision; `triage`: a stranger's mail waits; `bounce`: what an expert sent came back or could not be sent; `late`: mail on an incident was not accepted in time (`late_delivery`); `call`: a customer does not answer reminders and is to be telephoned; `breakglass`: a call about an incident in break-glass is due, and nobody has recorded one.",
    )
    first_seconds: int = Field(
        default=0,
        ge=0,
        le=3_600,
        description="How long the first event waits for company before it is told. 0 tells it at once.",
    )
    digest_minutes: int = Field(
        default=15,
        ge=1,
        le=1_440,
        description="What follows is told together, once in so many minutes: often enough for an incident, and no flood of mail in an attack.",
    )
    form: Literal["short", "long"] = Field(
        default="short",
        description="`short` says references, kinds, times, verdicts and counts. `long` adds the customer's name and the incident's title, and needs a protected way: delivery by a smarthost with TLS. No form holds text of a customer.",
    )


class ReminderSettings(_Section):
    """When a customer is reminded of an incident that awaits their action. Each step is due so long after the one before."""

    enabled: bool = Field(
        default=True,
        description="Whether customers are reminded at all. A resolved incident, one that was answered since, and a customer whose mail is marked untrusted are never reminded.",
    )
    high: ReminderSteps = Field(
        default=("4h remind", "8h next", "4h telephone"),
        description="Steps for an incident of severity High: a time (`m`, `h`, `d`) after the step before, the first one after the question, and what happens then. `remind` writes to the contact who was asked, `next` to the contact after that one, `telephone` puts a note on the incident that tells the experts whom to call, and tells them by an alert (`alerts.tell`). Ten steps at most; none: never.",
    )
    medium: ReminderSteps = Field(
        default=("24h remind", "48h next", "24h telephone"), description="The same for severity Medium."
    )
    low: ReminderSteps = Field(default=("3d remind", "4d remind"), description="The same for severity Low.")
    informational: ReminderSteps = Field(
        default=("7d remind",), description="The same for severity Informational."
    )


class LateDeliverySettings(_Section):
    """After how many minutes mail on an open incident is late that the customer's server has not accepted. Experts are told."""

    high: LateMinutes = Field(
        default=15,
        description="Minutes on an incident of severity High. A server that greylists has had two more tries by then. Counted from when the mail was written, or its send window began, whatever keeps it: its server, our own check, or an approval. Each mail is told of once, by a note on the incident that names the next contact and the telephone number, and by an alert (`alerts.tell`). 0: never.",
    )
    medium: LateMinutes = Field(
        default=60,
        description="The same for severity Medium. By then four tries have failed: the server is away.",
    )
    low: LateMinutes = Field(default=240, description="The same for severity Low: within a shift.")
    informational: LateMinutes = Field(
        default=1_440, description="The same for severity Informational: within a day."
    )


class ServiceReviewSettings(_Section):
    """Service reviews: what a month was like, told to the contacts for service reviews."""

    monthly: bool = Field(
        default=False,
        description="Whether each month's figures are written by themselves, six hours after the month (UTC) is over. They wait for a second person where `sending.second_person` names `service-review`, and go to nobody at customers whose mail is marked untrusted.",
    )
    manager: Line = Field(
        default="Defender Experts",
        max_length=100,
        description="Who signs a review for which nobody gave a name.",
    )


class ChannelSettings(_Section):
    """Where webhooks and Teams channels may be called."""

    allowed_networks: Networks = Field(
        default=(),
        description='Networks that webhooks may be called in although they are not public, such as `["10.20.0.0/16"]`; there `http://` will do as well. Everything else has to be public and speak TLS, whatever name leads to it.',
    )
    ca_file: Path | None = Field(
        default=None,
        description="Certificates (PEM) of whoever vouches for receivers, in place of the system's list.",
    )


class ChatSettings(_Section):
    """The chat about an incident, as the portal shows it."""

    submission_channel: Line | None = Field(
        default=None,
        max_length=300,
        description="Where files go that the chat does not take: a link or words, told to who attaches one. By default as `mail.submission_channel`.",
    )


class LogSettings(_Section):
    """What is written about the work."""

    format: Literal["auto", "json", "text"] = Field(
        default="auto",
        description="`json` is one object a line; `text` is for people; `auto` is text on a terminal, else json.",
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level that is written."
    )
