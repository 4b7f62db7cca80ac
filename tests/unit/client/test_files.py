"""Files are written whole; what is no file is written itself."""

import os
import threading
from pathlib import Path

import pytest

from service.client import files
from service.client.errors import SourceError
from service.client.files import written_whole
from service.client.remote.call import ChipPart


def write(path: Path, text: str) -> None:
    with written_whole(path) as place:
        place.write_text(text)


def test_a_file_appears_whole_with_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "list.csv"
    with written_whole(path) as place:
        place.write_text("half")
        assert not path.exists()
    write(path, "whole")
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_a_pipe_is_written_and_stays_one(tmp_path: Path) -> None:
    """As /dev/null would be, a pipe would be lost if a file were put in its place."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    write(pipe, "through")
    reader.join(10)
    assert read == ["through"]
    assert pipe.is_fifo()


def test_the_file_that_a_link_names_is_written(tmp_path: Path) -> None:
    file, link = tmp_path / "file.csv", tmp_path / "link.csv"
    file.write_text("old")
    link.symlink_to(file)
    write(link, "new")
    assert link.is_symlink()
    assert file.read_text() == "new"


def test_a_folder_and_a_full_disk_are_named(tmp_path: Path) -> None:
    for path in (tmp_path, Path("/dev/full")):
        with pytest.raises(SourceError, match=f"{path} cannot be written"):
            write(path, "text")
    assert Path("/dev/full").is_char_device()


def test_a_chip_that_never_ends_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_CHIP_BYTES", 4)
    (chip := tmp_path / "chip.tif").write_bytes(b"1234")
    assert ChipPart.read(chip).data == b"1234"
    with pytest.raises(SourceError, match="/dev/zero has more than 4 bytes; send the ship cut out"):
        ChipPart.read("/dev/zero")
