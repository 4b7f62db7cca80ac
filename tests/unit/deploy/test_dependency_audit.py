"""The audit of locked dependencies, with the genuine tools against services on loopback."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.doubles.registry import RegistryDouble, registry_double
from tests.support.paths import ROOT
from tests.support.processes.service_process import free_port

HASH = "--hash=sha256:" + "0" * 64
ACCEPTED = 'spdx = ["MIT"]\nnamed = []\n'


@pytest.fixture
def registry() -> Iterator[RegistryDouble]:
    with registry_double() as double:
        yield double


@pytest.fixture
def locks(tmp_path: Path) -> Path:
    (tmp_path / "accepted.toml").write_text(ACCEPTED)
    (tmp_path / "cpu.txt").write_text(f"harbour==1.0 \\\n    {HASH} \\\n    {HASH}\n")
    (tmp_path / "dev.txt").write_text("harbour==1.0\nquay[crane]==1.0 ; sys_platform == 'linux'\n")
    return tmp_path


def audit(
    locks: Path, registry: RegistryDouble, *arguments: str, status: int = 0, osv_url: str = ""
) -> str:
    """Run the script; all that it printed."""
    services = ("--osv-url", osv_url or registry.osv_url, "--index-url", registry.index_url)
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/audit-dependencies", *services, *arguments, locks],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def accept(locks: Path, days: int) -> None:
    """Live with GHSA-quay for some days from now, or until some days ago."""
    until = datetime.now(UTC).date() + timedelta(days=days)
    (locks / "accepted.toml").write_text(
        f'{ACCEPTED}[[vulnerability]]\nid = "GHSA-quay"\npackage = "quay"\n'
        f'reason = "its crane is never moved"\nuntil = {until}\n'
    )


def test_sound_locks_pass_and_what_was_audited_is_said(
    locks: Path, registry: RegistryDouble
) -> None:
    said = audit(locks, registry, "--must-reach")
    assert "2 locks, 2 releases" in said
    assert "2 releases audited by http://127.0.0.1" in said
    assert "NOT AUDITED" not in said


def test_a_known_vulnerability_and_a_withdrawn_release_are_faults(
    locks: Path, registry: RegistryDouble
) -> None:
    registry.vulnerable["quay"] = "GHSA-quay"
    registry.withdrawn.add("harbour")
    said = audit(locks, registry, status=1)
    assert "quay==1.0: GHSA-quay; mended in 2.0" in said
    assert 'dev.txt: harbour==1.0 was withdrawn (reason: "it sinks")' in said


def test_a_known_vulnerability_can_be_accepted_for_a_while(
    locks: Path, registry: RegistryDouble
) -> None:
    registry.vulnerable["quay"] = "GHSA-quay"
    accept(locks, days=1)
    assert "GHSA-quay is accepted" in audit(locks, registry)
    accept(locks, days=-1)
    assert "GHSA-quay of quay ran out" in audit(locks, registry, "--offline", status=1)


def test_a_service_that_cannot_be_reached_is_a_fault_only_where_that_is_asked(
    locks: Path, registry: RegistryDouble
) -> None:
    nobody = f"http://127.0.0.1:{free_port()}/v1/query"
    said = audit(locks, registry, "--must-reach", osv_url=nobody, status=1)
    assert "NOT AUDITED for known vulnerabilities: no service could be reached" in said
    assert "audited by" not in said


def test_a_service_that_knows_no_vulnerability_at_all_does_not_count_as_an_audit(
    locks: Path, registry: RegistryDouble
) -> None:
    registry.vulnerable.clear()
    said = audit(locks, registry)
    assert "NOT AUDITED for known vulnerabilities: no service could be reached" in said


def test_each_entry_must_be_a_pin_and_hashed_where_it_goes_into_an_image(
    locks: Path, registry: RegistryDouble
) -> None:
    loose = ["harbour>=1.0", "harbour", "-r other.txt", "https://pier.example/harbour-1.0.tar.gz"]
    loose += ["harbour @ git+https://pier.example/harbour@v1", "--index-url https://pier.example"]
    (locks / "dev.txt").write_text("\n".join(loose))
    (locks / "cpu.txt").write_text("harbour==1.0\n")
    said = audit(locks, registry, "--offline", status=1)
    assert [entry for entry in loose if f"dev.txt: {entry!r} is not pinned" not in said] == []
    assert "cpu.txt: 'harbour==1.0' has no sha256 hash" in said


def test_a_licence_that_is_not_accepted_is_a_fault(locks: Path, registry: RegistryDouble) -> None:
    (locks / "dev.txt").write_text("numpy==1.0\npytest==1.0\n")
    said = audit(locks, registry, "--offline", status=1)
    assert "numpy: licence" in said
    assert "pytest: licence" not in said
    assert "not installed here: harbour" in said
