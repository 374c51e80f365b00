"""What smarthosts answer tells by which Message-ID they passed our mail on, and only they are believed."""

from __future__ import annotations

import pytest

from outbound.renamed_id import renamed_id

SES = "Ok 010001968f3b2c1d-5a1b2c3d-4e5f-6a7b-8c9d-0e1f2a3b4c5d-000000"
MICROSOFT = "2.0.0 OK <DM6PR05MB5321A1B2@DM6PR05MB5321.namprd05.prod.outlook.com> [Hostname=DM6PR05MB5321.x]"


@pytest.mark.parametrize(
    ("host", "answer", "name"),
    [
        ("email-smtp.us-east-1.amazonaws.com", SES, f"{SES[3:]}@email.amazonses.com"),
        ("email-smtp.eu-central-1.amazonaws.com", SES, f"{SES[3:]}@eu-central-1.amazonses.com"),
        ("EMAIL-SMTP-FIPS.us-gov-west-1.amazonaws.com.", SES, f"{SES[3:]}@us-gov-west-1.amazonses.com"),
        (
            "smtp.office365.com",
            MICROSOFT,
            "DM6PR05MB5321A1B2@DM6PR05MB5321.namprd05.prod.outlook.com",
        ),
        (
            "smtp-mail.outlook.com",
            "2.0.0 OK <x@y.prod.outlook.com>",
            "x@y.prod.outlook.com",
        ),
        # nobody else is believed, whatever they say
        ("mx.customer.test", SES, None),
        ("mx.customer.test", MICROSOFT, None),
        ("email-smtp.us-east-1.amazonaws.com.evil.test", SES, None),
        ("ec2-192-0-2-1.compute-1.amazonaws.com", SES, None),
        ("customer-test.mail.protection.outlook.com", MICROSOFT, None),
        # and they say other things, too
        ("email-smtp.us-east-1.amazonaws.com", "Ok", None),
        ("email-smtp.us-east-1.amazonaws.com", "Ok a b", None),
        ("smtp.office365.com", "2.0.0 OK", None),
        ("smtp.office365.com", "2.0.0 OK <no id>", None),
        ("smtp.gmail.com", "2.0.0 OK  1764158400 d2e1a72fcca58-7c3f0b4a5sm1-gsmtp", None),
        ("", "", None),
    ],
)
def test_only_known_services_rename(host: str, answer: str, name: str | None) -> None:
    assert renamed_id(host, answer) == name
