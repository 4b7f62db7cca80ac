"""What a translator imagines, as a picture sheet and a table of steps, K and quality.

python -m model_training.translator.report CHECKPOINT --out docs/translator.jpg
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from model_training.data.cache import PictureStore, shard_numbers
from model_training.translator.dataset import PairedViews, signed, views_of_store
from model_training.translator.diffusion import sample_many
from model_training.translator.study import (
    SamplerQuality,
    half_turned,
    one_view_each,
    pixel_features,
    reference_auc,
    study_sampler,
)
from model_training.translator.train import LoadedTranslator, load_translator, validation_views

GAP, CAPTION = 8, 14
QUALITY = 85


def picture_sheet(
    optical: NDArray[np.uint8],
    pseudo_sar: NDArray[np.uint8],
    sar: NDArray[np.uint8],
    per_row: int = 4,
    scale: int = 2,
) -> Image.Image:
    """Optical | K pseudo-SAR samples | true SAR, one group per vessel.

    Args:
        optical: uint8 `[V, h, w, 3]`.
        pseudo_sar: uint8 `[V, K, h, w]`.
        sar: uint8 `[V, h, w]`.
        per_row: vessels per row of the sheet.
        scale: screen pixels per picture pixel.
    """
    count, samples, height, width = pseudo_sar.shape
    group = (samples + 2) * (width * scale + 2) + GAP
    row_height = height * scale + CAPTION + GAP
    rows = -(-count // per_row)
    sheet = Image.new("RGB", (group * min(per_row, count) + GAP, row_height * rows + GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for vessel in range(count):
        left = GAP + group * (vessel % per_row)
        top = GAP + row_height * (vessel // per_row)
        pictures = [optical[vessel], *pseudo_sar[vessel], sar[vessel]]
        captions = ["optical", "pseudo-SAR", *[""] * (samples - 1), "true SAR"]
        for place, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
            x = left + place * (width * scale + 2)
            pen.text((x, top), caption, fill="black")
            image = Image.fromarray(picture).convert("RGB")
            size = (width * scale, height * scale)
            sheet.paste(image.resize(size, Image.Resampling.NEAREST), (x, top + CAPTION))
    return sheet


def sheet_of(
    translator: LoadedTranslator, views: PairedViews, vessels: int, samples: int
) -> Image.Image:
    """The sheet of the first vessels of some views, with the recommended sampler.

    A SAR view is turned by 180 degrees where it then agrees better with the pseudo-SAR, because the
    two sensors may have seen the ship with its bow on different sides.
    """
    optical, sar = (pictures[:vessels] for pictures in one_view_each(views))
    conditions = torch.from_numpy(signed(optical))
    table = translator.config.bridge.table()
    pseudo = sample_many(translator.module, conditions, table, 0, samples)
    imagined = pixel_features(pseudo.mean(axis=1))
    turned = half_turned(sar)
    as_is, other = ((imagined * pixel_features(true)).sum(axis=1) for true in (sar, turned))
    return picture_sheet(optical, pseudo, np.where((other > as_is)[:, None, None], turned, sar))


def quality_table(rows: Sequence[SamplerQuality]) -> str:
    """Markdown."""
    lines = ["| steps | K | L1, grey levels | pair AUC | ms per chip |", "|---|---|---|---|---|"]
    lines += [
        f"| {row.steps} | {row.samples} | {row.l1:.1f} | {row.pair_auc:.3f} "
        f"| {row.milliseconds:.0f} |"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> None:
    """Write the sheet and print the table, on the run's own validation vessels or on a store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="picture to write (.jpg or .png)")
    parser.add_argument("--store", type=Path, help="chips of vessels that were not trained on")
    parser.add_argument("--vessels", type=int, default=8, help="vessels on the sheet")
    parser.add_argument("--measured", type=int, default=64, help="vessels of the table")
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--samples", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--eta", type=float, help="of the sampler, 0 to 1; default: as taught")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    translator = load_translator(given.checkpoint)
    if given.store is None:
        views = validation_views(translator.config)
    else:
        store = PictureStore(given.store, shard_numbers(given.store))
        views = views_of_store(store, translator.height, translator.width)
    sheet_of(translator, views, given.vessels, samples=3).save(given.out, quality=QUALITY)
    views = views.only(views.vessels[: given.measured])
    bridge = translator.config.bridge
    if given.eta is not None:
        bridge = bridge.model_copy(update={"eta": given.eta})
    rows = study_sampler(translator.module, bridge, views, given.steps, given.samples)
    floor, best = reference_auc(views)
    print(f"{len(views.vessels)} vessels that were not trained on")
    print(f"pair AUC of the optical luminance itself: {floor:.3f}")
    print(f"pair AUC of another SAR view: {'no second view' if best is None else f'{best:.3f}'}")
    print(quality_table(rows))


if __name__ == "__main__":
    main()
