"""Rate limits in Redis, shared by all replicas, by the algorithm of `local/rate_limits.py`."""

from service.access.rate_limits import RateLimiter
from service.storage.local.rate_limits import Rate
from service.storage.redis.link import RedisLink, RedisUnavailableError

KEY_PREFIX = "crossfix:rate:"

# In microseconds by the clock of Redis, so that the clocks of replicas do not matter.
TAKE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local interval, ahead = tonumber(ARGV[1]), tonumber(ARGV[2])
local arrival = math.max(tonumber(redis.call('GET', KEYS[1]) or '0') or 0, now)
local early = arrival - now - ahead
if early > 0 then return early end
arrival = arrival + interval
redis.call('SET', KEYS[1], string.format('%.0f', arrival), 'PX',
           math.ceil((arrival - now) / 1000) + 1)
return 0
"""


class RedisRateLimiter:
    """A `RateLimiter` of all replicas; each replica has its own count while Redis fails."""

    def __init__(self, link: RedisLink, rate: Rate, local: RateLimiter) -> None:
        self._link = link
        self._arguments = (round(rate.interval_s * 1e6), round(rate.ahead_s * 1e6))
        self._local = local

    def take(self, caller: str) -> float:
        try:
            early_us = self._link.run(
                lambda redis: int(redis.eval(TAKE, 1, KEY_PREFIX + caller, *self._arguments))
            )
        except RedisUnavailableError:
            return self._local.take(caller)
        return early_us / 1e6
