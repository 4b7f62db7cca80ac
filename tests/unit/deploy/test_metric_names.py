"""Alerts and dashboard ask only for metrics and labels that the service exposes."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from service.observability.metrics import Telemetry
from tests.support.paths import ROOT

ALERTS = ROOT / "deploy/prometheus/alerts.yml"
DASHBOARD = ROOT / "deploy/grafana/dashboards/crossfix.json"
ADAPTER = ROOT / "deploy/kubernetes/prometheus-adapter-values.yaml"
RUNBOOK = ROOT / "docs/alerts.md"
SCRAPED = {"job", "instance", "namespace", "pod"}
SUFFIXES = {
    "histogram": ("_bucket", "_sum", "_count"),
    "counter": ("_total",),
    "gauge": ("",),
    "info": ("_info",),
}
INFO_LABELS = {"bundle_id", "name", "training_domain", "device", "precision"}


def exposed() -> dict[str, set[str]]:
    """Sample name -> its labels, as the service exposes them."""
    telemetry = Telemetry()
    labels_of = {
        metric._name: set(metric._labelnames)
        for metric in vars(telemetry).values()
        if hasattr(metric, "_labelnames")
    }
    samples: dict[str, set[str]] = {"up": set()}
    for family in telemetry.registry.collect():
        for suffix in SUFFIXES[family.type]:
            labels = set(labels_of[family.name])
            labels |= {"le"} if suffix == "_bucket" else set()
            labels |= INFO_LABELS if suffix == "_info" else set()
            samples[family.name + suffix] = labels
    return samples


def unknown_names(expression: str, samples: Mapping[str, set[str]]) -> list[str]:
    """Metrics of an expression that nobody exposes, and labels that its metrics do not have."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    used = set(re.findall(r"\b(?:crossfix_\w+|up)\b", bare))
    faults = sorted(used - samples.keys())
    for name, matchers in re.findall(r"\b(crossfix_\w+|up)\{([^}]*)\}", bare):
        asked = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
        faults += sorted(asked - samples.get(name, asked) - SCRAPED)
    grouped = {
        label.strip()
        for group in re.findall(r"\bby\s*\(([^)]*)\)", bare)
        for label in group.split(",")
    }
    has = SCRAPED.union(*(samples[name] for name in used & samples.keys()))
    return faults + sorted(grouped - has)


def alert_rules() -> list[dict[str, Any]]:
    content = yaml.safe_load(ALERTS.read_text())
    return [rule for group in content["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    drawn: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return [panel for panel in drawn if panel["type"] != "row"]


def expressions() -> Iterator[tuple[str, str]]:
    for rule in alert_rules():
        yield rule["alert"], rule["expr"]
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for rule in yaml.safe_load(ADAPTER.read_text())["rules"]["custom"]:
        yield "autoscaler", rule["seriesQuery"]


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_only_exposed_metrics_are_asked_for(where: str, expression: str) -> None:
    assert unknown_names(expression, exposed()) == []
    assert re.search(r"\b(crossfix_\w+|up)\b", expression), where


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("rate(crossfix_matches_total[5m])", "crossfix_matches_total"),
        ("crossfix_verdicts", "crossfix_verdicts"),
        ('crossfix_errors_total{reason="x"}', "reason"),
        ("sum by (shard) (crossfix_queue_depth)", "shard"),
        ("sum by (le) (crossfix_queue_depth)", "le"),
    ],
)
def test_a_wrong_name_is_found(expression: str, fault: str) -> None:
    assert unknown_names(expression, exposed()) == [fault]


def test_every_metric_of_the_service_is_shown() -> None:
    shown = " ".join(target["expr"] for panel in panels() for target in panel["targets"])
    families = {family.name for family in Telemetry().registry.collect()}
    assert {name for name in families if name not in shown} == set()


def test_each_alert_has_its_line_in_the_runbook() -> None:
    headings = {
        line.removeprefix("### ").strip()
        for line in RUNBOOK.read_text().splitlines()
        if line.startswith("### Crossfix")
    }
    assert headings == {rule["alert"] for rule in alert_rules()}
    for rule in alert_rules():
        assert rule["annotations"]["runbook"] == f"docs/alerts.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in ("page", "warn")


def test_panels_do_not_overlap_and_have_one_id_each() -> None:
    drawn = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in drawn}) == len(drawn)
    taken: set[tuple[int, int]] = set()
    for panel in drawn:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
