import json
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from service.client.errors import SourceError, UnreachableError
from service.client.match import ChipResult, QueryChip, match_files
from service.client.remote.client import Client
from service.client.result_file import ResultFile
from tests.support.answers import body
from tests.support.fakes.service import multipart, problem


class MatchService:
    """Answers matches, refuses chips whose content is `bad`, and may break down."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.left = 1000

    def client(self) -> Client:
        return Client(transport=httpx.MockTransport(self.answer), patience_s=1)

    def answer(self, request: httpx.Request) -> httpx.Response:
        [(name, content)] = [(name, data) for _, name, data in multipart(request) if name]
        if not self.left:
            raise httpx.ConnectError("gone")
        self.left -= 1
        self.asked.append(name)
        if content == b"bad":
            return problem(422, "chip-format", "no chip")
        return httpx.Response(200, json=body("ambiguous", "a"))


def chips(folder: Path, count: int) -> list[QueryChip]:
    for number in range(count):
        (folder / f"{number}.tif").write_text(f"chip {number}")
    return [QueryChip(folder / f"{number}.tif") for number in range(count)]


def run(
    service: MatchService, queries: Sequence[QueryChip], out: Path, **fields: object
) -> list[ChipResult]:
    advances: list[int] = []
    with service.client() as client, ResultFile(out) as file:
        found = []
        for result in match_files(
            client, queries, fields, workers=1, advance=advances.append, done=file.done
        ):
            file.add(result)
            found.append(result)
    assert sum(advances) == len(queries)
    return found


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_batch_that_broke_off_goes_on_where_it_ended(tmp_path: Path) -> None:
    service, out = MatchService(), tmp_path / "out" / "results.jsonl"
    queries = chips(tmp_path, 6)
    service.left = 3
    with pytest.raises(UnreachableError):
        run(service, queries, out)
    stored = [Path(str(line["chip"])).name for line in lines(out)]
    assert stored == ["0.tif", "1.tif", "2.tif"]
    service.left = 1000
    run(service, queries, out)
    assert service.asked == [f"{number}.tif" for number in range(6)]
    assert [Path(str(line["chip"])).name for line in lines(out)] == service.asked
    assert all(line["verdict"] == "ambiguous" for line in lines(out))


def test_a_chip_is_asked_again_when_it_or_the_question_changed(tmp_path: Path) -> None:
    service, out = MatchService(), tmp_path / "results.jsonl"
    queries = chips(tmp_path, 2)
    run(service, queries, out)
    assert run(service, queries, out) == []
    queries[0].path.write_text("another chip")
    assert len(run(service, queries, out)) == 1
    assert len(run(service, queries, out, top_k=3)) == 2
    assert len(run(service, [QueryChip(queries[1].path, {"lat": 1.0, "lon": 2.0})], out)) == 1


def test_refused_chips_are_final_and_unreadable_ones_are_not(tmp_path: Path) -> None:
    service, out = MatchService(), tmp_path / "results.jsonl"
    queries = [*chips(tmp_path, 1), QueryChip(tmp_path / "late.tif")]
    queries[0].path.write_text("bad")
    assert [one.answer for one in run(service, queries, out)] == [None, None]
    first, second = lines(out)
    assert first["problem"] == {"kind": "chip-format", "detail": "no chip", "status": 422}
    assert str(second["problem"]).startswith("{'kind': 'file'")
    queries[1].path.write_text("now")
    (again,) = run(service, queries, out)
    assert again.path.name == "late.tif"
    assert again.answer is not None


def test_an_incomplete_line_is_cut_off(tmp_path: Path) -> None:
    service, out = MatchService(), tmp_path / "results.jsonl"
    queries = chips(tmp_path, 2)
    run(service, queries, out)
    whole = out.read_bytes()
    out.write_bytes(whole[:-20])
    assert len(run(service, queries, out)) == 1
    assert [line["chip"] for line in lines(out)] == [str(one.path) for one in queries]


@pytest.mark.parametrize("content", ["chip,lat\na.tif,1\n", "[1]\n", '{"a": 1}\n', "no newline"])
def test_another_file_is_not_touched(tmp_path: Path, content: str) -> None:
    other = tmp_path / "other"
    other.write_text(content)
    with pytest.raises(SourceError, match="other:1 is not the result of a match"):
        ResultFile(other)
    assert other.read_text() == content


def test_what_is_no_file_keeps_no_results(tmp_path: Path) -> None:
    for path in (tmp_path, Path("/dev/full")):
        with pytest.raises(SourceError, match=f"{path} is no file"):
            ResultFile(path)


def test_one_process_at_a_time_writes_a_file(tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    with ResultFile(out), pytest.raises(SourceError, match="written by another process"):
        ResultFile(out)
    with ResultFile(out) as file:
        assert file.done == set()
