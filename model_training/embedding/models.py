"""Open the model to measure: a bundle, or training checkpoints."""

from pathlib import Path

from model_training.embedding.chip_table import ChipEmbedder


class ModelError(Exception):
    """The named path holds no usable model."""


def open_model(*paths: Path, threads: int = 0) -> ChipEmbedder:
    """Open an embedder for a bundle (a folder) or for encoder checkpoints (files).

    Args:
        paths: one bundle's folder, one checkpoint's file, or several files whose encoders are
            used as one.
        threads: CPU threads; 0 takes all cores.

    Raises:
        ModelError: no path is given, a path does not exist, several are given and one is a folder,
            a file is no encoder checkpoint, or the encoders take different inputs.
        BundleError: the bundle is invalid.
    """
    if len(paths) == 1 and paths[0].is_dir():
        from model_training.embedding.bundle_embedder import BundleEmbedder

        return BundleEmbedder(paths[0], threads)
    if not paths:
        raise ModelError("name a bundle's folder or an encoder checkpoint")
    for path in paths:
        if path.is_dir():
            raise ModelError(f"{path} is a folder; only checkpoints can be used together")
        if not path.is_file():
            raise ModelError(
                f"{path} does not exist; give a bundle's folder or an encoder checkpoint"
            )
    # imported here, so that a bundle is opened without loading torch
    from model_training.embedding.checkpoint_embedder import CheckpointEmbedder
    from model_training.encoder.loading import EncoderLoadError

    try:
        return CheckpointEmbedder(paths, threads)
    except EncoderLoadError as error:
        raise ModelError(str(error)) from error
