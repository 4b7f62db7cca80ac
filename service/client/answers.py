"""The parts of the service's answers that are shown; everything else is passed on as it came."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from service.client.errors import UnreachableError
from service.client.http import Json

Verdict = Literal["confident", "ambiguous", "no_match"]


class Shown(BaseModel):
    """Immutable; fields that are not shown are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ShownVessel(Shown):
    id: str
    name: str | None = None
    imo: str | None = None
    mmsi: str | None = None
    type: str | None = None
    length_m: float | None = None

    @property
    def label(self) -> str:
        """What a person would call it."""
        if self.name:
            return self.name
        if self.imo:
            return f"IMO {self.imo}"
        return f"MMSI {self.mmsi}" if self.mmsi else self.id


class ShownSighting(Shown):
    id: str
    modality: str
    preview_url: str


class LengthCheck(Shown):
    query_m: float
    vessel_m: float
    ok: bool


class KinematicsCheck(Shown):
    distance_nm: float
    hours: float
    required_kn: float | None = None
    feasible: bool


class Checks(Shown):
    length: LengthCheck | None = None
    kinematics: KinematicsCheck | None = None


class ShownCandidate(Shown):
    rank: int
    probability: float
    similarity: float
    vessel: ShownVessel
    sighting: ShownSighting
    checks: Checks = Checks()


class ShownQuery(Shown):
    sighting_id: str | None = None
    modality: str
    gsd_m: float
    length_m: float
    width_m: float
    warnings: tuple[str, ...] = ()


class ShownModel(Shown):
    bundle_id: str
    name: str
    training_domain: str


class ShownGallery(Shown):
    vessels: int
    sightings: int


class MatchAnswer(Shown):
    """What `POST /match` answers."""

    match_id: str
    verdict: Verdict
    candidates: tuple[ShownCandidate, ...]
    none_probability: float
    query: ShownQuery
    model: ShownModel
    gallery: ShownGallery
    timings_ms: dict[str, float] = {}


def read_answer(body: Json) -> MatchAnswer:
    """Raises UnreachableError when the body is no answer of this API."""
    try:
        return MatchAnswer.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UnreachableError(
            f"the service's answer is not understood ({place}: {first['msg']}); "
            "is it of another version?"
        ) from error
