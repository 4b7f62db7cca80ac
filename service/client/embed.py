"""Embed chip files without a service, into the vectors that a service would compare."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.client.errors import SourceError
from service.client.files import read_chip_file, written_whole
from service.contract.batches import in_batches
from service.contract.chip import Chip, Modality
from service.contract.decoding.decode import decode_chip
from service.contract.embedding import BatchEmbedder
from service.contract.errors import ChipError
from service.contract.framing.apply import frame
from service.contract.framing.records import FramingMode
from service.contract.hoss_names import read_hoss_name

BATCH_SIZE = 16


@dataclass(frozen=True, slots=True)
class EmbeddedFiles:
    """Embedded files, in the order of the given paths.

    Attributes:
        names: file names without folders.
        vectors: float32 `[N, D]`, unit length, fused where the bundle fuses.
        modalities: `optical` or `sar`.
        refused: files that could not be used, with the reason.
        warned: what was assumed or changed while reading, with the files of which it holds.
    """

    names: tuple[str, ...]
    vectors: NDArray[np.float32]
    modalities: tuple[Modality, ...]
    refused: tuple[tuple[Path, str], ...]
    warned: Mapping[str, Sequence[Path]]


def embed_files(
    embedder: BatchEmbedder,
    paths: Sequence[Path],
    *,
    modality: Modality | None = None,
    gsd_m: float | None = None,
    framing: FramingMode = FramingMode.AUTO,
    advance: Callable[[int], None] = lambda _: None,
) -> EmbeddedFiles:
    """Decode and embed chip files; list those that cannot be used in `refused`.

    Args:
        modality: of all files; None: as in a HOSS file name, else in the file itself.
        gsd_m: metres per pixel of all files; None: the GeoTIFF's, else the modality's default.
        framing: of all files, as in `POST /match`.
    """
    names: list[str] = []
    modalities: list[Modality] = []
    refused: list[tuple[Path, str]] = []
    warned: dict[str, list[Path]] = {}
    vectors: list[NDArray[np.float32]] = [np.empty((0, embedder.width), dtype=np.float32)]
    for files in in_batches(paths, BATCH_SIZE):
        batch: list[Chip] = []
        for path in files:
            try:
                chip = _decode(path, modality, gsd_m, framing)
            except (ChipError, SourceError) as error:
                refused.append((path, str(error)))
                continue
            names.append(path.name)
            modalities.append(chip.modality)
            batch.append(chip)
            for warning in chip.warnings:
                warned.setdefault(warning, []).append(path)
        if batch:
            vectors.append(np.stack([chip.vector for chip in embedder.embed_many(batch)]))  # [n, D]
        advance(len(files))
    return EmbeddedFiles(
        tuple(names), np.concatenate(vectors), tuple(modalities), tuple(refused), warned
    )


def write_embeddings(embedded: EmbeddedFiles, out: Path) -> None:
    """Write arrays `names`, `embeddings` and `modalities` into one NPZ file atomically.

    Raises:
        SourceError: no chip could be embedded, or the file cannot be written.
    """
    if not embedded.names:
        raise SourceError(f"no chip could be used, {out} was not written")
    with written_whole(out) as temporary, temporary.open("wb") as stream:
        np.savez(
            stream,
            names=np.array(embedded.names, dtype=np.str_),
            embeddings=embedded.vectors,
            modalities=np.array([m.value for m in embedded.modalities], dtype=np.str_),
        )


def _decode(
    path: Path, modality: Modality | None, gsd_m: float | None, framing: FramingMode
) -> Chip:
    name = read_hoss_name(path.name)
    if modality is None and name is not None:
        modality = name.modality
    chip = decode_chip(read_chip_file(path), modality=modality, gsd_m=gsd_m)
    return frame(chip, framing).chip
