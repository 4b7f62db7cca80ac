"""Browser sessions: a token that stands for an API key until it expires or the key is revoked.

No session is stored. A token holds the secret of its key, hidden by a pad that is made from the
digest in the key file and from the token's id, expiry and nonce. Whoever has a token alone cannot
use it as an API key or extend it, and whoever has the key file alone cannot make a token.
"""

import hmac
import re
import secrets
from datetime import UTC, datetime, timedelta

from service.access.keys import KEY_FORM, SECRET_BYTES, KeyRecord, KeyRing
from service.access.roles import Principal

NONCE_BYTES = 16
TOKEN_FORM = re.compile(
    rf"([0-9a-f]{{12}})\.([0-9]{{1,11}})\.([0-9a-f]{{{2 * NONCE_BYTES}}})"
    rf"\.([0-9a-f]{{{2 * SECRET_BYTES}}})"
)


def open_session(
    ring: KeyRing, key: str, now: datetime, lifetime: timedelta
) -> tuple[Principal, str, datetime] | None:
    """Return the principal of a key, a token for it, and when the token expires.

    Args:
        key: the API key as it was made.

    Returns:
        None when the key is unknown, revoked or expired.
    """
    principal = ring.identify(key, now)
    form = KEY_FORM.fullmatch(key)
    if principal is None or form is None:
        return None
    record = ring.record(form[1])
    if record is None:
        return None
    expires_at = (now + lifetime).replace(microsecond=0)
    head = f"{record.id}.{int(expires_at.timestamp())}.{secrets.token_hex(NONCE_BYTES)}"
    secret = bytes.fromhex(key.rpartition("_")[2])
    return principal, f"{head}.{_masked(secret, record, head).hex()}", expires_at


def identify_session(ring: KeyRing, token: str, now: datetime) -> Principal | None:
    """Return the principal of a token.

    Returns:
        None when the token is malformed or expired, or its key is unknown, revoked or expired.
    """
    form = TOKEN_FORM.fullmatch(token)
    record = ring.record(form[1]) if form else None
    if form is None or record is None or now >= datetime.fromtimestamp(int(form[2]), UTC):
        return None
    secret = _masked(bytes.fromhex(form[4]), record, token.rpartition(".")[0])
    return ring.identify(f"cfx_{record.id}_{secret.hex()}", now)


def _masked(secret: bytes, record: KeyRecord, head: str) -> bytes:
    """Hide a secret, or uncover a hidden one: 32 bytes XOR HMAC-SHA256(digest of the key, head)."""
    pad = hmac.digest(bytes.fromhex(record.sha256), head.encode(), "sha256")
    return bytes(a ^ b for a, b in zip(secret, pad, strict=True))
