"""The picture sheet and the tables of `crossfix-train translator-report`."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_training.encoder.train_config import SimulatedData
from model_training.training.config import RunConfig
from model_training.translator.dataset import PairedViews
from model_training.translator.diffusion import BridgeConfig
from model_training.translator.report import picture_sheet, quality_report, quality_table, sheet_of
from model_training.translator.study import SamplerQuality
from model_training.translator.train import LoadedTranslator, TranslatorConfig
from model_training.translator.unet import BridgeUNet, UNetConfig

SMALL = UNetConfig(height=32, width=16, widths=(16, 32), heads=2)
LEFT, TOP, STEP = 8, 8 + 14, 2 * 16 + 2  # gap; gap and caption; one picture and its gap


def place(sheet: NDArray[np.uint8], picture: int) -> NDArray[np.uint8]:
    """Return the n-th picture of the first vessel, at its own size."""
    left = LEFT + picture * STEP
    return sheet[TOP : TOP + 64 : 2, left : left + 32 : 2]


def untrained() -> LoadedTranslator:
    """Return a translator whose pseudo-SAR is the luminance, because its head starts at zero."""
    config = TranslatorConfig(
        run=RunConfig(out=Path("unused"), steps=1),
        unet=SMALL,
        bridge=BridgeConfig(steps=1),
        data=SimulatedData(
            kind="simulated", folder=Path("unused"), seed=0, validation_seed=1, vessels=100
        ),
    )
    return LoadedTranslator(BridgeUNet(SMALL).eval(), config, {})


def test_a_sheet_holds_optical_samples_and_truth_in_order() -> None:
    rng = np.random.default_rng(0)
    optical = rng.integers(0, 256, (5, 32, 16, 3), dtype=np.uint8)
    pseudo = rng.integers(0, 256, (5, 3, 32, 16), dtype=np.uint8)
    sar = rng.integers(0, 256, (5, 32, 16), dtype=np.uint8)
    sheet = np.asarray(picture_sheet(optical, pseudo, sar, per_row=2))
    assert sheet.shape == (3 * (64 + 14 + 8) + 8, 2 * (5 * STEP + 8) + 8, 3)
    assert np.array_equal(place(sheet, 0), optical[0])
    assert np.array_equal(place(sheet, 2)[..., 0], pseudo[0, 1])
    assert np.array_equal(place(sheet, 4)[..., 0], sar[0])


def test_the_true_sar_is_turned_where_it_then_agrees_with_the_pseudo_sar(
    views: PairedViews,
) -> None:
    """Luminance is dark where SAR is bright, so the turned view agrees better."""
    sheet = np.asarray(sheet_of(untrained(), views, vessels=2))
    first = views.sar[0, ..., 0]
    assert np.array_equal(place(sheet, 0), views.optical[0])
    assert np.array_equal(place(sheet, 2)[..., 0], first[::-1, ::-1])


def test_the_report_bounds_pair_auc_and_has_a_row_per_setting(views: PairedViews) -> None:
    lines = quality_report(untrained(), views, steps=[1, 2], samples=[1], eta=0.0).splitlines()
    assert lines[0] == "12 vessels that were not trained on"
    assert lines[1].startswith("pair AUC of the optical luminance itself: 0.")
    assert lines[2].startswith("pair AUC of another SAR view: ")
    assert [line.split(" | ")[0] for line in lines[5:]] == ["| 1", "| 2"]


def test_the_table_has_a_row_per_setting() -> None:
    lines = quality_table([SamplerQuality(4, 5, 12.34, 0.8765, 98.7)]).splitlines()
    assert lines[-1] == "| 4 | 5 | 12.3 | 0.876 | 99 |"
    assert len(lines) == 3
