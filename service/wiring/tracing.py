"""Open tracing. The packages that send traces are imported only when a collector is configured."""

from service.observability.tracing import Tracing
from service.settings import PREFIX, Settings, SettingsError


def open_tracing(settings: Settings) -> Tracing:
    """Return the tracing that the settings choose.

    Raises:
        SettingsError: a collector is configured, but the package that sends traces is missing.
    """
    if settings.tracing_endpoint is None:
        return Tracing()
    try:
        from service.observability.otlp import OtlpTracing
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"{PREFIX}TRACING_ENDPOINT: {error.name} is not installed; install crossfix[tracing], "
            "or leave the setting unset"
        ) from error
    return OtlpTracing(settings.tracing_endpoint, settings.tracing_share, settings.replica)
