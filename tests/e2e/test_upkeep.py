"""Audit, re-embedding, backup and restore with real processes on the embedded gallery."""

import json
from pathlib import Path
from typing import Any

import httpx

from service.settings import SHIPPED_BUNDLE
from service.storage.audit.check import read_entries
from tests.support.inputs.chips import optical_png, sar_tiff
from tests.support.processes.command import crossfix
from tests.support.processes.service_process import running_service
from tests.support.training.second_bundle import second_bundle

OTHER_LOCALE = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
"""One whose encoding of files is not UTF-8."""


def enrol(api: httpx.Client, seed: int) -> None:
    vessel = json.dumps({"name": f"VESSEL {seed} ΩÅ"})
    answer = api.post(
        "/gallery", data={"vessel": vessel}, files=[("chips", ("chip.png", optical_png(seed)))]
    )
    assert answer.status_code == 201, answer.text


def match(api: httpx.Client) -> dict[str, Any]:
    answer = api.post("/match", files={"chip": sar_tiff(1)})
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def moves(data: Path) -> list[tuple[str, str]]:
    """Return (former bundle, new bundle) of each move that the audit log holds."""
    entries = [entry for _, entry in read_entries(data / "audit") if "former" in entry]
    assert {(one["action"], one["who"]) for one in entries} == {("switch-bundle", "local")}
    return [(one["former"], one["bundle_id"]) for one in entries]


def test_a_gallery_is_audited_backed_up_moved_and_restored(tmp_path: Path) -> None:
    home, second = tmp_path / "home", second_bundle(tmp_path / "second")
    data = home / "data"
    with running_service(home) as service, service.client() as api:
        for seed in range(3):
            enrol(api, seed)
        first = match(api)
        while_running = crossfix(data, "audit", "verify")
        refused = crossfix(data, "reembed", "--to", str(second.path), status=1)
        assert "another process has the gallery" in refused
    assert while_running["sound"]
    heads = tmp_path / "heads.json"
    heads.write_text(json.dumps(while_running))

    counts = crossfix(data, "backup", str(tmp_path / "backup"), settings=OTHER_LOCALE)
    assert (counts["vessels"], counts["chips"]) == (3, 4)
    moved = crossfix(data, "reembed", "--to", str(second.path))
    assert (moved["embedded"], moved["left"], moved["serving"]) == (4, 0, True)
    assert moves(data) == [(first["model"]["bundle_id"], second.bundle_id)]
    with running_service(home) as service, service.client() as api:
        after = match(api)
        enrol(api, 3)
    assert after["model"]["bundle_id"] == second.bundle_id
    assert after["gallery"] == {"vessels": 3, "sightings": 3}
    ids = [candidate["sighting"]["id"] for candidate in after["candidates"]]
    assert ids == [candidate["sighting"]["id"] for candidate in first["candidates"]]

    back = crossfix(data, "reembed", "--to", str(SHIPPED_BUNDLE))
    assert back["embedded"] == 1, "only the sighting that was added in the meantime"
    refused = crossfix(data, "restore", str(tmp_path / "backup"), status=1)
    assert "empty stores" in refused
    assert crossfix(data, "audit", "verify", "--heads", str(heads))["sound"]

    elsewhere = tmp_path / "elsewhere"
    backup = str(tmp_path / "backup")
    assert crossfix(elsewhere / "data", "restore", backup, settings=OTHER_LOCALE) == counts
    with running_service(elsewhere) as service, service.client() as api:
        again = match(api)
    assert again["candidates"] == first["candidates"]

    entries = next((data / "audit").iterdir()) / f"{1:020d}.jsonl"
    entries.write_bytes(entries.read_bytes().replace(b"VESSEL 1", b"VESSEL 9"))
    report = crossfix(data, "audit", "verify", status=1)
    assert report["findings"][0]["line"] == 5
