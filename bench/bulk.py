"""Compare bulk enrolment by a started service with bare encoding of the same chips."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from bench.models import BATCH
from bench.timing import ROUNDS, Comparison, compare
from service.client.remote.call import ChipPart
from service.client.remote.client import Client
from service.client.remote.enrolling import ChipToEnrol
from service.contract.chip import Chip, Modality
from service.contract.decoding.decode import decode_chip
from service.inference.embedder import load_embedder
from service.settings import SHIPPED_BUNDLE
from tests.support.inputs.chips import sar_tiff
from tests.support.processes.service_process import running_service

CHIPS, EACH = 120, 5
"""Chips of one request, and of one vessel."""
HEIGHT_PX, WIDTH_PX = 200, 40
GSD_M = 1.0


def compare_bulk_enrolment(threads: int) -> Comparison:
    """Enrol new chips of new vessels in each round, and encode the same chips in batches.

    Bare encoding starts from decoded chips: decoding, framing, and storing count as ours.
    """
    embedder = load_embedder(SHIPPED_BUNDLE, "cpu", threads)
    batches = [[*_new_chips(number)] for number in range(ROUNDS + 1)]  # the first warms up
    decoded = [[_decoded(one) for one in batch] for batch in batches]
    to_enrol, to_encode = iter(batches), iter(decoded)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_service(Path(folder)) as service,
        Client(service.url) as client,
    ):

        def enrol() -> None:
            refused = [one.problem for one in client.enrol_many(next(to_enrol)) if one.problem]
            if refused:
                raise refused[0]

        def encode() -> None:
            chips = next(to_encode)
            for first in range(0, len(chips), BATCH):
                embedder.embed_many(chips[first : first + BATCH])

        return compare(
            f"enrol {CHIPS} SAR chips of {CHIPS // EACH} vessels in bulk, each",
            ("POST /gallery/bulk", enrol),
            (f"bare encoding of the same chips, {BATCH} in a batch", encode),
            units=CHIPS,
        )


def _new_chips(round_number: int) -> Iterator[ChipToEnrol]:
    for number in range(round_number * CHIPS, (round_number + 1) * CHIPS):
        vessel = {"id": str(UUID(int=number // EACH + 1)), "name": f"V{number // EACH:05}"}
        data = sar_tiff(number, HEIGHT_PX, WIDTH_PX)
        metadata = {"modality": Modality.SAR.value, "gsd_m": GSD_M}
        yield ChipToEnrol(ChipPart(f"{number}.tif", data, metadata), vessel)


def _decoded(one: ChipToEnrol) -> Chip:
    return decode_chip(one.chip.data, modality=Modality.SAR, gsd_m=GSD_M)
