"""A temporary chip store of a folder of chips."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model_training.data.cache import CachedChip, PictureStore, write_shard
from model_training.data.hoss import all_chips, read_hoss
from service.contract.manifest import PreprocessSpec


@contextmanager
def folder_store(folder: Path, spec: PreprocessSpec) -> Iterator[PictureStore]:
    """Decode the chips of a folder in HOSS layout; the store is removed afterwards.

    Chips of no known ship (id -1) are left out.

    Raises:
        DatasetError: the folder is not in HOSS layout.
        ChipError: a chip cannot be decoded.
    """
    chips = [
        CachedChip.of(one.read(), one.vessel_id, spec)
        for one in all_chips(read_hoss(folder))
        if one.vessel_id >= 0
    ]
    with tempfile.TemporaryDirectory() as store:
        write_shard(Path(store), 0, chips)
        yield PictureStore(Path(store), [0])
