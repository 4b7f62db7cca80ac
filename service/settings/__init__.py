"""The settings of the service, validated at the start.

Each setting is an environment variable with the prefix `CROSSFIX_`; an unknown variable with that
prefix is an error.
"""

from service.settings.addresses import is_loopback
from service.settings.load import load_settings
from service.settings.model import (
    CLIENT_KEY,
    PREFIX,
    S3_TRIES,
    SHIPPED_BUNDLE,
    STOP_GRACE_S,
    Settings,
    SettingsError,
)

__all__ = [
    "CLIENT_KEY",
    "PREFIX",
    "S3_TRIES",
    "SHIPPED_BUNDLE",
    "STOP_GRACE_S",
    "Settings",
    "SettingsError",
    "is_loopback",
    "load_settings",
]
