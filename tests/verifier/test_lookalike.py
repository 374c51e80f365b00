"""Look-alike domains: the public pairs, the ordinary ones that must not alarm, and what it costs."""

from __future__ import annotations

import time

import pytest
import yaml

from verifier.identity import Identity
from verifier.lookalike import Lookalikes, Relation, relation

PROTECTED = (
    Identity("operated", domains=("experts.test",), known_domains=("reply.experts.test",)),
    Identity(
        "defender-experts", domains=("microsoft.com",), known_domains=("microsoftonline.com", "office.com")
    ),
)

# Names as customers, partners, mail services and news senders have them.
ORDINARY_TEXT = """
contoso.com fabrikam.com adventure-works.com northwindtraders.com wingtiptoys.com tailspintoys.com litware.com
proseware.com treyresearch.net woodgrove.bank alpineskihouse.com cohovineyard.com contoso.test example.com example.org
google.com gmail.com googlemail.com apple.com icloud.com amazon.com amazonses.com aws.com yahoo.com ymail.com aol.com
gmx.de gmx.net web.de t-online.de freenet.de posteo.de mailbox.org proton.me protonmail.com tutanota.com fastmail.com
zoho.com yandex.ru mail.ru qq.com 163.com 126.com naver.com daum.net orange.fr free.fr laposte.net wanadoo.fr libero.it
virgilio.it telefonica.es terra.com.br uol.com.br bol.com.br comcast.net verizon.net att.net sbcglobal.net cox.net
btinternet.com sky.com virginmedia.com talktalk.net bigpond.com optusnet.com.au shaw.ca rogers.com sympatico.ca
salesforce.com servicenow.com zendesk.com atlassian.com github.com gitlab.com slack.com zoom.us dropbox.com box.com
okta.com duo.com cisco.com fortinet.com paloaltonetworks.com crowdstrike.com sentinelone.com sophos.com trendmicro.com
mcafee.com symantec.com kaspersky.com eset.com bitdefender.com malwarebytes.com proofpoint.com mimecast.com barracuda.com
securityexperts.com itexperts.de cyberexperts.io expertsexchange.com taxexperts.co.uk lawexperts.org petexperts.net
expert.com experts-comptables.fr expertsuisse.ch experian.com expedia.com express.de export.gov export-entreprises.com
exports.com expo2025.or.jp experteer.de expertise.com expertflyer.com xperts.co.uk export.test.example
deutsche-bank.de commerzbank.com sparkasse.de volksbank.de ing.com rabobank.nl bnpparibas.com socgen.com santander.com
hsbc.co.uk barclays.co.uk lloydsbank.co.uk natwest.com chase.com citi.com wellsfargo.com bankofamerica.com capitalone.com
siemens.com bosch.com bmw.de daimler.com volkswagen.de basf.com bayer.com sap.com allianz.com munichre.com airbus.com
renault.com totalenergies.com loreal.com danone.com michelin.com shell.com unilever.com bp.com vodafone.com bt.com
toyota.co.jp sony.co.jp hitachi.com fujitsu.com nec.com panasonic.com samsung.com lg.com hyundai.com kia.com
ibm.com oracle.com intel.com amd.com nvidia.com hp.com dell.com lenovo.com micron.com microchip.com microstrategy.com
microfocus.com micropatent.com microscope.org microsoap.de softmicro.eu mercurysoft.net minisoft.com
microbit.org microcenter.com microstar.eu micropolis.com sicrosoft-example.org visualsoft.co.uk softchoice.com
nasa.gov whitehouse.gov europa.eu bund.de gov.uk gouv.fr admin.ch canada.ca gov.au who.int un.org oecd.org
harvard.edu mit.edu stanford.edu ox.ac.uk cam.ac.uk ethz.ch tum.de uni-heidelberg.de u-tokyo.ac.jp kyoto-u.ac.jp
officedepot.com officeworks.com.au staples.com ikea.com aldi.de lidl.de tesco.com walmart.com target.com costco.com
ups.com fedex.com dhl.de dpd.com usps.com royalmail.com laposte.fr poste.it post.ch post.at correos.es
linkedin.com facebook.com facebookmail.com twitter.com x.com instagram.com pinterest.com reddit.com redditmail.com
mailchimp.com mcsv.net sendgrid.net mailgun.org sparkpostmail.com mandrillapp.com constantcontact.com hubspot.com
booking.com airbnb.com uber.com lyft.com lufthansa.com ba.com klm.com airfrance.fr emirates.com qantas.com.au
hospital.example clinic.example school.example city.example museum.example farm.example bakery.example
mx.contoso.com mail.contoso.com news.contoso.com bounce.contoso.com security.contoso.com soc.contoso.com
experts.contoso.com defender.contoso.com support.contoso.com help.fabrikam.co.uk team.litware.io
xn--bcher-kva.example xn--mller-kva.de xn--caf-dma.fr xn--80aswg.xn--p1ai xn--fiqs8s xn--wgv71a119e.jp
"""

IMITATIONS_TEXT = """
rnicrosoft.com micros0ft.com mlcrosoft.com microsoft-support.com microsoftdefender.com microsoft.co microsoft.com.evil.test
microsoft-com.evil.test xn--mcrosoft-tkb.com secure-microsoft.net loginmicrosoft.com mircosoft.com mcirosoft.com micrnsoft.com nnicrosoft.com
microsofft.com microsof.com microsoft.evil.test experts.com exp3rts.test expert.test experts-support.test
experts-test.com experts.test.evil.test expertstest.com supportexperts.test xn--xperts-9ua.test
"""

ORDINARY = ORDINARY_TEXT.split()
IMITATIONS = IMITATIONS_TEXT.split()


def test_every_public_pair_is_judged_as_expected(shared_data) -> None:
    pairs = yaml.safe_load((shared_data / "address" / "cases.yml").read_text("utf-8"))["lookalike_pairs"]
    wrong = [
        (pair["id"], got)
        for pair in pairs
        if (got := relation(pair["candidate"], pair["protected"], pair.get("allow", ()))) != pair["expect"]
    ]
    assert len(pairs) == 98
    assert not wrong


@pytest.mark.parametrize("domain", ORDINARY)
def test_an_ordinary_domain_alarms_nobody(domain: str) -> None:
    assert Lookalikes(PROTECTED).find(domain) is None


@pytest.mark.parametrize("domain", IMITATIONS)
def test_an_imitation_is_found(domain: str) -> None:
    assert Lookalikes(PROTECTED).find(domain) is not None


@pytest.mark.parametrize(
    "domain",
    ["microsoftonline.com", "login.microsoftonline.com", "office.com", "experts.test", "reply.experts.test"],
)
def test_a_listed_name_is_theirs_whatever_it_looks_like(domain: str) -> None:
    assert Lookalikes(PROTECTED).find(domain) is None


def test_one_listed_name_is_unrelated_to_the_identity_that_it_resembles() -> None:
    assert relation("paypal-community.com", "paypal.com") is Relation.LOOKALIKE
    assert relation("paypal-community.com", "paypal.com", ["paypal-community.com"]) is Relation.UNRELATED


@pytest.mark.parametrize(
    "domain",
    [
        "a." * 126 + "b",
        "-" * 63 + ".com",
        "x" * 250,
        "xn--" + "9" * 59 + ".com",
        "",
        ".",
        "\ud800.com",
        "к" * 63,
    ],
)
def test_hostile_names_are_judged_quickly(domain: str) -> None:
    judge = Lookalikes(PROTECTED)
    started = time.perf_counter()
    judge.find(domain)
    assert time.perf_counter() - started < 5  # measured: under 1 ms


def test_an_ordinary_domain_costs_some_microseconds() -> None:
    judge = Lookalikes(PROTECTED)
    best = min(_timed(judge) for _ in range(5))
    assert best < 200e-6  # measured: 5 to 10 microseconds; the rest is room for a busy machine


def _timed(judge: Lookalikes) -> float:
    started = time.perf_counter()
    for _ in range(200):
        judge.find("mail.some-customer.co.uk")
    return (time.perf_counter() - started) / 200
