"""Everything an operator sets, checked once at the start.

Each setting is an environment variable with the prefix `CROSSFIX_`; a variable with that prefix
that is not listed here stops the start.
"""

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "CROSSFIX_"
TEST_PREFIX = "CROSSFIX_TEST_"
SHIPPED_BUNDLE = Path(__file__).resolve().parent.parent / "bundles" / "compact"


class SettingsError(ValueError):
    """A setting is unknown or malformed; the message names it."""


class Settings(BaseSettings):
    """The service's settings; immutable."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    bundle: Path = Field(SHIPPED_BUNDLE, description="folder of the model bundle")
    data_dir: Path = Field(
        Path("data"), description="folder of the embedded gallery and the original chips"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where the models run")
    threads: int = Field(0, ge=0, le=256, description="CPU threads of a model; 0: all cores")

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0: any free one")
    allow_public_without_keys: bool = Field(
        False, description="listen on a public address although nobody has to show a key"
    )

    qdrant_url: str | None = Field(None, description="Qdrant server; unset: embedded gallery")
    qdrant_api_key: SecretStr | None = Field(None, description="key of the Qdrant server")
    qdrant_timeout_s: float = Field(5.0, gt=0, le=300, description="limit of one Qdrant call")
    redis_url: str | None = Field(None, description="Redis; unset: cache in this process")
    cache_entries: int = Field(
        4096, ge=0, le=10_000_000, description="embeddings that the cache in this process keeps"
    )

    max_upload_mb: float = Field(64.0, gt=0, le=4096, description="largest request body, MB")
    max_chip_mb: float = Field(32.0, gt=0, le=4096, description="largest chip file, MB")
    max_chip_side_px: int = Field(4096, ge=8, le=65536, description="longest side of a chip")
    max_chips_per_request: int = Field(64, ge=1, le=1000, description="chips in one request")

    batch_wait_ms: float = Field(2.0, ge=0, le=1000, description="wait for others to share a batch")
    queue_size: int = Field(256, ge=1, le=100_000, description="SAR chips that may wait")
    embed_timeout_s: float = Field(120.0, gt=0, le=3600, description="longest wait for a chip")
    recovery_interval_s: float = Field(
        600.0, ge=1, description="how often interrupted changes are looked for"
    )

    @field_validator("qdrant_url", "redis_url", "qdrant_api_key", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return None if value == "" else value

    @model_validator(mode="after")
    def _public_needs_to_be_meant(self) -> "Settings":
        if not is_loopback(self.host) and not self.allow_public_without_keys:
            raise ValueError(
                f"host {self.host} can be reached by others and no key would be asked of them; "
                f"listen on 127.0.0.1, or set {PREFIX}ALLOW_PUBLIC_WITHOUT_KEYS=true if a proxy "
                "or firewall decides who may enter"
            )
        return self

    @property
    def max_upload_bytes(self) -> int:
        return int(self.max_upload_mb * 1_000_000)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def load_settings(environment: Mapping[str, str] | None = None, **overrides: object) -> Settings:
    """Read the environment; given values take precedence.

    Raises:
        SettingsError: a setting is unknown or malformed.
    """
    names = os.environ if environment is None else environment
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    unknown = sorted(
        name
        for name in names
        if name.startswith(PREFIX) and not name.startswith(TEST_PREFIX) and name not in known
    )
    if unknown:
        raise SettingsError(f"unknown setting {unknown[0]}; known are: {', '.join(sorted(known))}")
    try:
        return Settings(**{k: v for k, v in overrides.items() if v is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        raise SettingsError("; ".join(_one_line(e) for e in error.errors())) from error


def _one_line(error: object) -> str:
    if not isinstance(error, Mapping):
        return str(error)
    place = "_".join(str(part) for part in error["loc"])
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{PREFIX}{place.upper()}: {message} (got {error['input']!r})" if place else message
