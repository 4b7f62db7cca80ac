"""The entrance as the settings have it: keys, limits, and the answers to repeated requests."""

from service.access.idempotency import CLAIM_S, IdempotencyStore
from service.access.rate_limits import RateLimiter
from service.api.middleware.allowed_origins import AllowedOrigins
from service.api.middleware.stack import MiddlewareOptions
from service.settings import PREFIX, Settings, SettingsError, is_loopback
from service.storage.local.idempotency import Lifetimes, MemoryIdempotencyStore
from service.storage.local.keys import KeyFile
from service.storage.local.rate_limits import MemoryRateLimiter, Rate
from service.storage.redis.idempotency import RedisIdempotencyStore
from service.storage.redis.link import RedisLink
from service.storage.redis.rate_limits import RedisRateLimiter


def middleware_options(settings: Settings, link: RedisLink | None) -> MiddlewareOptions:
    """Read the keys and choose where counts and answers are kept.

    Args:
        settings: the operator's.
        link: Redis, shared by replicas; None: this process alone.

    Raises:
        SettingsError: the address is public and no key is asked for.
        StoreUnavailableError: the key file cannot be read.
    """
    keys = KeyFile(settings.keys_path)
    loopback = is_loopback(settings.reached_at)
    if not (loopback or settings.allow_public_without_keys or keys.ring().asks):
        raise SettingsError(
            f"{PREFIX}{'HOST' if settings.published_address is None else 'PUBLISHED_ADDRESS'}: "
            f"{settings.reached_at} can be reached by others and no key would be asked of them; "
            f"make one with `crossfix keys create`, keep to 127.0.0.1, or set "
            f"{PREFIX}ALLOW_PUBLIC_WITHOUT_KEYS=true if a proxy or firewall decides who may enter"
        )
    return MiddlewareOptions(
        keys=keys,
        metrics_open=settings.metrics_without_key,
        neighbours=AllowedOrigins(
            origins=frozenset(settings.cors_origins),
            hosts=frozenset(settings.allowed_hosts),
            any_host=not loopback and not settings.allowed_hosts,
        ),
        limiter=_limiter(settings, link),
        limit_addresses=not loopback,
        max_concurrent=settings.max_concurrent_requests,
        request_timeout_s=settings.request_timeout_s,
        max_body_bytes=settings.max_upload_bytes,
        upload_timeout_s=settings.upload_timeout_s,
        answers=_answers(settings, link),
        max_answer_bytes=settings.idempotency_max_answer_kb * 1000,
    )


def _limiter(settings: Settings, link: RedisLink | None) -> RateLimiter | None:
    if settings.rate_limit_per_minute == 0:
        return None
    rate = Rate(settings.rate_limit_per_minute, settings.rate_limit_burst)
    alone = MemoryRateLimiter(rate)
    return alone if link is None else RedisRateLimiter(link, rate, alone)


def _answers(settings: Settings, link: RedisLink | None) -> IdempotencyStore:
    lifetimes = Lifetimes(CLAIM_S, settings.idempotency_expire_s)
    own = MemoryIdempotencyStore(lifetimes)
    return own if link is None else RedisIdempotencyStore(link, lifetimes, own)
