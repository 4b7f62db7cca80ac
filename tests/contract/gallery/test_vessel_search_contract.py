"""Search by beginnings of words, on every `Gallery`."""

from uuid import UUID

import pytest

from service.identity.ports.gallery import Gallery
from service.identity.records.vessels import VesselFilter, VesselState
from tests.support.fakes.records import make_vessel

LENA = make_vessel(
    id=UUID("5eed0000-0000-4000-8000-00000000001e"),
    name="Léna Ørsted",
    imo="9074729",
    mmsi="244660000",
    callsign="PB-1234",
)


def found(gallery: Gallery, search: str) -> set[str | None]:
    page = gallery.list_vessels(VesselFilter(search=search), 50, None)
    return {vessel.name for vessel in page.vessels}


@pytest.mark.parametrize(
    "search",
    ["l", "Le", "len", "LENA", "léna", "ørst", "lena ø", "ø lena", "9", "9074", "2446600",
     "pb", "1234", "PB-1234", "9074729 lena", str(LENA.id)[:6], "lena-", "  lena  "],
)  # fmt: skip
def test_a_vessel_is_found_by_beginnings_of_its_words(gallery: Gallery, search: str) -> None:
    gallery.put_vessel(LENA)
    gallery.put_vessel(make_vessel(name="Zora Q"))
    assert "Léna Ørsted" in found(gallery, search)


@pytest.mark.parametrize("search", ["ena", "lenas", "rsted", "lena zora", "74729", "lena 9075"])
def test_other_parts_of_words_do_not_find_it(gallery: Gallery, search: str) -> None:
    gallery.put_vessel(LENA)
    assert found(gallery, search) == set()


def test_types_of_visible_vessels_are_listed_the_most_common_first(gallery: Gallery) -> None:
    assert gallery.vessel_types(5) == []
    kinds = ["Tanker", "tanker", "Bulk carrier", None]
    vessels = [make_vessel(name=f"ship {at}", type=kind) for at, kind in enumerate(kinds)]
    for vessel in vessels:
        gallery.put_vessel(vessel)
    gallery.put_vessel(make_vessel(type="Tug", state=VesselState.DELETED))
    assert gallery.vessel_types(5) == ["tanker", "bulk carrier"]
    assert gallery.vessel_types(1) == ["tanker"]
    gallery.put_vessel(vessels[2].model_copy(update={"type": "Ferry"}))
    assert gallery.vessel_types(5) == ["tanker", "ferry"]


def test_a_search_follows_changes_and_shows_visible_vessels_only(gallery: Gallery) -> None:
    gallery.put_vessel(LENA)
    gallery.put_vessel(LENA.model_copy(update={"name": "Renamed"}))
    assert found(gallery, "lena") == set()
    assert found(gallery, "rename") == {"Renamed"}
    gallery.put_vessel(make_vessel(name="Renamed Too", state=VesselState.DELETED))
    assert found(gallery, "rename") == {"Renamed"}


def test_a_search_combines_with_other_filters_and_pages(gallery: Gallery) -> None:
    for number in range(12):
        kind = "Cargo" if number % 2 else "Tanker"
        gallery.put_vessel(make_vessel(name=f"Twelve {number}", type=kind))
    where = VesselFilter(search="twel", type="cargo")
    first = gallery.list_vessels(where, 4, None)
    second = gallery.list_vessels(where, 4, first.next_cursor)
    assert (len(first.vessels), len(second.vessels), second.next_cursor) == (4, 2, None)


@pytest.mark.parametrize("search", ["--", "_", "?!", "。"])
def test_a_search_without_words_finds_nothing(gallery: Gallery, search: str) -> None:
    gallery.put_vessel(LENA)
    assert found(gallery, search) == set()
