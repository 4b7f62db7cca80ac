"""Rows of an ablation: order, paired gains, averages over seeds, the size-only floor."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from model_training.cli.tables import ablation_table
from model_training.data.hoss import read_hoss
from model_training.embedding.chip_table import ChipEmbedder, Embeddings, embed_chips
from model_training.evaluation.evaluate import chips_of, evaluate, protocols_of
from model_training.evaluation.metrics import Estimate
from model_training.studies.ablation import AblationError, read_study, run_study
from service.contract.chip import Chip

STUDY = """
data:
  - {name: drawn, root: chips}
variants:
  - {name: baseline, models: [noise-0, noise-1]}
  - {name: + heights, models: [height-0, height-1]}
  - {name: + fusion, models: [height-0], fusion: true}
"""


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    rows = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(rows, np.float32)


def fake_model(path: Path) -> ChipEmbedder:
    """Open `noise-<seed>`, which ignores chips, or `height-<seed>`, which uses a chip's height."""

    def embed(chips: Sequence[Chip]) -> Embeddings:
        if path.name.startswith("noise"):
            rng = np.random.default_rng(int(path.name[-1]))
            return Embeddings(unit(rng.normal(size=(len(chips), 16))))
        heights = np.array([chip.pixels.shape[0] for chip in chips]) / 100.0
        vectors = unit(np.stack([np.cos(heights), np.sin(heights)], axis=1))
        return Embeddings(vectors, vectors)

    return embed


@pytest.fixture
def study_file(tmp_path: Path) -> Path:
    chips = tmp_path / "chips"
    chips.mkdir()
    rng = np.random.default_rng(0)
    for ship in range(12):
        for view, sensor in (("a", "RGB"), ("b", "SAR")):
            shape = (20 + 5 * ship, 10, 3) if sensor == "RGB" else (20 + 5 * ship, 10)
            dtype: Any = np.uint8 if sensor == "RGB" else np.float32
            pixels = rng.integers(1, 255, shape).astype(dtype)
            Image.fromarray(pixels).save(chips / f"{ship:04d}_{view}_{sensor}.tif")
    for name in ("noise-0", "noise-1", "height-0", "height-1"):
        (tmp_path / name).write_bytes(b"")
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    return path


def test_rows_follow_the_variants_with_paired_gains(study_file: Path) -> None:
    rows = run_study(read_study(study_file), fake_model, draws=300)
    assert [(row.protocol, row.variant) for row in rows] == [
        (protocol, variant)
        for protocol in ("O2S", "S2O")
        for variant in ("baseline", "+ heights", "+ fusion", "size only")
    ]
    baseline, heights, fusion, _ = rows[:4]
    assert baseline.gain is None
    assert baseline.models == 2
    assert baseline.spread is not None
    assert baseline.spread > 0
    assert heights.result.mean_ap.value == 100
    assert heights.gain is not None
    assert heights.gain.value == pytest.approx(100 - baseline.result.mean_ap.value)
    assert heights.gain.ends[0] > 0
    # the same model fused with itself gains exactly nothing in every paired draw
    assert fusion.gain == Estimate(0, 0, 0)
    assert fusion.spread is None


def test_seeds_are_averaged_per_query(study_file: Path) -> None:
    study = read_study(study_file)
    both = run_study(study, fake_model, draws=100)[0]
    alone = [
        run_study(
            study.model_copy(
                update={"variants": (study.variants[0].model_copy(update={"models": (model,)}),)}
            ),
            fake_model,
            draws=100,
        )[0].result.mean_ap.value
        for model in study.variants[0].models
    ]
    assert both.result.mean_ap.value == pytest.approx(np.mean(alone))
    assert both.spread == pytest.approx(np.std(alone, ddof=1))


def test_the_size_only_floor_equals_that_of_evaluate_in_rows_and_table(study_file: Path) -> None:
    rows = run_study(read_study(study_file), fake_model, draws=100)
    splits = protocols_of(read_hoss(study_file.parent / "chips"))
    table = embed_chips(chips_of(splits), fake_model(Path("noise-0")))
    evaluated = evaluate(splits, table, draws=100).protocols
    floors = {row.protocol: row for row in rows if row.is_floor}
    assert {name: row.result for name, row in floors.items()} == {
        name: numbers.size_only for name, numbers in evaluated.items()
    }
    # a chip's height is the ship's length, so sizes find every ship and noise does not
    assert floors["O2S"].result.mean_ap.value > rows[0].result.mean_ap.value
    assert all(row.gain is None and row.spread is None for row in floors.values())
    shown = ablation_table(rows)
    assert list(shown.columns[2].cells).count("size only") == len(floors)
    assert list(shown.columns[3].cells)[:4] == ["2", "2", "1", ""]


def test_every_row_has_a_json_document(study_file: Path) -> None:
    results = run_study(read_study(study_file), fake_model, draws=100)
    rows = [row.document() for row in results]
    assert len(rows) == 8
    assert [row["models"] for row in rows] == 2 * [2, 2, 1, 0]
    assert rows[1]["gain"]["value"] > 0
    assert rows[1]["mAP"]["value"] == 100


def test_fusion_of_a_model_without_fusion_is_refused(study_file: Path) -> None:
    study_file.write_text(STUDY.replace("models: [height-0], f", "models: [noise-0], f"))
    with pytest.raises(AblationError, match="no fusion"):
        run_study(read_study(study_file), fake_model)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (STUDY.replace("height-1", "lost-1"), "lost-1"),
        (STUDY + "\nmore: 1\n", "more"),
        ("data: [", "study.yaml"),
        ("data: []\nvariants: []", "at least 1"),
    ],
)
def test_an_unusable_study_is_refused_with_the_reason(
    study_file: Path, text: str, reason: str
) -> None:
    study_file.write_text(text)
    with pytest.raises(AblationError, match=reason):
        read_study(study_file)
