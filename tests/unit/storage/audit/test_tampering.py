"""Changes of the audit log are detected and located."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from service.identity.errors import StoreUnavailableError
from service.storage.audit.chain import HEAD_NAME, Head, seal, segments
from service.storage.audit.check import verify_audit
from service.storage.audit.log import open_audit_log
from tests.support.audit_chains import filled


def change_line(folder: Path, segment: int, change: Callable[[list[bytes]], list[bytes]]) -> None:
    path = segments(folder)[segment]
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))


def edit(folder: Path) -> None:
    change_line(folder, 1, lambda lines: [lines[0].replace(b"match", b"mutch"), *lines[1:]])


def edit_with_its_hash(folder: Path) -> None:
    def forge(lines: list[bytes]) -> list[bytes]:
        entry = json.loads(lines[0])
        head = Head(entry["seq"] - 1, entry["prev"])
        kept = {k: v for k, v in entry.items() if k not in ("seq", "prev", "hash")}
        return [seal(kept | {"number": 77}, head)[0], *lines[1:]]

    change_line(folder, 1, forge)


def remove_line(folder: Path) -> None:
    change_line(folder, 1, lambda lines: lines[1:])


def swap_lines(folder: Path) -> None:
    change_line(folder, 1, lambda lines: [lines[1], lines[0], *lines[2:]])


def double_line(folder: Path) -> None:
    change_line(folder, 1, lambda lines: [lines[0], *lines])


def add_space(folder: Path) -> None:
    change_line(folder, 1, lambda lines: [lines[0].replace(b":", b": ", 1), *lines[1:]])


def garbage(folder: Path) -> None:
    change_line(folder, 1, lambda lines: [b"\x00\xff\n", *lines[1:]])


def cut_last_line(folder: Path) -> None:
    change_line(folder, -1, lambda lines: lines[:-1])


def cut_within_last_line(folder: Path) -> None:
    change_line(folder, -1, lambda lines: [*lines[:-1], lines[-1][:-5]])


def remove_first_segment(folder: Path) -> None:
    segments(folder)[0].unlink()


def remove_middle_segment(folder: Path) -> None:
    segments(folder)[1].unlink()


def remove_last_segment(folder: Path) -> None:
    segments(folder)[-1].unlink()


def remove_all_segments(folder: Path) -> None:
    for path in segments(folder):
        path.unlink()


def remove_head(folder: Path) -> None:
    (folder / HEAD_NAME).unlink()


def spoil_head(folder: Path) -> None:
    (folder / HEAD_NAME).write_bytes(b"{}")


TAMPERINGS = [
    (edit, "edited"),
    (edit_with_its_hash, "does not continue"),
    (remove_line, "removed, added or reordered"),
    (swap_lines, "removed, added or reordered"),
    (double_line, "removed, added or reordered"),
    (add_space, "edited"),
    (garbage, "not an audit entry"),
    (cut_last_line, "the end was cut off"),
    (cut_within_last_line, "the end was cut off"),
    (remove_first_segment, "are missing before this segment"),
    (remove_middle_segment, "are missing before this segment"),
    (remove_last_segment, "the end was cut off"),
    (remove_all_segments, "the end was cut off"),
    (remove_head, "the head file is missing"),
    (spoil_head, "the head file is damaged"),
]


@pytest.mark.parametrize(
    ("tamper", "problem"), TAMPERINGS, ids=lambda one: getattr(one, "__name__", "")
)
def test_tampering_is_detected_and_located(
    tmp_path: Path, tamper: Callable[[Path], None], problem: str
) -> None:
    folder = filled(tmp_path)
    filled(tmp_path, replica="two")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    tamper(folder)
    findings = verify_audit(tmp_path).findings
    assert any(problem in finding.problem for finding in findings), findings
    assert {finding.replica for finding in findings} == {"one"}
    changed = {
        name
        for name, data in before.items()
        if not (folder / name).exists() or (folder / name).read_bytes() != data
    }
    near = {finding.file for finding in findings} & (changed | {HEAD_NAME})
    assert near or "missing before" in findings[0].problem


@pytest.mark.parametrize(
    "tamper", [cut_last_line, cut_within_last_line, remove_last_segment, remove_head, spoil_head]
)
def test_a_chain_whose_end_was_changed_is_not_continued(
    tmp_path: Path, tamper: Callable[[Path], None]
) -> None:
    tamper(filled(tmp_path, segment_bytes=10**6))
    with pytest.raises(StoreUnavailableError, match="tampered"):
        open_audit_log(tmp_path, "one")


def test_an_edited_first_entry_is_not_mistaken_for_a_torn_write(tmp_path: Path) -> None:
    folder = filled(tmp_path, segment_bytes=10**6)
    change_line(folder, 0, lambda lines: [lines[0].replace(b"open", b"oben"), *lines[1:]])
    with pytest.raises(StoreUnavailableError, match="tampered"):
        open_audit_log(tmp_path, "one")


def restore_files(folder: Path, files: dict[str, bytes]) -> None:
    for path in folder.iterdir():
        path.unlink()
    for name, data in files.items():
        (folder / name).write_bytes(data)


def test_a_chain_restored_to_an_earlier_state_is_detected_by_other_chains(tmp_path: Path) -> None:
    folder = filled(tmp_path, entries=2)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    filled(tmp_path, entries=2)
    filled(tmp_path, replica="witness")
    restore_files(folder, before)
    problems = {(f.replica, f.problem.split(",")[0]) for f in verify_audit(tmp_path).findings}
    assert problems == {("one", "entry 6 is missing")}


def test_a_removed_or_rewritten_chain_is_detected_by_heads_kept_elsewhere(tmp_path: Path) -> None:
    folder = filled(tmp_path)
    heads = verify_audit(tmp_path).heads
    assert verify_audit(tmp_path, heads).findings == []
    restore_files(folder, {})
    assert verify_audit(tmp_path).findings == []
    removed = verify_audit(tmp_path, heads)
    assert "entry 10 is missing" in removed.findings[0].problem
    folder.rename(tmp_path / "aside")
    filled(tmp_path, entries=12)
    rewritten = verify_audit(tmp_path, heads)
    assert any("was replaced" in finding.problem for finding in rewritten.findings)
