"""The parts of a `POST /match` response that are shown to a person."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from service.client.errors import UnreachableError
from service.client.http import Json

Verdict = Literal["confident", "likely", "ambiguous", "no_match", "unclear"]


class Shown(BaseModel):
    """Immutable part of a response; fields that are not shown are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ShownVessel(Shown):
    """Vessel of a candidate."""

    id: str
    name: str | None = None
    imo: str | None = None
    mmsi: str | None = None
    type: str | None = None
    length_m: float | None = None

    @property
    def label(self) -> str:
        """Name, IMO number, MMSI or id: the first that is known."""
        if self.name:
            return self.name
        if self.imo:
            return f"IMO {self.imo}"
        return f"MMSI {self.mmsi}" if self.mmsi else self.id


class ShownSighting(Shown):
    """Sighting of the candidate that is most similar to the query."""

    preview_url: str


class LengthCheck(Shown):
    """Measured length of the query against the registered length, metres."""

    vessel_m: float
    ok: bool


class KinematicsCheck(Shown):
    """Whether the vessel could have sailed from its sighting to the query in time."""

    distance_nm: float
    hours: float
    required_kn: float | None = None
    feasible: bool


class Checks(Shown):
    """Plausibility checks of a candidate; None where data is missing."""

    length: LengthCheck | None = None
    kinematics: KinematicsCheck | None = None


class ShownCandidate(Shown):
    """Ranked vessel with its calibrated probability and cosine similarity."""

    rank: int
    probability: float
    similarity: float
    vessel: ShownVessel
    sighting: ShownSighting
    checks: Checks = Checks()


class ShownFraming(Shown):
    """How the chip was framed."""

    method: str
    turned_deg: float = 0.0


class ShownFinding(Shown):
    """One judgement of the chip."""

    level: Literal["ok", "doubtful", "bad"]
    sentence: str


class ShownQuality(Shown):
    """What was judged of the chip, the worst first."""

    findings: tuple[ShownFinding, ...] = ()


class ShownQuery(Shown):
    """Query chip as the service decoded it."""

    sighting_id: str | None = None
    modality: str
    gsd_m: float
    length_m: float
    width_m: float
    framing: ShownFraming = ShownFraming(method="unchanged")
    quality: ShownQuality | None = None
    warnings: tuple[str, ...] = ()

    def complaints(self, level: Literal["doubtful", "bad"]) -> tuple[str, ...]:
        """Return the sentences of the findings of a level."""
        findings = () if self.quality is None else self.quality.findings
        return tuple(finding.sentence for finding in findings if finding.level == level)


class ShownModel(Shown):
    """Bundle that answered."""

    name: str
    training_domain: str


class ShownGallery(Shown):
    """Size of the gallery that was searched."""

    vessels: int


class ShownExplanation(Shown):
    """What the verdict means, in words."""

    text: str
    differences: tuple[str, ...] = ()


class MatchAnswer(Shown):
    """Response of `POST /match`."""

    verdict: Verdict
    candidates: tuple[ShownCandidate, ...]
    none_probability: float | None
    explanation: ShownExplanation | None = None
    query: ShownQuery
    model: ShownModel
    gallery: ShownGallery
    timings_ms: dict[str, float] = {}

    @property
    def none_percent(self) -> str:
        """The probability of none of the vessels in per cent; a dash if nothing was compared."""
        return "-" if self.none_probability is None else f"{self.none_probability:.1%}"


def read_answer(body: Json) -> MatchAnswer:
    """Validate a response body of `POST /match`.

    Raises:
        UnreachableError: the body does not fit; another version of the service may answer.
    """
    try:
        return MatchAnswer.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise UnreachableError(
            f"the service's answer is not understood ({field}: {first['msg']}); "
            "does the service have another version?"
        ) from error
