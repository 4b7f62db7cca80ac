"""Compare searches of the embedded gallery with qdrant-client's local mode and with numpy."""

import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from qdrant_client import QdrantClient

from bench.filled_gallery import fill_gallery, like_embeddings, type_of, vectors_of
from bench.timing import Comparison, compare
from service.contract.bundle import open_bundle
from service.identity.records.sightings import SightingFilter, VesselQuery
from service.identity.records.vessels import VesselState
from service.settings import SHIPPED_BUNDLE
from service.storage.edge.gallery import EdgeGallery
from service.storage.edge.tables.sighting_table import SightingTable
from service.storage.points import payloads
from service.storage.points.filters import AnyOf
from service.storage.server.connection import ServerConnection
from service.storage.server.gallery import ServerGallery

BUNDLE = "bench"
EACH = 5
"""Sightings of each vessel."""
SMALL, LARGE = (2_000,), (20_000,)
"""Vessels of the galleries."""
HUGE = 200_000
"""Vessels of a table without records, which would take an hour to write."""
TOP_VESSELS = 10
QUERIES = 10
"""Different ones in each round of the table's searches."""
FILL_AT_ONCE = 200


def compare_galleries(sizes: Sequence[int]) -> Iterator[Comparison]:
    """Yield the comparisons for galleries of each number of vessels."""
    width = open_bundle(SHIPPED_BUNDLE).manifest.encoder.embedding_width
    [query] = like_embeddings(1, width, 1)
    for vessels in sizes:
        with tempfile.TemporaryDirectory() as folder:
            edge = EdgeGallery(Path(folder) / "gallery", BUNDLE, width)
            fill_gallery(edge, BUNDLE, width, vessels, EACH)
            if vessels in SMALL:
                yield from _compare_local_mode(edge, vessels, width, query)
            yield _compare_numpy(edge, vessels, width, query)
            edge.close()


def compare_table(vessels: int = HUGE) -> Comparison:
    """Compare filtered searches of the embedded gallery's table with the bare exact product."""
    width = open_bundle(SHIPPED_BUNDLE).manifest.encoder.embedding_width
    queries = like_embeddings(QUERIES, width, 1)
    with tempfile.TemporaryDirectory() as folder:
        table = SightingTable(Path(folder) / "vectors", width)
        matrix = np.empty((vessels * EACH, width), np.float32)
        for number, vectors in enumerate(vectors_of(vessels, EACH, width)):
            matrix[number * EACH : (number + 1) * EACH] = vectors
        for first in range(0, vessels, FILL_AT_ONCE):
            _enrol(table, range(first, min(first + FILL_AT_ONCE, vessels)), matrix)
        filters = [table.passing([AnyOf(payloads.VESSEL_TYPE, ["ferry"])])]

        def search() -> None:
            for query in queries:
                table.nearest([query], filters, TOP_VESSELS)

        return compare(
            f"find {TOP_VESSELS} vessels of one type among {vessels * EACH:,} sightings",
            ("table of embeddings, without records", search),
            _products(matrix, queries),
            units=QUERIES,
        )


def _enrol(table: SightingTable, vessels: Iterable[int], matrix: NDArray[np.float32]) -> None:
    rows = []
    for number in vessels:
        vessel = UUID(int=number)
        table.put_vessel(vessel, VesselState.ACTIVE)
        owner = {payloads.VESSEL_ID: str(vessel), payloads.VESSEL_TYPE: type_of(number)}
        rows += [
            (UUID(int=row), matrix[row], owner | {payloads.CHIP: f"{row:064x}"})
            for row in range(number * EACH, (number + 1) * EACH)
        ]
    table.put_sightings(rows, new=True)


def _compare_local_mode(
    edge: EdgeGallery, vessels: int, width: int, query: NDArray[np.float32]
) -> Iterator[Comparison]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = QdrantClient(":memory:")
        local = ServerGallery(ServerConnection(client), bundle_id=BUNDLE, width=width)
        fill_gallery(local, BUNDLE, width, vessels, EACH)
        for name, where in (
            (f"search {vessels * EACH:,} sightings", SightingFilter()),
            (
                f"search {vessels * EACH:,} sightings of one vessel type",
                SightingFilter(vessel_types=("ferry",)),
            ),
        ):
            yield compare(
                name,
                ("embedded", partial(edge.search_each, [VesselQuery(query, where)], TOP_VESSELS)),
                (
                    "qdrant-client's local mode",
                    partial(local.search_each, [VesselQuery(query, where)], TOP_VESSELS),
                ),
            )
        local.close()


def _compare_numpy(
    edge: EdgeGallery, vessels: int, width: int, query: NDArray[np.float32]
) -> Comparison:
    """Compare with the bare exact product, which yields sightings but neither vessels nor facts."""
    matrix = np.concatenate(list(vectors_of(vessels, EACH, width)))  # [vessels EACH, width]
    queries = [VesselQuery(query, SightingFilter())]
    return compare(
        f"find {TOP_VESSELS} vessels among {vessels * EACH:,} sightings",
        ("embedded", lambda: edge.search_each(queries, TOP_VESSELS)),
        _products(matrix, query[None]),
    )


def _products(
    matrix: NDArray[np.float32], queries: NDArray[np.float32]
) -> tuple[str, Callable[[], object]]:
    """Return the other way to compare with: the nearest sightings of each query."""
    top = TOP_VESSELS * EACH

    def product() -> None:
        for query in queries:
            cosines = matrix @ query
            np.argpartition(-cosines, top)[:top]

    return f"numpy matrix product, the {top} nearest sightings only", product
