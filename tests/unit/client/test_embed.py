from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from service.client.embed import embed_files, write_embeddings
from service.client.errors import SourceError
from service.client.match import expand_folders
from service.contract.chip import Chip, Modality
from service.contract.embedding import EmbeddedChip
from service.contract.framing.records import FramingMode
from tests.support.inputs.chips import optical_png, sar_tiff
from tests.support.inputs.scene_files import empty_file, loose_file


class LengthEmbedder:
    """An embedder whose vectors hold the chip's length; records the size of each batch."""

    width = 4

    def __init__(self) -> None:
        self.batches: list[int] = []

    def embed_many(self, chips: Sequence[Chip]) -> list[EmbeddedChip]:
        self.batches.append(len(chips))
        return [EmbeddedChip(np.full(4, chip.length_m, np.float32)) for chip in chips]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "0001_s1c1_RGB.png").write_bytes(optical_png(1, height=40))
    (tmp_path / "0001_s1c2_SAR.tif").write_bytes(sar_tiff(2, height=50))
    (tmp_path / "plain.tif").write_bytes(sar_tiff(3, height=60))
    (tmp_path / "0002_s1c1_SAR.tif").write_text("no chip")
    (tmp_path / "README.md").write_text("notes")
    return tmp_path


def test_rows_are_in_the_order_of_the_files(folder: Path) -> None:
    done: list[int] = []
    embedded = embed_files(LengthEmbedder(), expand_folders([folder]), advance=done.append)
    assert embedded.names == ("0001_s1c1_RGB.png", "0001_s1c2_SAR.tif", "plain.tif")
    assert embedded.modalities == (Modality.OPTICAL, Modality.SAR, Modality.SAR)
    assert embedded.vectors.dtype == np.float32
    assert embedded.vectors[:, 0].tolist() == [40 * 0.75, 50.0, 60.0]
    ((path, reason),) = embedded.refused
    assert path.name == "0002_s1c1_SAR.tif"
    assert "text" in reason
    assert sum(done) == 4


def test_what_was_assumed_is_said_once_for_all_files_of_which_it_holds(folder: Path) -> None:
    files = expand_folders([folder])
    warned = embed_files(LengthEmbedder(), files).warned
    assert len(warned) == 2
    for size, count in (("0.75", 1), ("1", 2)):
        [paths] = [p for text, p in warned.items() if f": {size} m per pixel was assumed" in text]
        assert len(paths) == count
    assert embed_files(LengthEmbedder(), files, gsd_m=1.0).warned == {}


def test_given_modality_and_gsd_take_precedence(folder: Path) -> None:
    chip = [folder / "0001_s1c1_RGB.png"]
    embedded = embed_files(LengthEmbedder(), chip, modality=Modality.OPTICAL, gsd_m=0.5)
    assert embedded.vectors[0, 0] == 20.0
    wrong = embed_files(LengthEmbedder(), [folder / "0001_s1c2_SAR.tif"], modality=Modality.OPTICAL)
    assert len(wrong.refused) == 1
    assert wrong.vectors.shape == (0, 4)


def test_loose_chips_are_framed_unless_they_are_to_stay_as_they_are(tmp_path: Path) -> None:
    loose, empty = tmp_path / "0001_s1c1_SAR.tif", tmp_path / "0002_s1c1_SAR.tif"
    loose.write_bytes(loose_file(Modality.SAR))
    empty.write_bytes(empty_file(Modality.SAR))
    framed = embed_files(LengthEmbedder(), [loose, empty])
    assert framed.vectors[0, 0] == pytest.approx(115, abs=8)
    ((path, reason),) = framed.refused
    assert (path, "no ship was found" in reason) == (empty, True)
    as_is = embed_files(LengthEmbedder(), [loose, empty], framing=FramingMode.AS_IS)
    assert as_is.vectors[:, 0].tolist() == [200.0, 200.0]


def test_chips_are_embedded_in_batches(folder: Path) -> None:
    embedder = LengthEmbedder()
    embed_files(embedder, [folder / "plain.tif"] * 20)
    assert embedder.batches == [16, 4]


def test_vectors_are_written_into_one_npz_file(folder: Path) -> None:
    embedded = embed_files(LengthEmbedder(), [folder / "plain.tif", folder / "0001_s1c1_RGB.png"])
    out = folder / "new" / "x.npz"
    write_embeddings(embedded, out)
    with np.load(out, allow_pickle=False) as arrays:
        assert sorted(arrays) == ["embeddings", "modalities", "names"]
        assert arrays["names"].tolist() == ["plain.tif", "0001_s1c1_RGB.png"]
        assert arrays["modalities"].tolist() == ["sar", "optical"]
        assert np.array_equal(arrays["embeddings"], embedded.vectors)
    assert list(out.parent.iterdir()) == [out]


def test_nothing_is_written_when_no_chip_could_be_used(folder: Path) -> None:
    embedded = embed_files(LengthEmbedder(), [folder / "README.md"])
    assert len(embedded.refused) == 1
    with pytest.raises(SourceError, match="no chip could be used"):
        write_embeddings(embedded, folder / "new" / "x.npz")
    assert not (folder / "new").exists()


def test_an_unwritable_file_is_reported(folder: Path) -> None:
    embedded = embed_files(LengthEmbedder(), [folder / "plain.tif"])
    with pytest.raises(SourceError, match="cannot be written"):
        write_embeddings(embedded, folder / "README.md" / "x.npz")


def test_folders_are_expanded_and_missing_paths_refused(folder: Path) -> None:
    with pytest.raises(SourceError, match="does not exist"):
        expand_folders([folder / "missing.tif"])
    (folder / "empty").mkdir()
    with pytest.raises(SourceError, match="holds no TIFF, PNG or JPEG"):
        expand_folders([folder / "empty"])
    assert (
        expand_folders([folder / "plain.tif", folder / "plain.tif"]) == [folder / "plain.tif"] * 2
    )
