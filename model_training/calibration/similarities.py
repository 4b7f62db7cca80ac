"""How similar the first candidates of replayed searches are: the reference of live searches."""

import numpy as np

from model_training.calibration.searches import Searches
from model_training.calibration.trials import first_similarities
from service.contract.chip import Modality
from service.contract.manifest import ChoiceSpec, SimilarityCounts
from service.contract.similarity import count_similarities


def count_first(searches: Searches, spec: ChoiceSpec) -> tuple[SimilarityCounts, ...]:
    """Similarities of the most probable candidates by sensors and gallery size.

    A larger gallery holds a more similar vessel by chance alone, so each size is counted apart,
    and so are searches whose vessel is enrolled and those whose vessel is not.

    Args:
        searches: see `calibration.searches`.
        spec: how the candidates are weighed.
    """
    similarity = first_similarities(searches, spec)
    counts = []
    for asking in Modality:
        for searched in Modality:
            pair = (searches.asking == asking.value) & (searches.searched == searched.value)
            for size in np.unique(searches.gallery_vessels[pair]):
                here = pair & (searches.gallery_vessels == size)
                counts.append(
                    SimilarityCounts(
                        query=asking.value,
                        gallery=searched.value,
                        gallery_vessels=int(size),
                        enrolled=count_similarities(similarity[here & searches.enrolled]),
                        not_enrolled=count_similarities(similarity[here & ~searches.enrolled]),
                    )
                )
    return tuple(counts)
