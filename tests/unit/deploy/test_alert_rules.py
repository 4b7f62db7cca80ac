"""The alert rules against made-up series, by Prometheus's own tool."""

import shutil
import subprocess

import pytest

from tests.support.paths import ROOT

FOLDER = ROOT / "deploy/prometheus"


def promtool(*arguments: str) -> None:
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("promtool is not installed; it comes with the package prometheus")
    done = subprocess.run([tool, *arguments], cwd=FOLDER, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_configuration_is_valid() -> None:
    promtool("check", "config", "prometheus.yml")


@pytest.mark.parametrize("file", ["alerts.test.yml", "drift.test.yml"])
def test_alerts_rise_when_they_should_and_only_then(file: str) -> None:
    promtool("test", "rules", file)
