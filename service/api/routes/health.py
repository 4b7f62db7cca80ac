"""`/livez`, `/readyz`, `/metrics`, `/bundle`: what operators and probes ask."""

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Response

from service.api.schemas import BundleOut, StatusOut
from service.maintenance.readiness import ReadinessCheck
from service.observability.metrics import Telemetry

PROBES_AT_ONCE = 4


def health_router(readiness: ReadinessCheck, telemetry: Telemetry, bundle: BundleOut) -> APIRouter:
    """The routes for probes and dashboards."""
    router = APIRouter(tags=["operate"])
    # Threads of its own: requests that fill the common ones must not make the service look dead.
    threads = CapacityLimiter(PROBES_AT_ONCE)

    @router.get("/livez")
    async def livez() -> dict[str, str]:
        """The process answers."""
        return {"status": "alive"}

    @router.get("/readyz", responses={503: {"model": StatusOut}})
    async def readyz(response: Response) -> StatusOut:
        """The service can do its job: it just embedded a chip and reached stores and audit log."""
        state = await to_thread.run_sync(readiness, limiter=threads)
        response.status_code = 200 if state.ready else 503
        return StatusOut(ready=state.ready, parts=state.parts)

    @router.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Prometheus metrics."""
        body, content_type = await to_thread.run_sync(telemetry.exposition, limiter=threads)
        return Response(body, headers={"Content-Type": content_type})

    @router.get("/bundle")
    def show_bundle() -> BundleOut:
        """Which models answer, what they were taught with and how well they measured."""
        return bundle

    return router
