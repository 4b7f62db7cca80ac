"""The commands `crossfix audit export` and `crossfix audit verify`."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from service.cli.main import app
from service.storage.audit.log import open_audit_log


@pytest.fixture
def data(tmp_path: Path) -> Path:
    log = open_audit_log(tmp_path / "audit", "one")
    for number in range(3):
        at = f"2026-03-02T1{number}:00:00.250000+00:00"
        log.append({"action": "match", "at": at, "who": "desk", "number": number})
    log.close()
    return tmp_path


def audit(data: Path, *arguments: str, status: int = 0) -> Result:
    done = CliRunner().invoke(app, ["audit", *arguments, "--data-dir", str(data)])
    assert done.exit_code == status, done.output
    return done


def test_entries_are_filtered_and_counted(data: Path) -> None:
    done = audit(data, "export", "--action", "match", "--who", "desk")
    assert [json.loads(line)["number"] for line in done.stdout.splitlines()] == [0, 1, 2]
    assert "3 of 4 entries" in done.stderr
    mistyped = audit(data, "export", "--action", "matches")
    assert (mistyped.stdout, mistyped.stderr) == ("", "0 of 4 entries\n")


@pytest.mark.parametrize(
    "time", ["2026-03-02T11:00:00", "2026-03-02T11:00:00Z", "2026-03-02T19:00:00+08:00"]
)
def test_a_time_without_an_offset_is_in_utc(data: Path, time: str) -> None:
    arguments = ("export", "--action", "match")
    assert "2 of 4 entries" in audit(data, *arguments, "--since", time).stderr
    assert "1 of 4 entries" in audit(data, *arguments, "--until", time).stderr


@pytest.mark.parametrize("command", ["verify", "export"])
def test_a_missing_audit_log_is_refused(tmp_path: Path, command: str) -> None:
    done = audit(tmp_path / "elsewhere", command, status=2)
    assert "there is no audit log in" in done.stderr
    assert "sound" not in done.stdout
    assert not (tmp_path / "elsewhere").exists()
