"""The parameters of a calibration, as a bundle's manifest holds them."""

import itertools
import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from service.contract.weighing.base import ManifestPart

Count = Annotated[int, Field(ge=0)]
SensorName = Literal["optical", "sar"]
EvidenceName = Literal["similarity", "similarity_z", "length_log_ratio", "width_log_ratio"]
VerdictName = Literal["confident", "likely", "ambiguous", "no_match", "unclear"]

FINE_GSD_M = 1.0
"""Up to this GSD queries count as fine: a calibration is fitted on chips of 0.75 and 1 m."""


class LogisticSpec(ManifestPart):
    """P = sigmoid(bias + sum of weight x evidence); see `service.contract.calibration`."""

    bias: float
    weights: dict[EvidenceName, float]


class ChoiceSpec(ManifestPart):
    """Weights of a gallery search; see `service.contract.candidate_probabilities`.

    A candidate's score is the sum of weight x evidence; the score of "none" is
    `none_bias + none_log_gallery x ln(vessels searched) + none_log_sum x ln(sum of exp(score) of
    all candidates)`. `centres` divide `none_bias` among the evidence: weight x evidence + centre is
    the ln likelihood ratio of that evidence alone, so that it can be told in words; probabilities
    do not depend on them.
    """

    weights: dict[EvidenceName, float]
    none_bias: float
    none_log_gallery: float = Field(ge=0)
    none_log_sum: float = Field(default=0.0, ge=0, lt=1)
    centres: dict[EvidenceName, float] = Field(default_factory=dict)


class CoarseSpec(ManifestPart):
    """Weights of searches whose query has a coarse GSD, see `CalibrationSpec.for_query`.

    Attributes:
        gsd_m: of the queries that they were fitted on, metres per pixel; the gallery is fine.
        match: see `CalibrationSpec`.
        match_same_sensor: see `CalibrationSpec`.
    """

    gsd_m: float = Field(gt=FINE_GSD_M)
    match: ChoiceSpec
    match_same_sensor: ChoiceSpec | None = None


class OpenSetPoint(ManifestPart):
    """A measured identification rate at a false-identification rate, for one gallery size."""

    gallery_vessels: int
    false_identification_rate: float
    identification_rate: float
    identification_low: float
    identification_high: float
    threshold: float


class ConfidentPoint(ManifestPart):
    """The threshold of `confident` for galleries up to a size, and how often it is right.

    Attributes:
        gallery_vessels: the largest gallery that the threshold holds for.
        threshold: lowest probability of the first candidate in a `confident` answer, 0 to 1.
        right: share of the answers above the threshold whose vessel was right, 0 to 1.
        right_low: lower end of its 95 % interval over ships.
    """

    gallery_vessels: int = Field(ge=1)
    threshold: float = Field(ge=0, le=1)
    right: float = Field(ge=0, le=1)
    right_low: float = Field(ge=0, le=1)
    answers: int = Field(ge=1)


class VerdictPoint(ManifestPart):
    """The threshold of a verdict for galleries up to a size, and how often it is right.

    An answer is right if the first vessel is the ship (`confident`, `likely`, `unclear`), if the
    ship is not enrolled (`no_match`), or if the truth is among the named outcomes, "none of them"
    included (`ambiguous`). The rate of `likely` leaves out `confident` answers.

    Attributes:
        gallery_vessels: the largest gallery that the point is for.
        threshold: see `service.contract.weighing.verdicts.Thresholds`; 0 for `unclear`.
        right: share of such answers that are right, 0 to 1.
        right_low: lower end of its 95 % interval over ships.
        right_high: upper end.
        measured_on: the ships that `right` was measured on.
    """

    verdict: VerdictName
    gallery_vessels: int = Field(ge=1)
    threshold: float = Field(ge=0, le=1)
    right: float = Field(ge=0, le=1)
    right_low: float = Field(ge=0, le=1)
    right_high: float = Field(ge=0, le=1)
    answers: int = Field(ge=1)
    measured_on: str


class SimilarityCounts(ManifestPart):
    """Histograms of the first candidates' cosines in the searches of the calibration.

    Attributes:
        enrolled: number of searches in each class of cosines (`SimilaritySpec.edges`), for queries
            whose vessel is in the gallery.
        not_enrolled: the same for queries whose vessel is not.
    """

    query: SensorName
    gallery: SensorName
    gallery_vessels: int = Field(ge=1)
    enrolled: tuple[Count, ...]
    not_enrolled: tuple[Count, ...]


class SimilaritySpec(ManifestPart):
    """The similarities in the calibration, with which live similarities are compared.

    `edges` are the inclusive upper ends of the classes, ascending; each histogram has one class
    more, for values above the last edge.
    """

    edges: tuple[float, ...] = Field(min_length=1)
    searches: tuple[SimilarityCounts, ...]

    @model_validator(mode="after")
    def _classes_fit(self) -> "SimilaritySpec":
        if any(later <= earlier for earlier, later in itertools.pairwise(self.edges)):
            raise ValueError(f"similarity edges must ascend, got {self.edges}")
        classes = len(self.edges) + 1
        for counts in self.searches:
            if not len(counts.enrolled) == len(counts.not_enrolled) == classes:
                raise ValueError(f"similarities must be counted in {classes} classes")
        return self


class RatioTable(ManifestPart):
    """The logarithm of a likelihood ratio by a measured value: linear between knots.

    Attributes:
        at: the values of the knots, ascending; beyond the ends the nearest knot holds.
        log_ratio: ln of how much likelier the value is for the ship itself than for another one.
    """

    at: tuple[float, ...] = Field(min_length=1)
    log_ratio: tuple[float, ...]

    @model_validator(mode="after")
    def _knots_fit(self) -> "RatioTable":
        if any(later <= earlier for earlier, later in itertools.pairwise(self.at)):
            raise ValueError(f"the knots of a ratio table must ascend, got {self.at}")
        if len(self.at) != len(self.log_ratio):
            raise ValueError(f"{len(self.at)} knots have {len(self.log_ratio)} log ratios")
        return self


class VoyageTable(ManifestPart):
    """The likelihood ratio of the required speed, for sightings up to `max_hours` apart.

    `table` takes the required speed as a multiple of the usual speed of the vessel's type.
    """

    max_hours: float = Field(gt=0)
    table: RatioTable


class ContextSpec(ManifestPart):
    """Evidence beside the pixels and the gallery's chips; see `weighing.context`.

    Fitted and measured on simulated registers and voyages (`model_training.calibration.context`).

    Attributes:
        register_length: a table over |ln(measured length / registered length)|.
        register_width: a table over |ln(measured width / registered beam)|.
        type_agrees: ln likelihood ratio of a vessel of the type that the analyst sees.
        type_differs: ln likelihood ratio of a vessel of another type.
        voyage: tables by hours between the sightings, ascending; longer voyages do not count.
    """

    register_length: RatioTable
    register_width: RatioTable
    type_agrees: float
    type_differs: float
    voyage: tuple[VoyageTable, ...]
    fitted_on: str


class CalibrationSpec(ManifestPart):
    """The weights of the evidence, and the probabilities that separate the verdicts.

    Attributes:
        match: weighs the candidates of a gallery search across sensors.
        verify: weighs a single pair of chips across sensors.
        match_same_sensor: weighs a search for chips of the query's own sensor; None: these are not
            compared.
        match_several: weighs the mean embedding of several chips of one ship, as fitted on two.
        coarse: the weights of coarser queries, by ascending GSD; empty: weighed as fine ones.
        context: weighs registered sizes, types and possible voyages; None: these do not count.
        verify_same_sensor: weighs a pair of chips of one sensor; None: these are not compared.
        confident: the thresholds of `confident` by gallery size; no answer is `confident` in a
            larger gallery.
        confident_from: the lowest of these thresholds, 1 without any.
        real_share: share of genuine chips, 0 to 1, among those of the calibration.
        no_match_below: the threshold of bundles without `verdicts`, see `weighing.verdicts`.
        verdicts: the thresholds and rates of all verdicts by gallery size.
        fitted_on: the chips of the calibration, in words.
        operating_points: measured identification rates, for the model card.
        similarities: the histograms that live similarities are compared with, to detect drift;
            None: drift cannot be detected.
        both_ways: for queries whose bow may be at either end; None: weighed as others.
    """

    match: ChoiceSpec
    verify: LogisticSpec
    match_same_sensor: ChoiceSpec | None = None
    match_several: ChoiceSpec | None = None
    coarse: tuple[CoarseSpec, ...] = ()
    context: ContextSpec | None = None
    verify_same_sensor: LogisticSpec | None = None
    confident: tuple[ConfidentPoint, ...] = ()
    confident_from: float = Field(ge=0, le=1)
    real_share: float = Field(0.0, ge=0, le=1)
    no_match_below: float = Field(0.0, ge=0, le=1)
    verdicts: tuple[VerdictPoint, ...] = ()
    fitted_on: str
    operating_points: tuple[OpenSetPoint, ...] = ()
    similarities: SimilaritySpec | None = None
    both_ways: "BothWaysSpec | None" = None

    @model_validator(mode="after")
    def _ordered(self) -> "CalibrationSpec":
        if self.no_match_below > self.confident_from:
            raise ValueError("no_match_below must not exceed confident_from")
        sizes = [point.gallery_vessels for point in self.confident]
        if sizes != sorted(set(sizes)):
            raise ValueError(f"gallery sizes of the confident thresholds must ascend, got {sizes}")
        gsds = [one.gsd_m for one in self.coarse]
        if gsds != sorted(set(gsds)):
            raise ValueError(f"the GSDs of coarse queries must ascend, got {gsds}")
        places = [(point.verdict, point.gallery_vessels) for point in self.verdicts]
        if len(places) != len(set(places)):
            raise ValueError(f"each verdict has one point for a gallery size, got {places}")
        return self

    def confident_threshold(self, gallery_vessels: int) -> float | None:
        """Return the threshold for a gallery of this many vessels; None where none was measured."""
        for point in self.confident:
            if gallery_vessels <= point.gallery_vessels:
                return point.threshold
        return None

    @property
    def certainty_slope(self) -> float | None:
        """How certain the better way of a query is, see `BothWaysSpec`; None without it."""
        return None if self.both_ways is None else self.both_ways.certainty_slope

    @property
    def bow_preference(self) -> float | None:
        """See `BothWaysSpec`; None without it."""
        return None if self.both_ways is None else self.both_ways.bow_preference

    def for_query(
        self, *, both_ways: bool, gsd_m: float = FINE_GSD_M, several: bool = False
    ) -> "CalibrationSpec":
        """Return the calibration of a query.

        Between two GSDs with weights of their own, weights are interpolated over the logarithm of
        the GSD; beyond the coarsest, its weights hold.

        Args:
            both_ways: whether the query is compared both ways round. A bundle without a calibration
                for that has only this one.
            gsd_m: of the query, metres per pixel.
            several: whether the query is several chips of one ship. These are weighed as one chip
                where nothing was fitted for them, and by the same weights at any GSD.
        """
        chosen = self
        if both_ways and self.both_ways is not None:
            chosen = self.both_ways.calibration
        if several and chosen.match_several is not None:
            return chosen.model_copy(update={"match": chosen.match_several})
        return chosen._at(gsd_m)

    def _at(self, gsd_m: float) -> "CalibrationSpec":
        """Return the calibration with the weights of queries of a GSD."""
        if gsd_m <= FINE_GSD_M or not self.coarse:
            return self
        fine = CoarseSpec.model_construct(
            gsd_m=FINE_GSD_M, match=self.match, match_same_sensor=self.match_same_sensor
        )
        for finer, coarser in itertools.pairwise((fine, *self.coarse)):
            if gsd_m < coarser.gsd_m:
                share = math.log(gsd_m / finer.gsd_m) / math.log(coarser.gsd_m / finer.gsd_m)
                break
        else:
            share = 1.0
        same, other = finer.match_same_sensor, coarser.match_same_sensor
        return self.model_copy(
            update={
                "match": _between(finer.match, coarser.match, share),
                "match_same_sensor": same and other and _between(same, other, share),
            }
        )


def _between(first: ChoiceSpec, second: ChoiceSpec, share: float) -> ChoiceSpec:
    """Interpolate linearly: the first at a share of 0, the second at 1."""

    def mix(one: float, other: float) -> float:
        return (1.0 - share) * one + share * other

    def mix_all(
        one: dict[EvidenceName, float], other: dict[EvidenceName, float]
    ) -> dict[EvidenceName, float]:
        return {name: mix(one.get(name, 0.0), other.get(name, 0.0)) for name in one | other}

    return ChoiceSpec(
        weights=mix_all(first.weights, second.weights),
        none_bias=mix(first.none_bias, second.none_bias),
        none_log_gallery=mix(first.none_log_gallery, second.none_log_gallery),
        none_log_sum=mix(first.none_log_sum, second.none_log_sum),
        centres=mix_all(first.centres, second.centres),
    )


class BothWaysSpec(ManifestPart):
    """What comparing a query both ways round needs, see `service.contract.framing.half_turn`.

    Attributes:
        calibration: fitted on searches whose query counts with the more similar of its two ways;
            has no `both_ways` itself.
        certainty_slope: the probability that the more similar way is right is the sigmoid of this
            number times the difference of the two cosines.
        bow_preference: subtracted from the cosine of the half turn if framing has turned or cut out
            neither the query nor the known chip, 0 to 2, because such chips mostly show their bows
            at the same end. None: such pairs are compared one way.
    """

    calibration: CalibrationSpec
    certainty_slope: float = Field(ge=0)
    bow_preference: float | None = Field(default=None, ge=0, le=2)

    @model_validator(mode="after")
    def _not_nested(self) -> "BothWaysSpec":
        if self.calibration.both_ways is not None:
            raise ValueError("the calibration of both_ways must not have both_ways itself")
        return self
