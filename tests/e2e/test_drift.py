"""Metrics of live similarities, and of those that a bundle expects from its calibration."""

from pathlib import Path

import httpx
import pytest

from export.bundle_folder import write_bundle
from service.contract.bundle import open_bundle
from service.contract.similarity import SIMILARITY_EDGES, count_similarities
from service.contract.weighing.specs import SimilarityCounts, SimilaritySpec
from service.settings import SHIPPED_BUNDLE
from tests.support.inputs.chips import optical_png, sar_tiff
from tests.support.processes.service_process import running_service

SIMILARITIES = SimilaritySpec(
    edges=SIMILARITY_EDGES,
    searches=(
        SimilarityCounts(
            query="sar",
            gallery="optical",
            gallery_vessels=10,
            enrolled=count_similarities([0.94] * 10),
            not_enrolled=count_similarities([0.72] * 4),
        ),
    ),
)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    shipped = open_bundle(SHIPPED_BUNDLE)
    calibration = shipped.manifest.calibration.model_copy(update={"similarities": SIMILARITIES})
    manifest = shipped.manifest.model_dump(exclude={"files"}) | {"calibration": calibration}
    files = {name: shipped.path / name for name in shipped.manifest.files}
    return write_bundle(tmp_path / "bundle", manifest, files).path


def sample(api: httpx.Client, name: str) -> float | None:
    lines = [line for line in api.get("/metrics").text.splitlines() if line.startswith(name)]
    return float(lines[0].split()[-1]) if lines else None


def test_live_and_expected_similarities_are_exposed(bundle: Path, tmp_path: Path) -> None:
    pair = 'gallery="optical"'
    live = f'crossfix_top_similarity_count{{{pair},query="sar"}}'
    expected = f'crossfix_expected_similarity{{enrolled="0.75",{pair},le="0.75",query="sar"}}'
    with running_service(tmp_path / "home", bundle) as service, service.client() as api:
        api.post("/gallery", data={"vessel": '{"name": "A"}'}, files={"chips": optical_png(1)})
        assert sample(api, live) is None
        api.post("/match", files={"chip": sar_tiff(1)}, data={"modality": "sar"})
        assert sample(api, live) == 1
        assert sample(api, expected) == 0.25
        api.post("/match", files={"chip": sar_tiff(1)}, data={"vessel_type": "tanker"})
        assert sample(api, live) == 1
