"""`POST /match` and `POST /verify`."""

from typing import Annotated, TypeVar

from fastapi import APIRouter, File, Form, UploadFile
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.api.known_fields import KNOWN_QUERY, form_of
from service.api.middleware.idempotency import REPEATABLE
from service.api.problems import UPLOAD, documented
from service.api.schemas import MatchOut, ModelOut, VerifyOut
from service.api.uploads import parse_uploads
from service.api.validation_messages import explain
from service.contract.chip import Modality
from service.contract.utc_time import UtcTime
from service.identity.errors import InvalidRequestError
from service.identity.kinematics import DEFAULT_MAX_SPEED_KN
from service.identity.match import Matcher, MatchOptions
from service.identity.observe import ChipMetadata, ChipUpload
from service.identity.verify import Verifier
from service.observability.metrics import Telemetry


class MatchForm(BaseModel):
    """The fields beside the chip; an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    chip: UploadFile = Field(description="TIFF, PNG or JPEG of one ship, cropped tight")
    modality: Modality | None = Field(None, description="needed when the file does not tell")
    gsd_m: float | None = Field(None, description="metres per pixel", examples=[1.0])
    band: int | None = Field(None, ge=1, description="band of a multi-polarisation SAR chip")
    captured_at: UtcTime | None = Field(None, examples=["2026-03-05T17:20:00Z"])
    lat: float | None = Field(None, ge=-90, le=90, examples=[1.24])
    lon: float | None = Field(None, ge=-180, le=180, examples=[103.9])
    sensor: str | None = Field(None, max_length=200)
    top_k: int = Field(5, ge=1, le=100, description="how many vessels to rank")
    max_speed_kn: float | None = Field(
        None, gt=0, le=100, description="leave out vessels that would have had to sail faster"
    )
    vessel_type: str | None = Field(None, description="only vessels of this registered type")
    length_tolerance: float | None = Field(
        None, gt=0, lt=1, description="only vessels whose registered length fits, e.g. 0.2"
    )
    store: bool = Field(
        True,
        description="keep the chip as a sighting whose vessel is open, and remember the match; "
        "with false it can be neither looked up nor judged later",
    )

    def metadata(self) -> ChipMetadata:
        return _checked(ChipMetadata, self.model_dump(include=set(ChipMetadata.model_fields)))

    def options(self) -> MatchOptions:
        return _checked(MatchOptions, self.model_dump(include=set(MatchOptions.model_fields)))


MATCH_FORM = form_of(
    "chip", several=False, texts=[name for name in MatchForm.model_fields if name != "chip"]
)
VERIFY_FORM = form_of("chips", several=True, texts=["chip_metadata", "max_speed_kn"])


def match_router(
    matcher: Matcher,
    verifier: Verifier,
    model: ModelOut,
    telemetry: Telemetry,
) -> APIRouter:
    """The routes that answer "which vessel?" and "the same vessel?"."""
    router = APIRouter(
        tags=["identify"],
        responses=documented(*UPLOAD, 415, 422, 429, 503, 507),
        dependencies=[KNOWN_QUERY],
    )

    @router.post("/match", dependencies=[MATCH_FORM, REPEATABLE])
    def match(form: Annotated[MatchForm, File()]) -> MatchOut:
        """Which known vessel does this chip show?

        Vessels are ranked by calibrated probability. The verdict says whether the first may be
        taken for granted (`confident`), needs an analyst (`ambiguous`), or whether the honest
        answer is that the ship is not one that is known (`no_match`).
        """
        upload = ChipUpload(form.chip.file.read(), form.metadata())
        answer = matcher.match(upload, form.options())
        telemetry.verdicts.labels(answer.match.verdict.value).inc()
        query = answer.match.query.modality
        for searched, similarity in answer.first_similarities.items():
            telemetry.similarity.labels(query.value, searched.value).observe(similarity)
        return MatchOut.of(answer, model)

    @router.post("/verify", dependencies=[VERIFY_FORM])
    def verify(
        chips: Annotated[list[UploadFile], File(description="exactly two chips")],
        chip_metadata: Annotated[
            str | None, Form(description="JSON list of two objects, see `POST /gallery`")
        ] = None,
        max_speed_kn: Annotated[float, Form(gt=0, le=100)] = DEFAULT_MAX_SPEED_KN,
    ) -> VerifyOut:
        """Do two chips show one vessel? Nothing is stored."""
        if len(chips) != 2:
            raise InvalidRequestError(f"exactly two chips are compared, {len(chips)} were sent")
        first, second = parse_uploads(chips, chip_metadata, limit=2)
        compared = verifier.verify(first, second, max_speed_kn)
        return VerifyOut.of(compared, model)

    return router


M = TypeVar("M", bound=BaseModel)


def _checked(kind: type[M], values: dict[str, object]) -> M:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise InvalidRequestError(explain(error.errors())) from error
