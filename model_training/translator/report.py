"""Show a translator's pictures as a sheet, and its quality by steps and K as a table."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from model_training.translator import study
from model_training.translator.dataset import PairedViews, signed
from model_training.translator.diffusion import sample_many
from model_training.translator.train import LoadedTranslator
from service.contract.translation import brightened

SHEET_SCALE = 2  # screen pixels per picture pixel
GAP, CAPTION = 8, 14  # pixels between groups, and for a line of text
SHEET_QUALITY = 85  # JPEG quality


def picture_sheet(
    optical: NDArray[np.uint8],
    pseudo_sar: NDArray[np.uint8],
    sar: NDArray[np.uint8],
    per_row: int = 4,
) -> Image.Image:
    """Draw optical | K pseudo-SAR samples | true SAR, one group per vessel.

    Args:
        optical: uint8 `[V, h, w, 3]`.
        pseudo_sar: uint8 `[V, K, h, w]`.
        sar: uint8 `[V, h, w]`.
    """
    count, samples, height, width = pseudo_sar.shape
    group = (samples + 2) * (width * SHEET_SCALE + 2) + GAP
    row_height = height * SHEET_SCALE + CAPTION + GAP
    rows = -(-count // per_row)
    sheet = Image.new("RGB", (group * min(per_row, count) + GAP, row_height * rows + GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for vessel in range(count):
        left = GAP + group * (vessel % per_row)
        top = GAP + row_height * (vessel // per_row)
        pictures = [optical[vessel], *pseudo_sar[vessel], sar[vessel]]
        captions = ["optical", "pseudo-SAR", *[""] * (samples - 1), "true SAR"]
        for place, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
            x = left + place * (width * SHEET_SCALE + 2)
            pen.text((x, top), caption, fill="black")
            image = Image.fromarray(picture).convert("RGB")
            size = (width * SHEET_SCALE, height * SHEET_SCALE)
            sheet.paste(image.resize(size, Image.Resampling.NEAREST), (x, top + CAPTION))
    return sheet


def sheet_of(translator: LoadedTranslator, views: PairedViews, vessels: int) -> Image.Image:
    """Draw the first vessels of some views, sampled as the translator was trained.

    Each has three samples, or one if the sampler takes one step: samples of one step are equal.

    A SAR view is turned by 180 degrees if it then agrees better with the pseudo-SAR, because the
    two sensors may have seen the ship with its bow on different sides.
    """
    optical, sar = (pictures[:vessels] for pictures in study.one_view_each(views))
    conditions = torch.from_numpy(signed(optical))
    samples = 1 if translator.config.bridge.steps == 1 else 3
    pseudo = sample_many(translator.module, conditions, translator.table(), 0, samples)
    predicted = study.pixel_features(pseudo.mean(axis=1))  # [V, K, h, w] -> [V, h w]
    turned = study.half_turned(sar)
    upright_fit, turned_fit = (
        (predicted * study.pixel_features(true)).sum(axis=1) for true in (sar, turned)
    )
    better = np.where((turned_fit > upright_fit)[:, None, None], turned, sar)
    return picture_sheet(optical, np.stack([brightened(one) for one in pseudo]), better)


def quality_table(rows: Sequence[study.SamplerQuality]) -> str:
    """Format a Markdown table with a row per setting."""
    lines = ["| steps | K | L1, grey levels | pair AUC | ms per chip |", "|---|---|---|---|---|"]
    lines += [
        f"| {row.steps} | {row.samples} | {row.l1:.1f} | {row.pair_auc:.3f} "
        f"| {row.milliseconds:.0f} |"
        for row in rows
    ]
    return "\n".join(lines)


def quality_report(
    translator: LoadedTranslator,
    views: PairedViews,
    steps: Sequence[int],
    samples: Sequence[int],
    eta: float | None = None,
) -> str:
    """Measure a translator; return the table, with what bounds `pair_auc` from below and above.

    Args:
        views: vessels that were not trained on, at least two.
        samples: values of K.
        eta: noise of the sampler, 0 to 1; None takes that of the training.
    """
    bridge = translator.config.bridge
    if eta is not None:
        bridge = bridge.model_copy(update={"eta": eta})
    rows = study.study_sampler(translator.module, bridge, views, steps, samples)
    floor, best = study.reference_auc(views)
    return "\n".join(
        [
            f"{len(views.vessels)} vessels that were not trained on",
            f"pair AUC of the optical luminance itself: {floor:.3f}",
            f"pair AUC of another SAR view: {'no second view' if best is None else f'{best:.3f}'}",
            quality_table(rows),
        ]
    )
