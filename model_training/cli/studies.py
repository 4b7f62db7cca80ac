"""`crossfix-train fusion-study` and `translator-report`: measure what a translator is worth."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from model_training.cli.common import TorchThreadsOption, exit_on_error, run_errors, write_json

if TYPE_CHECKING:
    from model_training.data.holdout import HeldOutPart
    from model_training.encoder.train_config import EncoderTrainConfig


def fusion_study(
    encoder: Annotated[
        list[Path], typer.Argument(help="Encoder checkpoints; several are used as one.")
    ],
    translator: Annotated[Path, typer.Argument(help="Checkpoint of the translator.")],
    alpha: Annotated[
        list[float] | None,
        typer.Option(
            help="A weight of the pseudo-SAR mean to try; may be given several times.",
            show_default="0.02, 0.05, 0.1, 0.2, 0.35, 0.5",
        ),
    ] = None,
    samples: Annotated[
        list[int] | None,
        typer.Option(
            help="A K, pseudo-SAR pictures per chip, to try; may be given several times.",
            show_default="1, 5",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(help="Translator calls per picture.", min=1, show_default="as trained"),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder in HOSS layout, of ships that no run was trained on.",
            show_default="ships that the first encoder's run held out",
        ),
    ] = None,
    threads: TorchThreadsOption = 2,
    out: Annotated[
        Path | None, typer.Option(help="Write the sweep and the choice there too (JSON).")
    ] = None,
) -> None:
    """Choose how strongly to fuse pseudo-SAR, or not at all, on validation ships.

    Of HOSS a third of the held-out ships is used where there are enough, so that others choose the
    checkpoint and calibrate. The other encoders and the translator must be trained on the same
    data, so that they have not seen these ships either.
    """
    import torch

    from model_training.data.folder_store import folder_store
    from model_training.data.holdout import HeldOutPart
    from model_training.encoder.loading import load_encoders
    from model_training.encoder.stores import open_stores
    from model_training.fusion.selection import ALPHAS, choose_fusion, require_sweep
    from model_training.fusion.study import as_markdown, validation_features
    from model_training.translator.train import load_translator

    alphas, sample_counts = alpha or ALPHAS, samples or (1, 5)
    torch.set_num_threads(threads)
    with ExitStack() as opened:
        with exit_on_error(ValueError, *run_errors()):
            require_sweep(alphas, sample_counts)
            encoders, bridge = load_encoders(encoder), load_translator(translator)
            if data is not None:
                store = opened.enter_context(folder_store(data, encoders.preprocess))
                ships = HeldOutPart(frozenset(store.vessels.tolist()), f"the ships of {data}")
            else:
                training = encoders.members[0].training
                store = open_stores(training.data, encoders.preprocess).validation
                ships = _fusion_ships(training, store.vessels.tolist())
        print(
            f"{len(ships.vessels)} validation ships, encoders: {len(encoders.members)}, "
            f"translator steps: {steps or bridge.config.bridge.steps}\n{ships.note}\n",
            flush=True,
        )
        features = validation_features(
            *(encoders.module, encoders.preprocess, bridge, store, max(sample_counts), steps),
            among=ships.vessels,
        )
    choice = choose_fusion(features, alphas, sample_counts)
    print(as_markdown(choice))
    if out is not None:
        write_json(out, choice.document())


def _fusion_ships(training: "EncoderTrainConfig", validation: list[int]) -> "HeldOutPart":
    """Choose the ships that select the fusion; of a fleet all validation ships."""
    from model_training.data.holdout import HeldOutPart, held_out_part
    from model_training.encoder.train_config import ArchiveData, HossData

    if isinstance(training.data, HossData | ArchiveData):
        return held_out_part(validation, "fusion", training.data.split_seed)
    if training.run.select_by is None:
        note = "the run chose no checkpoint on these ships"
    else:
        note = "the same ships chose the checkpoint (run.select_by)"
    return HeldOutPart(frozenset(validation), note)


def translator_report(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint of the translator.")],
    out: Annotated[Path, typer.Option(help="Picture sheet to write (.jpg or .png).")],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder in HOSS layout, of ships that were not trained on.",
            show_default="the run's validation ships",
        ),
    ] = None,
    vessels: Annotated[int, typer.Option(help="Ships on the sheet.", min=1)] = 8,
    measured: Annotated[int, typer.Option(help="Ships measured for the table.", min=2)] = 64,
    steps: Annotated[
        list[int] | None,
        typer.Option(
            help="Translator calls per picture; may be given several times.",
            show_default="1, 2, 4, 8",
        ),
    ] = None,
    samples: Annotated[
        list[int] | None,
        typer.Option(
            help="K, pseudo-SAR pictures per chip; may be given several times.", show_default="1, 5"
        ),
    ] = None,
    eta: Annotated[
        float | None,
        typer.Option(help="Noise of the sampler.", min=0, max=1, show_default="as trained"),
    ] = None,
    threads: TorchThreadsOption = 2,
) -> None:
    """Draw pseudo-SAR beside true SAR, and print quality and time by steps and K."""
    import torch

    from model_training.translator.dataset import views_of_folder
    from model_training.translator.report import SHEET_QUALITY, quality_report, sheet_of
    from model_training.translator.train import SPEC, load_translator, validation_views

    torch.set_num_threads(threads)
    with exit_on_error(ValueError, *run_errors()):
        translator = load_translator(checkpoint)
        if data is None:
            views = validation_views(translator.config)
        else:
            views = views_of_folder(data, SPEC, translator.height, translator.width)
        sheet_of(translator, views, vessels).save(out, quality=SHEET_QUALITY)
        views = views.only(views.vessels[:measured])
        print(quality_report(translator, views, steps or (1, 2, 4, 8), samples or (1, 5), eta))
