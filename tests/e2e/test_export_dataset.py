"""`crossfix export-dataset` against a real service that knows the demo's simulated ships."""

import csv
import json
from pathlib import Path

from model_training.data.hoss import read_hoss
from service.client.demo.run import SHIPPED_FLEET
from service.client.fleet.hoss_folder import read_hoss_folder
from service.client.fleet.vessels import vessel_id
from tests.support.processes.cli import crossfix
from tests.support.processes.service_process import running_service

DATASET = "simulated-demo-fleet"
CONFIRMED = 3


def test_confirmed_demo_ships_become_a_data_set(tmp_path: Path) -> None:
    queries = [
        chip for chip in read_hoss_folder(SHIPPED_FLEET, DATASET).chips if "query" in str(chip.path)
    ][: CONFIRMED + 1]
    fleet = tmp_path / "fleet"
    (fleet / "bounding_box_test").mkdir(parents=True)
    for query in queries:
        for chip in SHIPPED_FLEET.glob(f"bounding_box_test/{query.name.vessel_id:04d}_*"):
            (fleet / "bounding_box_test" / chip.name).write_bytes(chip.read_bytes())
    with running_service(tmp_path / "service") as service:

        def ok(*arguments: object) -> str:
            done = crossfix(*arguments, "--url", service.url)
            assert done.returncode == 0, done.stderr
            return done.stdout

        ok("enrol", fleet, "--dataset", DATASET)
        answers = json.loads(ok("match", *(query.path for query in queries), "--json"))
        matches = [answer["match_id"] for answer in answers]
        for query, match_id in zip(queries[:CONFIRMED], matches, strict=False):
            ok("judge", match_id, "--confirm", vessel_id(DATASET, query.key))
        ok("judge", matches[-1], "--reject")
        out = tmp_path / "confirmed"
        printed = ok("export-dataset", out)
        again = crossfix("export-dataset", out, "--url", service.url)
    assert f"{CONFIRMED} ships with {3 * CONFIRMED} chips, {CONFIRMED} of them confirmed" in printed
    assert f"{CONFIRMED} of the ships are SIMULATED" in printed
    assert again.returncode == 1
    assert "exists already" in again.stderr

    chips = read_hoss(out).train
    numbers = {vessel_id(DATASET, query.key).node for query in queries[:CONFIRMED]}
    assert {chip.vessel_id for chip in chips} == numbers
    assert {chip.read().modality for chip in chips} == {chip.modality for chip in chips}
    with (out / "rejected.csv").open(newline="") as file:
        assert {row["match_id"] for row in csv.DictReader(file)} == {matches[-1]}
    assert json.loads((out / "dataset.json").read_text())["domain"] == "simulated"
