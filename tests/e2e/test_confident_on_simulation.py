"""`CROSSFIX_CONFIDENT_ON_SIMULATION`, from the environment to the verdict of an answer."""

from pathlib import Path

import pytest

from tests.support.api_requests import enrol
from tests.support.inputs.chips import optical_png
from tests.support.processes.service_process import running_service
from tests.support.training.tiny_bundle import write_tiny_bundle

CONFIDENT_FROM_HALF = {
    "match": {"weights": {}, "none_bias": -3.0, "none_log_gallery": 0.0},
    "match_same_sensor": {"weights": {}, "none_bias": -3.0, "none_log_gallery": 0.0},
    "verify": {"weights": {}, "bias": 0.0},
    "confident": [
        {"gallery_vessels": 10, "threshold": 0.5, "right": 1, "right_low": 1, "answers": 9}
    ],
    "confident_from": 0.5,
    "fitted_on": "nothing",
}


@pytest.mark.parametrize(
    ("allowed", "real_share", "verdict"),
    [(None, 0.0, "likely"), ("true", 0.0, "confident"), (None, 0.2, "confident")],
)
def test_simulation_alone_is_confident_only_if_the_operator_allows_it(
    allowed: str | None, real_share: float, verdict: str, tmp_path: Path
) -> None:
    calibration = CONFIDENT_FROM_HALF | {"real_share": real_share}
    bundle = write_tiny_bundle(tmp_path, translator=False, changes={"calibration": calibration})
    settings = {} if allowed is None else {"CROSSFIX_CONFIDENT_ON_SIMULATION": allowed}
    with (
        running_service(tmp_path / "service", bundle.path, settings) as service,
        service.client() as client,
    ):
        enrolled = enrol(client, 1, name="ONE")
        assert enrolled.status_code == 201, enrolled.text
        answer = client.post("/match", files={"chip": ("b.png", optical_png(2))})
        assert answer.status_code == 200, answer.text
        assert answer.json()["verdict"] == verdict
        withheld = "calibrated on simulated ships alone" in answer.json()["explanation"]["text"]
        assert withheld == (verdict == "likely")
