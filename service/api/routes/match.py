"""`POST /match` and `POST /verify`."""

from typing import Annotated, TypeVar

from fastapi import APIRouter, File, Form
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from service.api.known_fields import KNOWN_QUERY_ONLY, multipart_form
from service.api.middleware.idempotency import IDEMPOTENCY_HEADER
from service.api.problems import UPLOAD_STATUSES, documented
from service.api.schemas import MatchOut, ModelOut, VerifyOut
from service.api.strict_requests import StrictRoute
from service.api.uploads import BinaryFile, file_name, parse_uploads
from service.api.validation_messages import explain
from service.contract.calibration import FITTED_PRIOR
from service.contract.chip import Modality
from service.contract.framing.apply import FramingMode
from service.contract.utc_time import StatedTime
from service.identity.errors import InvalidRequestError
from service.identity.evidence.kinematics import DEFAULT_MAX_SPEED_KN
from service.identity.match import Matcher, MatchOptions
from service.identity.records.base import Line, Note, Text, plain_number
from service.identity.uploads import ChipMetadata, ChipUpload
from service.identity.verify import Verifier
from service.observability.metrics import Telemetry

FRAMING = (
    "`auto`: find the ship, and cut it out upright and tight unless the chip is so already; a chip "
    "without a ship is refused (`no-ship`). `as_is`: judge the chip, but use its pixels as they are"
)


class MatchForm(BaseModel):
    """The form of `POST /match`; an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    chip: BinaryFile = Field(description="TIFF, PNG or JPEG of one ship, at any heading")
    modality: Modality | None = Field(None, description="required when the file does not tell")
    gsd_m: float | None = Field(None, description="metres per pixel", examples=[1.0])
    band: int | None = Field(None, ge=1, description="band of a multi-polarisation SAR chip")
    framing: FramingMode = Field(FramingMode.AUTO, description=FRAMING)
    captured_at: StatedTime | None = Field(
        None,
        description="ISO 8601; a day without a time is taken as the whole day, UTC",
        examples=["2026-03-05T17:20:00Z"],
    )
    lat: float | None = Field(None, ge=-90, le=90, examples=[1.24])
    lon: float | None = Field(None, ge=-180, le=180, examples=[103.9])
    sensor: Line | None = Field(None, max_length=200)
    case: Text | None = Field(None, description="the case that the chip belongs to")
    note: Note | None = Field(None, description="a remark, kept with the match")
    top_k: int = Field(5, ge=1, le=100, description="how many vessels to rank")
    max_speed_kn: float | None = Field(
        None,
        gt=0,
        le=100,
        description="a vessel that would have had to sail faster comes last; default 30",
    )
    vessel_type: Line | None = Field(None, description="only vessels of this registered type")
    looks_like: Line | None = Field(
        None,
        description="the vessel type that you see: counts as evidence, leaves no vessel out",
        examples=["tanker"],
    )
    length_tolerance: float | None = Field(
        None, gt=0, lt=1, description="only vessels whose registered length fits, e.g. 0.2"
    )
    store: bool = Field(
        True,
        description="store the chip as a sighting without a vessel, and the match; with false, "
        "the match can be neither looked up nor judged later",
    )

    _plain = field_validator(
        *("gsd_m", "band", "lat", "lon", "top_k", "max_speed_kn", "length_tolerance"), mode="before"
    )(plain_number)

    def metadata(self) -> ChipMetadata:
        """Return the metadata of the chip, or raise InvalidRequestError."""
        return _validated(ChipMetadata, self.model_dump(include=set(ChipMetadata.model_fields)))

    def options(self) -> MatchOptions:
        """Return the options of the match, or raise InvalidRequestError."""
        return _validated(MatchOptions, self.model_dump(include=set(MatchOptions.model_fields)))


MATCH_FORM = multipart_form(
    "chip", several=False, texts=[name for name in MatchForm.model_fields if name != "chip"]
)
VERIFY_FORM = multipart_form(
    "chips", several=True, texts=["chip_metadata", "framing", "max_speed_kn", "prior"]
)


def match_router(
    matcher: Matcher,
    verifier: Verifier,
    model: ModelOut,
    telemetry: Telemetry,
) -> APIRouter:
    """Return the routes that identify a vessel and compare two chips."""
    router = APIRouter(
        tags=["identify"],
        responses=documented(*UPLOAD_STATUSES, 415, 422, 429, 503, 507),
        dependencies=[KNOWN_QUERY_ONLY],
        route_class=StrictRoute,
    )

    @router.post("/match", dependencies=[MATCH_FORM, IDEMPOTENCY_HEADER])
    def match(form: Annotated[MatchForm, File()]) -> MatchOut:
        """Rank the registered vessels by the probability that the chip shows them.

        Probabilities are calibrated. The verdict says what to do: rely on the first vessel
        (`confident`), look once (`likely`), compare the few that are named (`ambiguous`), take the
        ship as not registered (`no_match`), or get a better chip (`unclear`). `explanation` says
        it in words, with the measured rate at which such answers are right.
        """
        upload = ChipUpload(form.chip.file.read(), form.metadata(), file_name(form.chip))
        result = matcher.match(upload, form.options())
        telemetry.verdicts.labels(result.match.verdict.value).inc()
        query = result.match.query.modality
        for searched, similarity in result.first_similarities.items():
            telemetry.similarity.labels(query.value, searched.value).observe(similarity)
        return MatchOut.of(result, model)

    @router.post("/verify", dependencies=[VERIFY_FORM])
    def verify(
        chips: Annotated[list[BinaryFile], File(description="exactly two chips")],
        chip_metadata: Annotated[
            str | None, Form(description="JSON list of two objects, see `POST /gallery`")
        ] = None,
        framing: Annotated[
            FramingMode | None,
            Form(description="of both chips, unless their `chip_metadata` says otherwise"),
        ] = None,
        max_speed_kn: Annotated[float, Form(gt=0, le=100)] = DEFAULT_MAX_SPEED_KN,
        prior: Annotated[
            float,
            Form(gt=0, lt=1, description="how probable one vessel is before the chips are seen"),
        ] = FITTED_PRIOR,
    ) -> VerifyOut:
        """Estimate the probability that two chips show the same vessel; nothing is stored.

        The probability follows from the chips and from the prior. The default of one half holds
        for a pair that was as likely chosen to show one vessel as to show two; two chips drawn
        from a port of a hundred ships have a prior of about 0.01.
        """
        if len(chips) != 2:
            raise InvalidRequestError(f"{len(chips)} chips were sent; send exactly two")
        first, second = (
            upload.with_framing(framing) for upload in parse_uploads(chips, chip_metadata, limit=2)
        )
        compared = verifier.verify(first, second, max_speed_kn, prior)
        return VerifyOut.of(compared, model)

    return router


Model = TypeVar("Model", bound=BaseModel)


def _validated(model: type[Model], values: dict[str, object]) -> Model:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise InvalidRequestError(explain(error.errors())) from error
