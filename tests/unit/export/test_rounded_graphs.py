"""Rounded graphs: kept when as good and faster, otherwise left out with a reason."""

from pathlib import Path

import numpy as np
import pytest
from torch import nn

import export.rounded_graphs
from export.parity import Tensors
from export.rounded_graphs import (
    MAX_MAP_LOSS,
    MIN_COSINE,
    FullGraph,
    RoundedGraphs,
    ValidationShips,
    encoder_tensors,
    map_change,
    round_graphs,
    times_faster,
)
from export.sample_chips import SampleChip
from model_training.data.hoss import DatasetError, LabelledChip
from model_training.embedding.chip_table import ChipTable, Embeddings
from service.contract.chip import Modality
from service.contract.manifest import EncoderSpec, GraphSpec, PreprocessSpec
from tests.support.training.tiny_models import EMBEDDING_WIDTH, HEIGHT, WIDTH

SPEC = PreprocessSpec(height=HEIGHT, width=WIDTH)


@pytest.fixture
def ships(chips: list[SampleChip], tmp_path: Path) -> ValidationShips:
    """Write four ships with a chip of each sensor."""
    folder = tmp_path / "ships"
    folder.mkdir()
    for chip in chips:
        (folder / chip.name).write_bytes(chip.data)
    return ValidationShips.read(folder)


@pytest.fixture
def full(
    encoder: nn.Module, exported: tuple[Path, GraphSpec], chips: list[SampleChip], tmp_path: Path
) -> FullGraph:
    path = tmp_path / "encoder.onnx"
    path.write_bytes(exported[0].read_bytes())
    spec = EncoderSpec(graph=exported[1], embedding_width=EMBEDDING_WIDTH)
    return FullGraph(
        encoder, path, spec, SPEC, encoder_tensors([chip.decode() for chip in chips], SPEC)
    )


@pytest.fixture(autouse=True)
def fast_and_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each graph pass the gates of speed and retrieval, which noise on a tiny model fails."""
    monkeypatch.setattr(export.rounded_graphs, "times_faster", lambda *_: 2.0)
    monkeypatch.setattr(export.rounded_graphs, "map_change", lambda *_: {"S2O": -0.1, "O2S": 0.2})


def left_out(full: FullGraph, rounded: RoundedGraphs) -> str:
    """Return why int8 is left out; check that nothing of it stays."""
    assert rounded.specs == ()
    assert rounded.parity == {}
    assert [path.name for path in full.path.parent.glob("*.onnx")] == ["encoder.onnx"]
    return rounded.sentences[0]


def test_a_graph_that_is_as_good_and_faster_is_kept(
    full: FullGraph, ships: ValidationShips
) -> None:
    rounded = round_graphs(full, ships)
    (spec,) = rounded.specs
    assert (spec.device, spec.precision, spec.file) == ("cpu", "int8", "encoder-int8.onnx")
    assert (spec.times_faster, spec.map_change) == (2.0, {"S2O": -0.1, "O2S": 0.2})
    assert spec.measured_on == "ships: 4 ships, 8 chips"
    assert rounded.parity[spec.file].smallest_cosine >= spec.min_cosine == MIN_COSINE["int8"]
    assert (full.path.parent / spec.file).stat().st_size > 0
    assert rounded.sentences[0] == (
        "int8 for cpu is shipped: 2.0 times faster, change of mAP S2O -0.10, O2S +0.20 points "
        "(ships: 4 ships, 8 chips)"
    )


def test_a_device_that_is_missing_gets_no_rounded_graph(
    full: FullGraph, ships: ValidationShips, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "service.inference.session.ort.get_available_providers", lambda: ["CPUExecutionProvider"]
    )
    rounded = round_graphs(full, ships)
    assert rounded.sentences[1] == (
        "float16 for cuda is not shipped: there is no cuda here to measure it on"
    )


def test_a_graph_that_differs_too_much_is_left_out(
    full: FullGraph, ships: ValidationShips, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MIN_COSINE, "int8", 0.9999999)
    reason = left_out(full, round_graphs(full, ships))
    assert reason.startswith("int8 for cpu is not shipped: encoder-int8.onnx differs")


def test_a_graph_that_is_hardly_faster_is_left_out(
    full: FullGraph, ships: ValidationShips, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export.rounded_graphs, "times_faster", lambda *_: 1.02)
    assert left_out(full, round_graphs(full, ships)) == (
        "int8 for cpu is not shipped: it is 1.02 times as fast as float32, at least 1.1 is needed"
    )


def test_a_graph_that_loses_retrieval_in_one_direction_is_left_out(
    full: FullGraph, ships: ValidationShips, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss = {"S2O": 0.5, "O2S": -MAX_MAP_LOSS - 0.01}
    monkeypatch.setattr(export.rounded_graphs, "map_change", lambda *_: loss)
    assert "mAP O2S changes by -0.31 points" in left_out(full, round_graphs(full, ships))


def test_the_change_of_map_counts_queries_of_known_ships() -> None:
    def table(vectors: list[list[float]]) -> ChipTable:
        chips = tuple(
            LabelledChip(vessel_id=vessel, modality=modality, path=Path(name))
            for vessel, modality, name in (
                (1, Modality.SAR, "1_SAR.tif"),
                (1, Modality.OPTICAL, "1_RGB.tif"),
                (2, Modality.SAR, "2_SAR.tif"),
                (2, Modality.OPTICAL, "2_RGB.tif"),
                (-1, Modality.OPTICAL, "-1_RGB.tif"),
            )
        )
        return ChipTable(chips, Embeddings(np.array(vectors, np.float32)), np.ones((len(chips), 2)))

    right = table([[1, 0], [1, 0], [0, 1], [0, 1], [-1, 0]])
    # the first ship's SAR chip is nearest to the distractor, then to the other ship
    wrong = table([[-1, 0], [1, 0], [0, 1], [0, 1], [-1, 0]])
    assert map_change(right, right) == {"S2O": 0.0, "O2S": 0.0}
    # S2O: the average precision of one of two queries falls from 1 to 1/3; O2S: from 1 to 1/2
    assert map_change(right, wrong) == {"S2O": -33.333, "O2S": -25.0}


def test_the_smaller_of_the_ratios_of_both_batches_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("export.rounded_graphs.time.process_time", lambda: now)

    class Timed:
        """Takes so many seconds for batches of one and of eight."""

        device = "cpu"

        def __init__(self, one: float, eight: float) -> None:
            self.seconds = {1: one, 8: eight}

        def run(self, feeds: Tensors) -> None:
            nonlocal now
            now += self.seconds[len(feeds["pixels"])]

    inputs = {"pixels": np.zeros((8, 1), np.float32)}
    slow, fast = Timed(2.0, 12.0), Timed(1.0, 3.0)
    assert times_faster(slow, fast, inputs) == 2.0  # type: ignore[arg-type]
    assert times_faster(fast, slow, inputs) == 0.25  # type: ignore[arg-type]


def test_a_folder_without_known_ships_is_refused(chips: list[SampleChip], tmp_path: Path) -> None:
    (tmp_path / "-1_a_RGB.tif").write_bytes(chips[0].data)
    with pytest.raises(DatasetError, match="no chips of known ships"):
        ValidationShips.read(tmp_path)
