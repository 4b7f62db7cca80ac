"""What the Prometheus operator is given: monitor, alert rules, dashboard; and what fits them."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.observability.metrics import Telemetry
from tests.support.paths import ROOT

FOLDER = ROOT / "deploy/kubernetes"
ALERTS = ROOT / "deploy/prometheus/alerts.yml"
DASHBOARD = ROOT / "deploy/grafana/dashboards/crossfix.json"
ADDED = {"namespace": "crossfix", "container": "service", "endpoint": "http"}
"""Labels that the operator adds to each target, besides `pod`, `job` and `instance`."""


def document(path: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / path).read_text())
    return content


MONITOR = document("deploy/kubernetes/monitoring/pod-monitor.yaml")["spec"]
RULES = document("deploy/kubernetes/monitoring/rules.yaml")
DEPLOYMENT = document("deploy/kubernetes/base/service/deployment.yaml")["spec"]["template"]


def test_the_rules_are_those_of_compose() -> None:
    assert RULES["spec"] == yaml.safe_load(ALERTS.read_text())
    done = subprocess.run(
        [ROOT / "scripts/operator-rules", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_stale_rules_are_found(tmp_path: Path) -> None:
    for name in ("scripts/operator-rules", "deploy/prometheus/alerts.yml"):
        (tmp_path / name).parent.mkdir(parents=True)
        shutil.copy(ROOT / name, tmp_path / name)
    made = tmp_path / "deploy/kubernetes/monitoring/rules.yaml"
    made.parent.mkdir(parents=True)
    script = tmp_path / "scripts/operator-rules"
    subprocess.run([script], check=True)
    assert made.read_text() == (FOLDER / "monitoring/rules.yaml").read_text()
    made.write_text(made.read_text().replace("for: 2m", "for: 3m", 1))
    done = subprocess.run([script, "--check"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "make operator-rules" in done.stderr


def test_each_replica_is_scraped_where_it_serves_its_metrics() -> None:
    labels = DEPLOYMENT["metadata"]["labels"]
    assert MONITOR["selector"]["matchLabels"].items() <= labels.items()
    (endpoint,) = MONITOR["podMetricsEndpoints"]
    (container,) = DEPLOYMENT["spec"]["containers"]
    (port,) = container["ports"]
    annotations = DEPLOYMENT["metadata"]["annotations"]
    assert endpoint["port"] == port["name"]
    assert endpoint["path"] == annotations["prometheus.io/path"]
    assert str(port["containerPort"]) == annotations["prometheus.io/port"]


def test_backfill_pods_are_not_scraped() -> None:
    pod = document("deploy/kubernetes/backfill/job.yaml")["spec"]["template"]["metadata"]
    assert not MONITOR["selector"]["matchLabels"].items() <= pod["labels"].items()


def test_the_job_is_the_one_that_rules_and_dashboard_ask_for() -> None:
    job = DEPLOYMENT["metadata"]["labels"][MONITOR["jobLabel"]]
    asked = re.findall(r'\bjob=\\?"(\w+)\\?"', ALERTS.read_text() + DASHBOARD.read_text())
    assert len(asked) >= 3
    assert set(asked) == {job}


def test_scraped_as_often_as_by_compose() -> None:
    scraped = document("deploy/prometheus/prometheus.yml")["global"]["scrape_interval"]
    assert [one["interval"] for one in MONITOR["podMetricsEndpoints"]] == [scraped]


def test_added_labels_do_not_hide_those_of_the_service() -> None:
    """A metric's label that the target has as well is renamed to `exported_…`."""
    own = {
        label
        for metric in vars(Telemetry()).values()
        for label in getattr(metric, "_labelnames", ())
    }
    assert "lane" in own
    assert not own & {*ADDED, "pod", "job", "instance"}


def test_the_autoscaler_finds_pod_and_namespace() -> None:
    adapter = document("deploy/kubernetes/prometheus-adapter-values.yaml")
    (rule,) = adapter["rules"]["custom"]
    needed = set(rule["resources"]["overrides"])
    (endpoint,) = MONITOR["podMetricsEndpoints"]
    changed = {one["targetLabel"] for one in endpoint["relabelings"] if "targetLabel" in one}
    assert needed == {"namespace", "pod"}
    assert changed == {"instance"}


def test_metrics_need_no_key_unless_the_monitor_shows_one() -> None:
    (container,) = DEPLOYMENT["spec"]["containers"]
    environment = {one["name"]: one.get("value") for one in container["env"]}
    assert environment["CROSSFIX_METRICS_WITHOUT_KEY"] == "true"
    assert "authorization" not in MONITOR["podMetricsEndpoints"][0]
    kustomization = document("deploy/kubernetes/monitoring-with-key/kustomization.yaml")
    (step,) = yaml.safe_load(kustomization["patches"][0]["patch"])
    assert step["path"] == "/spec/podMetricsEndpoints/0/authorization"
    secret = step["value"]["credentials"]
    page = (ROOT / "docs/operations.md").read_text()
    assert f"create secret generic {secret['name']} --from-literal={secret['key']}=" in page


def test_the_dashboard_asks_for_the_data_source_that_is_provisioned() -> None:
    provisioned = document("deploy/grafana/provisioning/datasources/prometheus.yml")
    uids = {source["uid"] for source in provisioned["datasources"]}
    asked = {
        target["datasource"]["uid"]
        for panel in json.loads(DASHBOARD.read_text())["panels"]
        for target in panel.get("targets", ())
    }
    assert asked == uids == {"prometheus"}


def test_rendered_for_the_cluster() -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    done = subprocess.run(
        [kubectl, "kustomize", FOLDER / "monitoring-with-key"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    made = {one["kind"]: one for one in yaml.safe_load_all(done.stdout)}
    assert made.keys() == {"PodMonitor", "PrometheusRule", "ConfigMap"}
    for one in made.values():
        assert one["metadata"]["namespace"] == "crossfix"
        assert one["metadata"]["labels"]["release"]
    (endpoint,) = made["PodMonitor"]["spec"]["podMetricsEndpoints"]
    assert endpoint["authorization"]["credentials"]["name"] == "crossfix-metrics-key"
    assert made["PrometheusRule"]["spec"] == RULES["spec"]
    assert made["ConfigMap"]["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert made["ConfigMap"]["data"] == {"crossfix.json": DASHBOARD.read_text()}


@pytest.mark.parametrize(
    ("file", "old", "new", "complaint"),
    [
        ("pod-monitor.yaml", "jobLabel", "joblabel", "joblabel"),
        ("pod-monitor.yaml", "interval: 15s", "interval: 15 s", "'15 s'"),
        ("pod-monitor.yaml", "port: http", "port: 8080", "8080"),
        ("rules.yaml", "for: 2m", "wait: 2m", "wait"),
        ("rules.yaml", "severity: page", "severity: 1", "severity"),
        ("kustomization.yaml", "../../grafana", "../../graphs", "graphs is not there"),
    ],
)
def test_a_fault_is_found(tmp_path: Path, file: str, old: str, new: str, complaint: str) -> None:
    status, complaints = check_changed(tmp_path, file, old, new)
    assert status == 1
    assert complaint in complaints


def test_a_fault_in_an_expression_is_found(tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed; it comes with the package prometheus")
    status, complaints = check_changed(tmp_path, "rules.yaml", "absent(up", "absent((up")
    assert status == 1
    assert "parse error" in complaints


def check_changed(folder: Path, file: str, old: str, new: str) -> tuple[int, str]:
    """Exit status and complaints of check-manifests about a copy with one change."""
    shutil.copytree(FOLDER / "monitoring", folder / "deploy/kubernetes/monitoring")
    shutil.copytree(ROOT / "deploy/grafana", folder / "deploy/grafana")
    path = folder / "deploy/kubernetes/monitoring" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    command: list[str | Path] = [
        sys.executable,
        ROOT / "scripts/check-manifests",
        folder / "deploy/kubernetes",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stderr


@pytest.mark.parametrize("file", ["alerts.test.yml", "drift.test.yml"])
def test_alerts_rise_with_the_labels_of_the_operator(file: str, tmp_path: Path) -> None:
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("promtool is not installed; it comes with the package prometheus")
    (tmp_path / "alerts.yml").write_text(yaml.safe_dump(RULES["spec"]))
    content = as_on_kubernetes(document(f"deploy/prometheus/{file}"))
    (tmp_path / file).write_text(yaml.safe_dump(content))
    done = subprocess.run([tool, "test", "rules", file], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()


def as_on_kubernetes(content: dict[str, Any]) -> dict[str, Any]:
    """The same series as the operator's targets have them, and the alerts that come of them.

    An alert that keeps `job` and `instance` keeps the labels that were added; one that was summed
    or that tells of an absence has none of them.
    """
    for test in content["tests"]:
        for series in test["input_series"]:
            text = "".join(f', {label}="{value}"' for label, value in ADDED.items())
            series["series"] = re.sub(
                r'instance="(\w+)"', rf'instance="\1", pod="\1"{text}', series["series"]
            )
        for expected in test["alert_rule_test"]:
            for alert in expected.get("exp_alerts", ()):
                labels = alert["exp_labels"]
                if {"job", "instance"} <= labels.keys():
                    labels |= {**ADDED, "pod": labels["instance"]}
    return content
