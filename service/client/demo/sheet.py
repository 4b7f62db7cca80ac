"""Draw the contact sheet of the demo's answers."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from PIL import Image

from service.client.demo.contact_sheet import SheetRow, Tile, draw_sheet
from service.client.demo.truth import CheckedAnswer
from service.client.remote.client import Client
from service.client.remote.models import percent

WORKERS = 4


def demo_sheet(
    client: Client,
    kind: str,
    answers: Sequence[CheckedAnswer],
    sentences: Sequence[str],
    columns: int,
) -> Image.Image:
    """Fetch the previews and draw query, verdict and candidates; the true vessel in green.

    The title names the `kind` of chips, `sentences` follow it; `columns` candidates are shown.
    """
    urls = {_query_url(checked) for checked in answers}
    for checked in answers:
        urls |= {candidate.sighting.preview_url for candidate in checked.answer.candidates}
    ordered = sorted(urls)
    with ThreadPoolExecutor(WORKERS) as pool:
        pictures = dict(zip(ordered, pool.map(client.picture, ordered), strict=True))
    return draw_sheet(
        f"Crossfix: SAR chips and the vessels they may show ({kind})",
        "Green frame: the true vessel.  " + " ".join(sentences),
        [_row(checked, pictures, columns) for checked in answers],
        columns,
    )


def _query_url(checked: CheckedAnswer) -> str:
    return f"/sightings/{checked.answer.query.sighting_id}/preview.png"


def _row(checked: CheckedAnswer, pictures: dict[str, bytes], columns: int) -> SheetRow:
    query = checked.answer.query
    return SheetRow(
        query=Tile(
            pictures[_query_url(checked)],
            checked.chip.path.stem,
            f"SAR, {query.length_m:.0f} x {query.width_m:.0f} m",
        ),
        verdict=checked.answer.verdict.replace("_", " ").capitalize(),
        none=f"None of them: {checked.answer.none_percent}",
        outcome=checked.outcome.text,
        tone=checked.outcome.tone,
        candidates=[
            Tile(
                pictures[candidate.sighting.preview_url],
                f"{candidate.rank}. {candidate.vessel.label}",
                f"{percent(candidate.probability)}, similarity {candidate.similarity:.2f}",
                candidate.vessel.id == checked.outcome.true_id,
            )
            for candidate in checked.answer.candidates[:columns]
        ],
    )
