"""The corpus as a score, and mailauth as a peer where it is installed."""

from __future__ import annotations

from bench import cases, mailauth, whole
from expertmail.verifier_bench import Effort


def test_ours_takes_every_unharmed_message_and_no_attack_for_the_senders() -> None:
    rows = {row.name.split()[0]: row for row in cases.score(1)}
    ours, dkimpy = rows["expertmail"], rows["dkimpy"]
    assert (ours.genuine, ours.attacks) == (ours.of_genuine, 0)
    assert dkimpy.attacks > 0  # what it is compared for
    assert "text-appended-after-l" not in ours.kinds


def test_the_kept_files_are_scored_alike() -> None:
    ours, dkimpy, *_ = cases.score_kept()
    assert (ours.genuine, ours.attacks) == (ours.of_genuine, 0)
    assert dkimpy.genuine == dkimpy.of_genuine == ours.of_genuine
    assert {"text-appended-after-l", "sha-1", "from-not-signed"} <= set(dkimpy.kinds)


def test_the_whole_verdict_is_measured_above_its_floor() -> None:
    rows = whole.compare(Effort(small=3, big=1, rounds=1))
    assert [row.size for row in rows] == ["5 KB", "1 MB"]
    assert all(row.claimed > row.ours > row.floor > 0 for row in rows)


def test_where_mailauth_is_not_installed_it_is_said_how(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(mailauth, "FOLDER", tmp_path)
    told = mailauth.missing()
    assert told is not None
    assert "npm install" in told
