"""The demo's answers as a contact sheet."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from PIL import Image

from service.client.demo.contact_sheet import SheetRow, Tile, draw_sheet
from service.client.demo.truth import CheckedAnswer
from service.client.http import CrossfixClient

WORKERS = 4
VERDICTS = {"confident": "Confident", "ambiguous": "Ambiguous", "no_match": "None that I know"}


def demo_sheet(
    client: CrossfixClient,
    kind: str,
    answers: Sequence[CheckedAnswer],
    sentences: Sequence[str],
    columns: int,
) -> Image.Image:
    """Fetch the previews and draw: query, verdict, candidates; the true vessel in green.

    Raises:
        RefusedError, UnreachableError, StoppedError.
    """
    urls = {one.sighting.preview_url for answer in answers for one in answer.answer.candidates}
    urls |= {_query_url(answer) for answer in answers}
    ordered = sorted(urls)
    with ThreadPoolExecutor(WORKERS) as pool:
        pictures = dict(zip(ordered, pool.map(client.picture, ordered), strict=True))
    return draw_sheet(
        f"Crossfix: SAR chips and the vessels they may show ({kind})",
        "Green frame: the true vessel.  " + " ".join(sentences),
        [_row(answer, pictures, columns) for answer in answers],
        columns,
    )


def _query_url(answer: CheckedAnswer) -> str:
    return f"/sightings/{answer.answer.query.sighting_id}/preview.png"


def _row(answer: CheckedAnswer, pictures: dict[str, bytes], columns: int) -> SheetRow:
    query = answer.answer.query
    return SheetRow(
        query=Tile(
            pictures[_query_url(answer)],
            answer.chip.path.stem,
            f"SAR, {query.length_m:.0f} x {query.width_m:.0f} m",
        ),
        verdict=VERDICTS[answer.answer.verdict],
        outcome=answer.judgement.text,
        tone=answer.judgement.tone,
        candidates=[
            Tile(
                pictures[one.sighting.preview_url],
                f"{one.rank}. {one.vessel.label}",
                f"{one.probability:.1%}, similarity {one.similarity:.2f}",
                one.vessel.id == answer.judgement.true_id,
            )
            for one in answer.answer.candidates[:columns]
        ],
    )
