"""The settings: their names, defaults, bounds and meaning."""

import socket
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.contract.errors import CrossfixError
from service.settings import addresses as forms

PREFIX = "CROSSFIX_"
TEST_PREFIX = "CROSSFIX_TEST_"
CLIENT_KEY = "CROSSFIX_API_KEY"
"""The key that client commands send to a service; not a setting of the service."""
SHIPPED_BUNDLE = (Path(__file__).parents[1] / "shipped" / "bundle").resolve()

STOP_GRACE_S = 30

S3_TRIES = 3
"""How many times a request to the bucket is sent at most."""

T = TypeVar("T")
MayBeUnset = Annotated[T | None, BeforeValidator(lambda value: None if value == "" else value)]
"""A setting that is unset if its value is empty."""

CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(forms.split)]
Endpoint = Annotated[str, AfterValidator(forms.endpoint)]


class SettingsError(CrossfixError, ValueError):
    """A setting is unknown, malformed or cannot be applied; the message names it."""

    kind = "setting"


class Settings(BaseSettings):
    """The service's settings; immutable."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    bundle: Path = Field(SHIPPED_BUNDLE, description="folder of the model bundle")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="where the models run; `auto`: on CUDA if `crossfix[gpu]` is installed"
    )
    threads: int = Field(0, ge=0, le=256, description="CPU threads of a model; 0: all cores")
    confident_on_simulation: bool = Field(
        False,
        description="let a bundle that was calibrated on simulated ships alone answer `confident`",
    )

    data_dir: Path = Field(
        Path("data"), description="folder of the embedded gallery and the original chips"
    )
    keep_matches_days: float = Field(
        0.0, ge=0, le=36_500, description="days that unjudged matches are kept; 0: for ever"
    )
    keep_matches: int = Field(
        0, ge=0, description="how many unjudged matches are kept, the newest; 0: all"
    )
    keep_open_sightings_days: float = Field(
        0.0,
        ge=0,
        le=36_500,
        description="days that sightings without a vessel and their chips are kept; 0: for ever",
    )
    keep_open_sightings: int = Field(
        0, ge=0, description="how many sightings without a vessel are kept, the latest; 0: all"
    )
    restore_days: float = Field(
        30.0, ge=0, le=36_500, description="how long the deletion of a vessel can be undone"
    )

    host: str = Field("127.0.0.1", description="address to listen on")
    published_address: MayBeUnset[str] = Field(
        None, description="address at which a container's port is published; unset: `CROSSFIX_HOST`"
    )
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0: any free one")
    tls_cert: MayBeUnset[Path] = Field(
        None, description="certificate chain, PEM; with `CROSSFIX_TLS_KEY`: https without a proxy"
    )
    tls_key: MayBeUnset[Path] = Field(None, description="private key of the certificate, PEM")
    trusted_proxies: Annotated[CommaSeparated, AfterValidator(forms.networks)] = Field(
        (), description="addresses or networks whose X-Forwarded-For and -Proto are trusted"
    )

    keys_file: MayBeUnset[Path] = Field(
        None,
        description="file of API keys, see `crossfix keys`; unset: `keys.json` in the data folder",
    )
    session_hours: float = Field(
        12.0, ge=0.1, le=720, description="how long a sign-in at the desk lasts"
    )
    allow_public_without_keys: bool = Field(
        False, description="listen on a public address although no key is required"
    )
    metrics_without_key: bool = Field(
        False, description="serve `/metrics` without a key although other requests need one"
    )
    allowed_hosts: Annotated[CommaSeparated, AfterValidator(forms.host_names)] = Field(
        (),
        description="host names that requests may have in `Host` while no keys exist; "
        "unset: loopback names on a loopback address, any name on a public address",
    )
    cors_origins: Annotated[CommaSeparated, AfterValidator(forms.origins)] = Field(
        (),
        description="origins of web pages that may send requests, e.g. `https://ships.example`; "
        "`*`: all",
    )

    rate_limit_per_minute: int = Field(
        1200,
        ge=0,
        le=1_000_000,
        description="requests of one key, or of one client address on a public address without "
        "keys; 0: no limit",
    )
    rate_limit_burst: int = Field(
        200, ge=1, le=1_000_000, description="how many of these requests may arrive at once"
    )
    max_concurrent_requests: int = Field(
        256, ge=1, le=10_000, description="in-flight limit: requests that are handled at once"
    )
    max_upload_mb: float = Field(64.0, gt=0, le=4096, description="largest request body, MB")
    header_timeout_s: float = Field(
        10.0, gt=0, le=600, description="longest wait for the head of a request"
    )
    upload_timeout_s: float = Field(
        120.0, gt=0, le=3600, description="longest wait for the body of a request"
    )
    request_timeout_s: float = Field(
        300.0, gt=0, le=7200, description="longest time from a request's head to its response"
    )
    decode_timeout_s: float = Field(
        5.0,
        ge=0.1,
        le=60,
        description="seconds that decoding one chip may take before it is rejected",
    )
    decode_workers: int = Field(
        0, ge=0, le=64, description="processes that decode chips; 0: one for each core, at most 8"
    )
    stop_grace_s: int = Field(
        STOP_GRACE_S,
        ge=1,
        le=3600,
        description="how long requests in progress may take after SIGTERM; closing takes at most "
        "another 8 s",
    )

    qdrant_url: MayBeUnset[Annotated[str, AfterValidator(forms.qdrant_url)]] = Field(
        None,
        description="Qdrant server, or the nodes of a cluster separated by commas; unset: embedded "
        "gallery",
    )
    qdrant_api_key: MayBeUnset[SecretStr] = Field(None, description="key of the Qdrant server")
    qdrant_timeout_s: float = Field(
        5.0,
        gt=0,
        le=300,
        description="timeout of one Qdrant call; failing calls of a request are repeated for twice "
        "as long, all together",
    )
    redis_url: MayBeUnset[Annotated[str, AfterValidator(forms.redis_url)]] = Field(
        None,
        description="Redis, where replicas share embeddings, rate limits and idempotency keys; "
        "unset: each process has its own",
    )
    cache_entries: int = Field(
        4096, ge=0, le=10_000_000, description="most embeddings in the cache of this process"
    )
    stores_wait_s: float = Field(
        30.0,
        ge=0,
        le=3600,
        description="how long a start waits for a Qdrant server or bucket that does not answer yet",
    )
    replica: str = Field(
        default_factory=socket.gethostname,
        min_length=1,
        max_length=100,
        description="name of this process's audit chain; unset: the host's name",
    )

    chip_store: Literal["folder", "s3"] = Field(
        "folder",
        description="where original chips and installed bundles are stored: in the data folder, "
        "or in an S3-compatible bucket that all replicas and jobs can reach",
    )
    s3_bucket: MayBeUnset[Annotated[str, AfterValidator(forms.bucket)]] = Field(
        None, description="name of the bucket, which must exist"
    )
    s3_prefix: MayBeUnset[Annotated[str, AfterValidator(forms.key_prefix)]] = Field(
        None, description="prefix of all keys in the bucket, e.g. `crossfix/`"
    )
    s3_endpoint_url: MayBeUnset[Endpoint] = Field(
        None, description="address of the store, e.g. `https://s3.ships.example`; unset: AWS's"
    )
    s3_region: MayBeUnset[str] = Field(
        None, description="its region; unset: found as AWS's tools do"
    )
    s3_access_key_id: MayBeUnset[SecretStr] = Field(
        None, description="id of the access key; unset: found as AWS's tools do"
    )
    s3_secret_access_key: MayBeUnset[SecretStr] = Field(
        None, description="secret of the access key"
    )
    s3_timeout_s: float = Field(
        5.0,
        gt=0,
        le=300,
        description="timeout of one attempt; a request to the bucket is sent at most three times",
    )

    ask_again_interval_s: float = Field(
        2.0,
        ge=0,
        le=86_400,
        description="how often open sightings are compared with new chips of vessels, and with "
        "each other; 0: never",
    )
    webhook_url: MayBeUnset[Annotated[str, AfterValidator(forms.webhook_url)]] = Field(
        None,
        description="where new matches of open sightings are sent; https, or http on loopback; "
        "unset: nowhere",
    )
    webhook_secret: MayBeUnset[Annotated[SecretStr, AfterValidator(forms.webhook_secret)]] = Field(
        None,
        description="key that signs these messages: `whsec_` and base64 of 24 to 64 random bytes; "
        "while a receiver changes to a new key, both, separated by a comma",
    )

    check_interval_h: float = Field(
        24.0,
        ge=0,
        le=8760,
        description="how often all stored records are compared with their digests, hours; 0: never",
    )
    recovery_interval_s: float = Field(
        60.0, ge=1, le=86_400, description="how often interrupted changes are recovered"
    )
    tracing_endpoint: MayBeUnset[Endpoint] = Field(
        None,
        description="OpenTelemetry collector that receives a trace of each request, by OTLP over "
        "HTTP, e.g. `http://collector:4318`; unset: no traces",
    )
    tracing_share: float = Field(1.0, ge=0, le=1, description="share of requests that are traced")

    @field_validator("bundle", "data_dir", "host", mode="before")
    @classmethod
    def _not_empty(cls, value: object) -> object:
        if value == "":
            raise ValueError("is empty; leave it unset for the default")
        return value

    @model_validator(mode="after")
    def _check_chip_store(self) -> "Settings":
        if self.chip_store == "folder":
            self._require_no_bucket()
            return self
        if self.s3_bucket is None:
            raise ValueError(f"{PREFIX}CHIP_STORE is s3: set {PREFIX}S3_BUCKET")
        if (self.s3_access_key_id is None) != (self.s3_secret_access_key is None):
            raise ValueError(
                f"set {PREFIX}S3_ACCESS_KEY_ID and {PREFIX}S3_SECRET_ACCESS_KEY together, or "
                "neither"
            )
        if S3_TRIES * self.s3_timeout_s >= self.request_timeout_s:
            raise ValueError(
                f"{PREFIX}S3_TIMEOUT_S is waited {S3_TRIES} times, which must take less time than "
                f"{PREFIX}REQUEST_TIMEOUT_S ({self.request_timeout_s:g})"
            )
        return self

    def _require_no_bucket(self) -> None:
        for name in ("bucket", "prefix", "endpoint_url", "region", "access_key_id"):
            if getattr(self, f"s3_{name}") is not None:
                raise ValueError(
                    f"{PREFIX}S3_{name.upper()} is set but {PREFIX}CHIP_STORE is folder; unset the "
                    "former, or set the latter to s3"
                )

    @model_validator(mode="after")
    def _check_pairs(self) -> "Settings":
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError(f"set {PREFIX}TLS_CERT and {PREFIX}TLS_KEY together, or neither")
        if (self.webhook_url is None) != (self.webhook_secret is None):
            raise ValueError(
                f"set {PREFIX}WEBHOOK_URL and {PREFIX}WEBHOOK_SECRET together, or neither"
            )
        return self

    @property
    def qdrant_urls(self) -> tuple[str, ...]:
        """Addresses of the Qdrant server's nodes; none for an embedded gallery."""
        return () if self.qdrant_url is None else forms.parts_of(self.qdrant_url)

    @property
    def signing_keys(self) -> tuple[bytes, ...]:
        """Keys that sign what is sent to the webhook; none without a webhook."""
        secret = self.webhook_secret
        return () if secret is None else forms.signing_keys(secret.get_secret_value())

    @property
    def keys_path(self) -> Path:
        """Path of the file of API keys."""
        return self.data_dir / "keys.json" if self.keys_file is None else self.keys_file

    @property
    def reachable_address(self) -> str:
        """Address at which clients reach the service."""
        return self.host if self.published_address is None else self.published_address.strip("[]")

    @property
    def max_upload_bytes(self) -> int:
        """Largest request body, bytes."""
        return int(self.max_upload_mb * 1_000_000)
