"""Join several chips of one ship into one query.

The query is the mean of the chips' embeddings, weighed by `match_several` of the calibration. The
chips of one ship are not independent, so their evidence is not added up.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from service.contract.fusion import l2_normalise
from service.identity.errors import InvalidRequestError
from service.identity.records.sightings import EmbeddedSighting

Vector = NDArray[np.float32]

MAX_CHIPS = 10


def require_different(digests: Sequence[str]) -> None:
    """Check the chips before they are embedded, by their SHA-256.

    Raises:
        InvalidRequestError: there are too many chips, or one was sent twice.
    """
    if len(digests) > MAX_CHIPS:
        raise InvalidRequestError(
            f"{len(digests)} chips were sent; send at most {MAX_CHIPS} chips of one ship"
        )
    if len(set(digests)) < len(digests):
        raise InvalidRequestError("a chip was sent twice; send each chip of the ship once")


def join(
    queries: Sequence[EmbeddedSighting], half_turned: Sequence[Vector | None]
) -> tuple[EmbeddedSighting, Vector | None]:
    """Return the query to search with, and its half turn; one chip is returned as it is.

    Chips whose bow may be at either end are turned alike: like the first chip whose bow is known,
    which leaves no half turn, or else like the first chip. Sizes are geometric means; all other
    facts are those of the first chip.

    Args:
        half_turned: of each chip, float32 `[D]`, unit length; None where the bow is known.

    Raises:
        InvalidRequestError: the chips are of both sensor types, whose similarities cannot be
            compared.
    """
    first = queries[0].sighting
    if len(queries) == 1:
        return queries[0], half_turned[0]
    if len({one.sighting.modality for one in queries}) > 1:
        raise InvalidRequestError(
            "optical and SAR chips were sent together; ask with chips of one sensor type"
        )
    known = [n for n, back in enumerate(half_turned) if back is None]
    lead = queries[known[0] if known else 0].vector
    ways = [
        (one.vector, back)
        if back is None or one.vector @ lead >= back @ lead
        else (back, one.vector)
        for one, back in zip(queries, half_turned, strict=True)
    ]
    length, width = (
        float(np.exp(np.mean(np.log([getattr(one.sighting, side) for one in queries]))))
        for side in ("length_m", "width_m")
    )
    joined = first.model_copy(update={"length_m": length, "width_m": width})
    straight = _mean([way for way, _ in ways])
    back = None if known else _mean([back for _, back in ways if back is not None])
    return EmbeddedSighting(joined, straight), back


def _mean(vectors: Sequence[Vector]) -> Vector:
    mean: Vector = np.mean(vectors, axis=0, dtype=np.float32)
    return l2_normalise(mean)
