"""Whether traces are sent, and to which collector.

What sends them is imported only where a collector is named.
"""

from service.observability.tracing import NoTracing, Tracing
from service.settings import PREFIX, Settings, SettingsError


def open_tracing(settings: Settings) -> Tracing:
    """As the settings have it.

    Raises:
        SettingsError: a collector is named, but what speaks to it is not installed.
    """
    if settings.tracing_endpoint is None:
        return NoTracing()
    try:
        from service.observability.otlp import OtlpTracing
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"{PREFIX}TRACING_ENDPOINT: {error.name} is not installed; install crossfix[tracing], "
            "or leave the setting unset"
        ) from error
    return OtlpTracing(settings.tracing_endpoint, settings.tracing_share, settings.replica)
