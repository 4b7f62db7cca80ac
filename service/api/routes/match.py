"""`POST /match`, `POST /match/scene` and `POST /verify`."""

from typing import Annotated

from fastapi import APIRouter, File, Form, Response

from service.api.chip_schemas import ResponseBody
from service.api.known_fields import multipart_form
from service.api.match_forms import MatchForm, SceneForm
from service.api.middleware.idempotency import IDEMPOTENCY_HEADER
from service.api.problems import UPLOAD_STATUSES, documented
from service.api.schemas import MatchOut, SceneOut, VerifyOut
from service.api.strict_requests import strict_router
from service.api.uploads import BinaryFile, parse_uploads
from service.contract.calibration import FITTED_PRIOR
from service.contract.framing.records import FramingMode
from service.identity.errors import InvalidRequestError
from service.identity.evidence.kinematics import DEFAULT_MAX_SPEED_KN
from service.identity.matching.match import Matcher, MatchResult
from service.identity.matching.scene import SceneMatcher
from service.identity.matching.verify import Verifier
from service.identity.records.base import PLAIN_NUMBER
from service.identity.records.match_records import AnsweringModel
from service.observability.metrics import Telemetry

MATCH_FORM = multipart_form("chip", [name for name in MatchForm.model_fields if name != "chip"])
SCENE_FORM = multipart_form("chips", [name for name in SceneForm.model_fields if name != "chips"])
VERIFY_FORM = multipart_form("chips", ["chip_metadata", "framing", "max_speed_kn", "prior"])


def match_router(
    matcher: Matcher,
    scene_matcher: SceneMatcher,
    verifier: Verifier,
    model: AnsweringModel,
    telemetry: Telemetry,
) -> APIRouter:
    """Return the routes that identify a vessel and compare two chips."""
    responses = documented(*UPLOAD_STATUSES, 415, 422, 429, 503, 507)
    router = strict_router("identify", responses=responses)

    @router.post("/match", response_model=MatchOut, dependencies=[MATCH_FORM, IDEMPOTENCY_HEADER])
    def match(form: Annotated[MatchForm, File()]) -> Response:
        """Rank the registered vessels by the probability that the chip shows them.

        Probabilities are calibrated. The verdict says what to do: rely on the first vessel
        (`confident`), look once (`likely`), compare the few that are named (`ambiguous`), take the
        ship as not registered (`no_match`), or get a better chip (`unclear`). `explanation` says
        it in words, with the measured rate at which such answers are right.

        Several `chip` parts are chips of one ship and get one answer: a judgement of it holds for
        all of them.
        """
        first, *more = form.uploads()
        result = matcher.match(first, form.options(), more)
        _observe(result, telemetry)
        return _json(MatchOut.of(result, model))

    @router.post(
        "/match/scene", response_model=SceneOut, dependencies=[SCENE_FORM, IDEMPOTENCY_HEADER]
    )
    def match_scene(form: Annotated[SceneForm, File()]) -> Response:
        """Rank the registered vessels for the chips of one image together.

        No vessel is in one image twice, and each chip may show none: one joint model gives each
        chip its probabilities. Each chip gets a match of its own, in the order of the chips;
        `scene` in it says how the answer differs from that of the chip alone, and why.
        """
        results = scene_matcher.match(form.uploads(), form.options())
        for result in results:
            _observe(result, telemetry)
        return _json(SceneOut.of(results, model))

    @router.post("/verify", response_model=VerifyOut, dependencies=[VERIFY_FORM])
    def verify(
        chips: Annotated[list[BinaryFile], File(description="exactly two chips")],
        chip_metadata: Annotated[
            str | None, Form(description="JSON list of two objects, see `POST /gallery`")
        ] = None,
        framing: Annotated[
            FramingMode | None,
            Form(description="of both chips, unless their `chip_metadata` says otherwise"),
        ] = None,
        max_speed_kn: Annotated[float, PLAIN_NUMBER, Form(gt=0, le=100)] = DEFAULT_MAX_SPEED_KN,
        prior: Annotated[
            float,
            PLAIN_NUMBER,
            Form(gt=0, lt=1, description="how probable one vessel is before the chips are seen"),
        ] = FITTED_PRIOR,
    ) -> Response:
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
        return _json(VerifyOut.of(compared, model))

    return router


def _json(body: ResponseBody) -> Response:
    """Write a body in the thread that made it; the framework would validate it in another one."""
    return Response(body.model_dump_json(), media_type="application/json")


def _observe(result: MatchResult, telemetry: Telemetry) -> None:
    telemetry.verdicts.labels(result.match.verdict.value).inc()
    if result.unstored is not None:
        telemetry.unstored.labels(result.unstored.value).inc()
    query = result.match.query.modality
    for searched, similarity in result.first_similarities.items():
        telemetry.similarity.labels(query.value, searched.value).observe(similarity)
