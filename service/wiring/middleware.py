"""Choose the options of the middleware from the settings: keys, limits, idempotency."""

from typing import TYPE_CHECKING

from service.api.middleware.allowed_origins import AllowedOrigins
from service.api.middleware.stack import MiddlewareOptions
from service.api.routes.desk import desk_paths
from service.api.routes.session import SESSION
from service.desk import FILES
from service.settings import PREFIX, Settings, SettingsError, is_loopback
from service.storage.local.keys import KeyFile
from service.wiring.gallery_markers import keys_made
from service.wiring.stores import open_idempotency_store, open_rate_limiter

if TYPE_CHECKING:
    from service.storage.redis.link import RedisLink


def middleware_options(settings: Settings, redis: "RedisLink | None") -> MiddlewareOptions:
    """Read the keys, and choose the stores of request counts and stored responses.

    Args:
        redis: the link to Redis; None keeps counts and responses in this process.

    Raises:
        SettingsError: the address is public and no key is required.
        StoreUnavailableError: the key file cannot be read, or is missing although keys were made.
    """
    keys = KeyFile(settings.keys_path, made=keys_made(settings))
    keys.require_kept()
    loopback = is_loopback(settings.reachable_address)
    if not (loopback or settings.allow_public_without_keys or keys.ring().requires_key):
        raise SettingsError(
            f"{PREFIX}{'HOST' if settings.published_address is None else 'PUBLISHED_ADDRESS'}: "
            f"{settings.reachable_address} can be reached by others, and no key is required; "
            f"make a key with `crossfix keys create`, keep to 127.0.0.1, or set "
            f"{PREFIX}ALLOW_PUBLIC_WITHOUT_KEYS=true if a proxy or firewall controls access"
        )
    return MiddlewareOptions(
        keys=keys,
        page_paths=desk_paths(FILES) | {SESSION},
        metrics_open=settings.metrics_without_key,
        allowed_origins=AllowedOrigins(
            origins=frozenset(settings.cors_origins),
            hosts=frozenset(settings.allowed_hosts),
            any_host=not loopback and not settings.allowed_hosts,
        ),
        rate_limiter=open_rate_limiter(settings, redis),
        limit_by_address=not loopback,
        max_in_flight=settings.max_concurrent_requests,
        request_timeout_s=settings.request_timeout_s,
        max_body_bytes=settings.max_upload_bytes,
        upload_timeout_s=settings.upload_timeout_s,
        idempotency=open_idempotency_store(redis),
    )
