"""The Kubernetes manifests: their schema, and what holds between them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.server.run import CLOSING_S
from service.settings import STOP_GRACE_S, Settings, load_settings
from tests.support.paths import ROOT

FOLDER = ROOT / "deploy/kubernetes"
MANIFESTS = [p for p in sorted(FOLDER.rglob("*.yaml")) if p.name != "kustomization.yaml"]
DOCUMENTS = [d for p in MANIFESTS for d in yaml.safe_load_all(p.read_text()) if "kind" in d]


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts/check-manifests"), str(folder)]
    return subprocess.run(command, capture_output=True, text=True)


def one(kind: str, name: str) -> dict[str, Any]:
    found = [d for d in DOCUMENTS if d["kind"] == kind and d["metadata"]["name"] == name]
    assert len(found) == 1
    document: dict[str, Any] = found[0]
    return document


def pods() -> dict[str, dict[str, Any]]:
    return {
        d["metadata"]["name"]: d["spec"]["template"]["spec"]
        for d in DOCUMENTS
        if d["kind"] in ("Deployment", "StatefulSet", "Job")
    }


def test_all_manifests_fit_the_schema() -> None:
    done = check(FOLDER)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(": 0 faults\n")


@pytest.mark.parametrize(
    ("file", "old", "new", "complaint"),
    [
        ("backfill/job.yaml", "completionMode", "completionMod", "completionMod"),
        ("backfill/job.yaml", "completions: 8", "completions: eight", "eight"),
        ("backfill/kustomization.yaml", "- job.yaml", "- jobs.yaml", "jobs.yaml is not there"),
        ("backfill/kustomization.yaml", "  - job.yaml", "  []", "no kustomization lists it"),
    ],
)
def test_a_fault_is_found(tmp_path: Path, file: str, old: str, new: str, complaint: str) -> None:
    shutil.copytree(FOLDER / "backfill", tmp_path / "backfill")
    path = tmp_path / file
    path.write_text(path.read_text().replace(old, new))
    done = check(tmp_path)
    assert done.returncode == 1
    assert complaint in done.stderr


@pytest.mark.parametrize("name", sorted(pods()))
def test_pods_are_confined(name: str) -> None:
    pod = pods()[name]
    assert pod["enableServiceLinks"] is False
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    for container in pod["containers"]:
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]


def test_the_service_is_given_only_settings_that_exist() -> None:
    known = {f"CROSSFIX_{name.upper()}" for name in Settings.model_fields}
    for name in ("crossfix", "crossfix-backfill"):
        (container,) = pods()[name]["containers"]
        used = {e["name"] for e in container["env"] if e["name"].startswith("CROSSFIX_")}
        assert used
        assert used - known == set()


def test_no_replica_serves_the_public_without_a_key() -> None:
    assert "CROSSFIX_ALLOW_PUBLIC_WITHOUT_KEYS" not in "".join(p.read_text() for p in MANIFESTS)
    job, service = (pods()[name] for name in ("crossfix-keys", "crossfix"))
    assert job["volumes"][0] == service["volumes"][0]
    assert job["securityContext"] == service["securityContext"]


def test_the_service_is_probed_and_may_finish_its_requests() -> None:
    pod = pods()["crossfix"]
    (container,) = pod["containers"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > STOP_GRACE_S + CLOSING_S + pause


def test_replicas_follow_the_queue() -> None:
    scaler = one("HorizontalPodAutoscaler", "crossfix")["spec"]
    (metric,) = scaler["metrics"]
    adapter = yaml.safe_load((FOLDER / "prometheus-adapter-values.yaml").read_text())
    served = {rule["name"]["as"] for rule in adapter["rules"]["custom"]}
    assert metric["pods"]["metric"]["name"] in served
    assert "replicas" not in one("Deployment", "crossfix")["spec"]
    budget = one("PodDisruptionBudget", "crossfix")["spec"]
    assert budget["minAvailable"] < scaler["minReplicas"]


def test_one_of_three_qdrant_nodes_may_be_away() -> None:
    settings = yaml.safe_load((FOLDER / "base/qdrant/cluster.yaml").read_text())
    collection = settings["storage"]["collection"]
    assert settings["cluster"]["enabled"] is True
    copies, needed = collection["replication_factor"], collection["write_consistency_factor"]
    assert needed == copies // 2 + 1 == copies - 1
    nodes = one("StatefulSet", "qdrant")["spec"]["replicas"]
    assert nodes == copies
    for name in ("crossfix", "crossfix-backfill"):
        environment = pods()[name]["containers"][0]["env"]
        [addresses] = [e["value"] for e in environment if e["name"] == "CROSSFIX_QDRANT_URL"]
        assert addresses.split(",") == [
            f"http://qdrant-{number}.qdrant-peers:6333" for number in range(nodes)
        ]
    assert one("PodDisruptionBudget", "qdrant")["spec"]["maxUnavailable"] == 1


def test_backfill_covers_every_shard_once() -> None:
    job = one("Job", "crossfix-backfill")["spec"]
    (container,) = pods()["crossfix-backfill"]["containers"]
    assert job["completionMode"] == "Indexed"
    assert container["args"][-2:] == ["--shard", f"$(SHARD)/{job['completions']}"]


def test_backfill_needs_no_volume_of_the_service() -> None:
    """Originals come from the bucket; for those in a folder another kustomization mounts it."""
    volumes = pods()["crossfix-backfill"]["volumes"]
    claims = {v["persistentVolumeClaim"]["claimName"] for v in volumes if "emptyDir" not in v}
    assert claims == {"crossfix-bundles"}
    (patch,) = yaml.safe_load((FOLDER / "backfill-shared-folder/kustomization.yaml").read_text())[
        "patches"
    ]
    (step,) = yaml.safe_load(patch["patch"])
    assert step["value"]["name"] == volumes[int(step["path"].rsplit("/", 1)[1])]["name"]
    mounted = {v["persistentVolumeClaim"]["claimName"] for v in pods()["crossfix"]["volumes"][:1]}
    assert step["value"]["persistentVolumeClaim"]["claimName"] in mounted


def test_replicas_and_jobs_are_told_alike_where_originals_are() -> None:
    service, job = (pods()[name]["containers"][0] for name in ("crossfix", "crossfix-backfill"))
    assert (
        service["envFrom"] == job["envFrom"] == [{"configMapRef": {"name": "crossfix-originals"}}]
    )
    s3 = [[e for e in one["env"] if e["name"].startswith("CROSSFIX_S3_")] for one in (service, job)]
    assert s3[0] == s3[1]
    assert len(s3[0]) == 2


def test_the_centre_names_a_bucket_with_settings_that_load(monkeypatch: pytest.MonkeyPatch) -> None:
    centre = yaml.safe_load((FOLDER / "overlays/centre/kustomization.yaml").read_text())
    patches = [p["patch"] for p in centre["patches"] if p["target"]["kind"] == "ConfigMap"]
    for name, value in yaml.safe_load(patches[0])["data"].items():
        monkeypatch.setenv(name, value)
    assert load_settings().chip_store == "s3"


def test_selectors_of_policies_services_and_budgets_find_pods() -> None:
    labels = [
        d["spec"]["template"]["metadata"]["labels"].items()
        for d in DOCUMENTS
        if d["kind"] in ("Deployment", "StatefulSet", "Job")
    ]
    text = "\n".join(p.read_text() for p in MANIFESTS)
    assert len(re.findall(r"app.kubernetes.io/name: \w+", text)) > 10
    for document in DOCUMENTS:
        spec = document.get("spec", {})
        selector = spec.get("podSelector", spec.get("selector"))
        if document["kind"] in ("NetworkPolicy", "Service", "PodDisruptionBudget"):
            wanted = selector.get("matchLabels", {} if "podSelector" in spec else selector)
            assert any(wanted.items() <= has for has in labels), document["metadata"]["name"]


def test_images_agree_with_compose() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text().replace("!reset", ""))[
        "services"
    ]
    for name in ("qdrant", "redis"):
        assert pods()[name]["containers"][0]["image"] == compose[name]["image"]
