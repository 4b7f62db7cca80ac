"""The alert rules against made-up series, by Prometheus's own tool."""

import shutil
import subprocess

import pytest
import yaml

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


@pytest.mark.parametrize(
    ("alert", "condition", "said"),
    [
        ("CrossfixOverloaded", "> 0.05", "More than one request in twenty is refused"),
        ("CrossfixGalleryShrank", "< 0.9 *", "More than a tenth of the sightings were deleted"),
        ("CrossfixGalleryShrank", "[1h]", "within an hour"),
        ("CrossfixScoreDrift", "[7d] offset 1d", "candidates of the last day are more similar"),
        ("CrossfixBundlesDiffer", "30m", "different models for half an hour"),
    ],
)
def test_the_runbook_states_the_condition_of_a_rule(alert: str, condition: str, said: str) -> None:
    groups = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    (rule,) = (rule for group in groups for rule in group["rules"] if rule["alert"] == alert)
    assert condition in f"{rule['expr']} {rule.get('for')}"
    page = (ROOT / "docs/alerts.md").read_text()
    entry = page.partition(f"### {alert}\n")[2].partition("\n### ")[0]
    assert said in " ".join(entry.split())
