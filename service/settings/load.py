"""Read the settings from the environment."""

import difflib
import os
from collections.abc import Iterable, Mapping

from pydantic import ValidationError

from service.settings.model import CLIENT_KEY, PREFIX, TEST_PREFIX, Settings, SettingsError

MAY_HOLD_SECRETS = ("redis_url", "webhook_url", "webhook_secret")


def load_settings(**overrides: object) -> Settings:
    """Read the settings from the environment; overrides that are not None take precedence.

    Raises:
        SettingsError: a setting is unknown or malformed.
    """
    _refuse_unknown(os.environ)
    try:
        return Settings(**{k: v for k, v in overrides.items() if v is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        raise SettingsError("; ".join(_one_line(e) for e in error.errors())) from error


def _refuse_unknown(names: Iterable[str]) -> None:
    known = sorted(name.upper() for name in Settings.model_fields)
    accepted = {CLIENT_KEY, *(PREFIX + name for name in known)}
    for name in sorted(names):
        # Compared without regard to case, since pydantic reads names in any case.
        is_ours = name.upper().startswith(PREFIX) and not name.startswith(TEST_PREFIX)
        if is_ours and name not in accepted:
            close = difflib.get_close_matches(name.upper().removeprefix(PREFIX), known, n=1)
            hint = (
                f"did you mean {PREFIX}{close[0]}?"
                if close
                else f"the settings after {PREFIX} are {', '.join(known)}"
            )
            raise SettingsError(f"unknown setting {name}; {hint}")


def _one_line(error: object) -> str:
    if not isinstance(error, Mapping):
        return str(error)
    name = "_".join(str(part) for part in error["loc"])
    message = str(error["msg"]).removeprefix("Value error, ")
    value = repr(error["input"])
    if name in MAY_HOLD_SECRETS or "@" in value:
        value = "a value that is not shown, since it may hold a password"
    return f"{PREFIX}{name.upper()}: {message} (got {value})" if name else message
