"""Count the similarities of first candidates in replayed searches, to compare live ones with."""

import numpy as np

from model_training.calibration.searches import Searches
from model_training.calibration.trials import first_similarities
from service.contract.chip import Modality
from service.contract.similarity import count_similarities
from service.contract.weighing.specs import ChoiceSpec, SimilarityCounts


def count_first(searches: Searches, spec: ChoiceSpec) -> tuple[SimilarityCounts, ...]:
    """Count similarities of the most probable candidates by sensors and gallery size.

    A larger gallery holds a more similar vessel by chance alone, so each size is counted
    separately, and so are searches whose vessel is enrolled and those whose vessel is not.

    Args:
        searches: see `calibration.searches`.
        spec: how the candidates are weighed.
    """
    similarity = first_similarities(searches, spec)
    counts = []
    for query_sensor in Modality:
        for gallery_sensor in Modality:
            pair = (searches.query_sensor == query_sensor.value) & (
                searches.gallery_sensor == gallery_sensor.value
            )
            for size in np.unique(searches.gallery_vessels[pair]):
                of_size = pair & (searches.gallery_vessels == size)
                counts.append(
                    SimilarityCounts(
                        query=query_sensor.value,
                        gallery=gallery_sensor.value,
                        gallery_vessels=int(size),
                        enrolled=count_similarities(similarity[of_size & searches.enrolled]),
                        not_enrolled=count_similarities(similarity[of_size & ~searches.enrolled]),
                    )
                )
    return tuple(counts)
