"""Points in an SQLite file: what the contract suites of its users do not show."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from service.storage.points.filters import AnyOf, Condition, Known, NoneOf
from service.storage.points.payloads import Point, timestamp
from service.storage.sqlite.table import Fields, PointTable
from tests.support.fakes.records import START

FIELDS = Fields(words=("kind", "time"), indexed=("time",), lists=("tags",), positions=("place",))
SAR = Condition((AnyOf("kind", ["sar"]),))


@pytest.fixture
def table(quick_folder: Path) -> Iterator[PointTable]:
    opened = PointTable(quick_folder / "points.sqlite", FIELDS)
    yield opened
    opened.close()


def put(table: PointTable, count: int, **fields: object) -> list[UUID]:
    points = [
        Point(uuid4(), None, {"time": timestamp(START + timedelta(hours=n)), "n": n} | fields)
        for n in range(count)
    ]
    table.put(points)
    return [one.id for one in points]


def test_fields_are_set_beside_the_others(table: PointTable) -> None:
    [one] = put(table, 1, kind="sar")
    table.set_fields([one, uuid4()], {"kind": "optical", "more": [1, None]})
    assert table.retrieve([one]) == [
        {"n": 0, "kind": "optical", "more": [1, None], "time": timestamp(START)}
    ]


def test_points_are_found_by_each_word_of_a_list(table: PointTable) -> None:
    [both] = put(table, 1, tags=["a", "b"])
    [one] = put(table, 1, tags="a")
    put(table, 1)
    a, b = (Condition((AnyOf("tags", [word]),)) for word in "ab")
    assert {i for i, _ in table.scan(a)} == {both, one}
    assert {i for i, _ in table.scan(b)} == {both}
    table.set_fields([both], {"tags": ["c"]})
    assert (table.count(a), table.count(b)) == (1, 0)
    table.delete([one])
    assert table.count(a) == 0


def test_only_points_that_satisfy_the_condition_are_deleted(table: PointTable) -> None:
    sar, optical, unknown = (put(table, 300, kind=kind)[0] for kind in ("sar", "optical", None))
    table.delete([sar, optical, unknown, uuid4()], SAR)
    assert len(table.retrieve([sar, optical, unknown])) == 2
    assert [table.count(SAR), table.count(Condition())] == [299, 899]


def test_a_condition_on_an_unknown_word_is_not_satisfied(table: PointTable) -> None:
    [sar] = put(table, 1, kind="sar")
    [unknown] = put(table, 1, kind=None)
    assert [i for i, _ in table.scan(Condition((), SAR.must))] == [unknown]
    assert [i for i, _ in table.scan(Condition((Known("kind"),)))] == [sar]


def test_all_points_are_scanned_in_order_of_id(table: PointTable) -> None:
    ids = put(table, 700, kind="sar")
    for fields in (None, ["kind"], ["n"]):
        rows = list(table.scan(SAR, fields))
        assert [i for i, _ in rows] == sorted(ids)
    assert [row["n"] for row in table.page(SAR, sorted(ids)[-1], 5)] == [
        row["n"] for row in table.retrieve([max(ids)])
    ]


def test_a_filter_that_no_table_has_is_refused(table: PointTable) -> None:
    with pytest.raises(TypeError, match="NoneOf"):
        table.count(Condition((NoneOf("kind", ["sar"]),)))


def test_damaged_content_has_no_fields_but_words(table: PointTable) -> None:
    [one] = put(table, 1, kind="sar")
    with table._database.writing() as writer:
        writer.execute("UPDATE content SET payload = substr(payload, 2)")
    [row] = table.retrieve([one])
    assert row == {"kind": "sar", "time": timestamp(START)}
    with table._database.writing() as writer:
        writer.execute("DELETE FROM content")
    assert table.retrieve([one]) == [row]
