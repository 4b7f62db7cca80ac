"""Open what shall be measured: a bundle, or a training checkpoint."""

from pathlib import Path

from model_training.embedding.chip_table import ChipEmbedder


class ModelError(Exception):
    """There is no usable model where one was named."""


def open_model(path: Path, threads: int = 0) -> ChipEmbedder:
    """An embedder for a bundle (a folder) or an encoder checkpoint (a file).

    Args:
        path: the bundle's folder or the checkpoint's file.
        threads: CPU threads; 0 takes all cores.

    Raises:
        ModelError: there is nothing at `path`, or the file is no encoder checkpoint.
        BundleError: the bundle does not check out.
    """
    if path.is_dir():
        from model_training.embedding.bundle_embedder import BundleEmbedder

        return BundleEmbedder(path, threads)
    if not path.is_file():
        raise ModelError(f"{path} does not exist; give a bundle's folder or an encoder checkpoint")
    # torch is loaded only where a checkpoint is read
    from model_training.embedding.checkpoint_embedder import CheckpointEmbedder
    from model_training.encoder.loading import EncoderLoadError

    try:
        return CheckpointEmbedder(path, threads)
    except EncoderLoadError as error:
        raise ModelError(str(error)) from error
