"""Hold the chips of a data set with their sizes and embeddings, one chip per row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model_training.data.hoss import LabelledChip
from service.contract.batches import in_batches
from service.contract.chip import Chip, Modality
from service.contract.framing.half_turn import half_turn
from service.contract.hoss_names import DISTRACTOR_ID

BATCH = 32


@dataclass(frozen=True, slots=True)
class Embeddings:
    """The embeddings of N chips.

    Attributes:
        plain: float32 `[N, D]`, unit rows: the encoder's embeddings.
        fused: float32 `[N, D]`, unit rows: the embeddings that the service stores and searches;
            None if the embedder has no fusion, in which case the service uses `plain`.
    """

    plain: NDArray[np.float32]
    fused: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        for rows in (self.plain, self.fused):
            if rows is None:
                continue
            if rows.ndim != 2 or rows.shape != self.plain.shape:
                raise ValueError(f"embeddings must have the same shape [N, D], got {rows.shape}")
            if not np.allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-3):
                raise ValueError("embeddings must have unit length")

    @property
    def served(self) -> NDArray[np.float32]:
        """Return float32 `[N, D]`: the embeddings that the service would store and search."""
        return self.plain if self.fused is None else self.fused


class ChipEmbedder(Protocol):
    """Turns chips into embeddings, with a bundle's graphs or with checkpoints."""

    def __call__(self, chips: Sequence[Chip]) -> Embeddings:
        """Embed chips."""
        ...


@dataclass(frozen=True, slots=True)
class ChipTable:
    """N chips with their embeddings and sizes; row i of every array is `chips[i]`.

    Attributes:
        embeddings: see `Embeddings`.
        size_m: float64 `[N, 2]`, length and width in metres.
        half_turned: float32 `[N, D]`, what the service would embed of the chips turned by 180
            degrees; NaN in the rows that `embed_half_turns` left out, None before it is called.
    """

    chips: tuple[LabelledChip, ...]
    embeddings: Embeddings
    size_m: NDArray[np.float64]
    half_turned: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        rows = len(self.chips)
        if self.half_turned is not None and self.half_turned.shape != self.embeddings.plain.shape:
            raise ValueError(
                f"half turns {self.half_turned.shape} do not fit {self.embeddings.plain.shape}"
            )
        if self.embeddings.plain.shape[0] != rows or self.size_m.shape != (rows, 2):
            raise ValueError(
                f"{rows} chips, but {self.embeddings.plain.shape[0]} embeddings "
                f"and sizes {self.size_m.shape}"
            )

    @property
    def vessel_ids(self) -> NDArray[np.int64]:
        """Return int64 `[N]`."""
        return np.array([chip.vessel_id for chip in self.chips], np.int64)

    def rows_of(self, chips: Sequence[LabelledChip]) -> NDArray[np.int64]:
        """Return int64 `[len(chips)]`: the rows of these chips.

        Raises:
            KeyError: a chip is not in the table.
        """
        position = {chip.path: row for row, chip in enumerate(self.chips)}
        return np.array([position[chip.path] for chip in chips], np.int64)

    def rows_with(self, modality: Modality) -> NDArray[np.int64]:
        """Return int64 `[M]`: the rows of one sensor."""
        return np.flatnonzero([chip.modality is modality for chip in self.chips])

    def draw_rows(
        self, modality: Modality, most: int, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Draw up to `most` rows of labelled chips of one sensor, int64 `[M]`, in random order."""
        rows = self.rows_with(modality)
        return rng.permutation(rows[self.vessel_ids[rows] != DISTRACTOR_ID])[:most]

    @property
    def rows_with_half_turn(self) -> NDArray[np.int64]:
        """Return int64 `[M]`: the rows whose half turn is embedded."""
        if self.half_turned is None:
            return np.empty(0, np.int64)
        return np.flatnonzero(np.isfinite(self.half_turned).all(axis=1))


def embed_chips(
    chips: Sequence[LabelledChip],
    embed: ChipEmbedder,
    progress: Callable[[int], None] = lambda _: None,
) -> ChipTable:
    """Read and embed chips in small batches, so that not all pixels are in memory together.

    Args:
        chips: at least one. A file that occurs twice is embedded once, and so are files of equal
            content: the HOSS subsets are copies.

    Raises:
        DatasetError: a file is not a usable chip.
        ValueError: there are no chips.
    """
    unique = tuple({chip.path: chip for chip in chips}.values())
    if not unique:
        raise ValueError("there are no chips to embed")
    row_of: dict[str, int] = {}
    parts: list[Embeddings] = []
    rows, sizes = [], []
    for some in in_batches(unique, BATCH):
        batch = [labelled.read() for labelled in some]
        new = {chip.digest: chip for chip in batch if chip.digest not in row_of}
        row_of |= {digest: len(row_of) + offset for offset, digest in enumerate(new)}
        if new:
            parts.append(embed(list(new.values())))
        rows += [row_of[chip.digest] for chip in batch]
        sizes += [(chip.length_m, chip.width_m) for chip in batch]
        progress(len(batch))
    fused = [part.fused for part in parts if part.fused is not None]
    return ChipTable(
        chips=unique,
        embeddings=Embeddings(
            plain=np.concatenate([part.plain for part in parts])[rows],
            fused=np.concatenate(fused)[rows] if fused else None,
        ),
        size_m=np.array(sizes, np.float64),
    )


def embed_half_turns(
    table: ChipTable,
    embed: ChipEmbedder,
    per_sensor: int,
    seed: int = 0,
    progress: Callable[[int], None] = lambda _: None,
) -> ChipTable:
    """Embed the half turns of up to `per_sensor` labelled chips of each sensor, drawn at random.

    Args:
        per_sensor: a search needs the half turns of its query only, so not all are needed.

    Raises:
        DatasetError: a file is not a usable chip.
    """
    rng = np.random.default_rng(seed)
    half_turned = np.full_like(table.embeddings.plain, np.nan)
    for modality in Modality:
        rows = table.draw_rows(modality, per_sensor, rng)
        for start in range(0, rows.size, BATCH):
            batch = rows[start : start + BATCH]
            chips = [table.chips[row].read() for row in batch]
            turned = [replace(chip, pixels=half_turn(chip.pixels)) for chip in chips]
            half_turned[batch] = embed(turned).served
            progress(batch.size)
    return replace(table, half_turned=half_turned)
