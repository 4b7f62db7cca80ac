"""Embedding chip files without a service: the vectors that a service would compare."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from service.client.errors import SourceError
from service.contract.chip import Chip, Modality
from service.contract.decoding.decode import decode_chip
from service.contract.embedding import EmbeddedChip
from service.contract.errors import ChipError
from service.contract.hoss_names import read_hoss_name

CHIPS_AT_ONCE = 16


class ManyEmbedder(Protocol):
    """Embeds several chips together, see `service.inference.embedder.Embedder`."""

    width: int

    def embed_many(self, chips: Sequence[Chip]) -> list[EmbeddedChip]: ...


@dataclass(frozen=True, slots=True)
class Embedded:
    """Embedded files, in the order they were given.

    Attributes:
        names: file names without folders.
        vectors: float32 `[N, D]`, unit length, fused where the bundle fuses.
        modalities: `optical` or `sar`.
        refused: files that could not be used, and why.
    """

    names: tuple[str, ...]
    vectors: NDArray[np.float32]
    modalities: tuple[Modality, ...]
    refused: tuple[tuple[Path, str], ...]


def embed_files(
    embedder: ManyEmbedder,
    paths: Sequence[Path],
    *,
    modality: Modality | None = None,
    gsd_m: float | None = None,
    advance: Callable[[int], None] = lambda files: None,
) -> Embedded:
    """Decode and embed chip files; those that cannot be used are told in `refused`.

    Args:
        embedder: the models.
        paths: files.
        modality: of all of them; None: what a HOSS file name or the file itself says.
        gsd_m: metres per pixel of all of them; None: the GeoTIFF's or the modality's default.
        advance: called with the number of files that are done.
    """
    names: list[str] = []
    modalities: list[Modality] = []
    refused: list[tuple[Path, str]] = []
    vectors: list[NDArray[np.float32]] = [np.empty((0, embedder.width), dtype=np.float32)]
    for start in range(0, len(paths), CHIPS_AT_ONCE):
        batch: list[Chip] = []
        files = paths[start : start + CHIPS_AT_ONCE]
        for path in files:
            try:
                chip = _decode(path, modality, gsd_m)
            except (ChipError, OSError) as error:
                refused.append((path, str(error)))
                continue
            names.append(path.name)
            modalities.append(chip.modality)
            batch.append(chip)
        if batch:
            vectors.append(np.stack([one.vector for one in embedder.embed_many(batch)]))
        advance(len(files))
    return Embedded(tuple(names), np.concatenate(vectors), tuple(modalities), tuple(refused))


def write_embeddings(embedded: Embedded, out: Path) -> None:
    """Write arrays `names`, `embeddings` and `modalities` as one NPZ, whole or not at all.

    Raises:
        SourceError: there is nothing to write, or the file cannot be written.
    """
    if not embedded.names:
        raise SourceError(f"no chip could be used, {out} was not written")
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("wb") as stream:
                np.savez(
                    stream,
                    names=np.array(embedded.names, dtype=np.str_),
                    embeddings=embedded.vectors,
                    modalities=np.array([m.value for m in embedded.modalities], dtype=np.str_),
                )
            part.replace(out)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise SourceError(f"{out} cannot be written: {error.strerror or error}") from error


def _decode(path: Path, modality: Modality | None, gsd_m: float | None) -> Chip:
    named = read_hoss_name(path.name)
    if modality is None and named is not None:
        modality = named.modality
    return decode_chip(path.read_bytes(), modality=modality, gsd_m=gsd_m)
