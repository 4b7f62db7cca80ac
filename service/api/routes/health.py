"""`/livez`, `/readyz`, `/metrics`, `/bundle`: the routes for operators and probes."""

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request, Response

from service.api.fixed_content import FixedContent
from service.api.middleware.auth import SECURITY
from service.api.schemas import BundleOut, StatusOut
from service.maintenance.readiness import ReadinessCheck
from service.observability.metrics import Telemetry

PROBE_THREADS = 4


def health_router(readiness: ReadinessCheck, telemetry: Telemetry, bundle: BundleOut) -> APIRouter:
    """Return the routes for probes, which need no key, and for dashboards."""
    router = APIRouter(tags=["operate"])
    # Separate from the threads of the other routes: a busy service must not look dead.
    threads = CapacityLimiter(PROBE_THREADS)
    described = FixedContent(bundle.model_dump_json(by_alias=True).encode(), "application/json")

    @router.get("/livez")
    async def livez() -> dict[str, str]:
        """Report that the process answers."""
        return {"status": "alive"}

    @router.get("/readyz", responses={503: {"model": StatusOut}})
    async def readyz(response: Response) -> StatusOut:
        """Report whether the service just embedded a chip and reached stores and audit log."""
        state = await to_thread.run_sync(readiness, limiter=threads)
        response.status_code = 200 if state.ready else 503
        return StatusOut(ready=state.ready, parts=state.parts)

    @router.get("/metrics", response_class=Response, dependencies=SECURITY)
    async def metrics() -> Response:
        """Return the Prometheus metrics."""
        body, content_type = await to_thread.run_sync(telemetry.exposition, limiter=threads)
        return Response(body, headers={"Content-Type": content_type})

    @router.get("/bundle", dependencies=SECURITY, response_model=BundleOut)
    async def show_bundle(request: Request) -> Response:
        """Show the models that answer, their training data and their measured accuracy."""
        return described.response(request)

    return router
