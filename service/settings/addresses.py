"""Check addresses, names and keys in settings: each function returns the value that is used."""

import base64
import binascii
import ipaddress
import re
from urllib.parse import urlsplit

from pydantic import SecretStr

ORIGIN = re.compile(r"https?://[^/?#@\s]+")
HOST_NAME = re.compile(r"[A-Za-z0-9._-]+")
QDRANT_ADDRESS = re.compile(r"https?://[^/?#@,\s]+(/[^?#@,\s]*)?")
ENDPOINT = re.compile(r"https?://[^/?#@\s]+/?")
BUCKET = re.compile(r"[A-Za-z0-9._-]{3,255}")
KEY_PREFIX = re.compile(r"[A-Za-z0-9!_.'()-]+(/[A-Za-z0-9!_.'()-]+)*/?")
WEBHOOK = re.compile(r"https?://[^/?#@\s]+([/?][^#\s]*)?")
SECRET_PREFIX = "whsec_"
SECRET_BYTES = range(24, 65)
"""Standard Webhooks 1.0.0, "Signature scheme": 192 to 512 bits."""
REDIS_SCHEMES = ("redis://", "rediss://", "unix://")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    return host == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)


def is_address(text: str) -> bool:
    """Whether the text is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def has_host(url: str) -> bool:
    """Whether the address has a host, and its port, if any, is a number."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def parts_of(text: str) -> tuple[str, ...]:
    """Return the parts of a list that is separated by commas, at least one."""
    return _parts(text) or (text,)


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def split(value: object) -> object:
    """Return the items of a list that is separated by commas; other values stay as they are."""
    return _parts(value) if isinstance(value, str) else value


def networks(value: tuple[str, ...]) -> tuple[str, ...]:
    """Check addresses or networks."""
    for network in value:
        ipaddress.ip_network(network)
    return value


def origins(value: tuple[str, ...]) -> tuple[str, ...]:
    """Check origins of web pages, or `*`."""
    for origin in value:
        if origin != "*" and not ORIGIN.fullmatch(origin):
            raise ValueError(f"{origin!r} is not an origin such as https://ships.example")
    return value


def host_names(value: tuple[str, ...]) -> tuple[str, ...]:
    """Check host names or addresses; return them in lower case."""
    for name in value:
        if not (HOST_NAME.fullmatch(name) or is_address(name)):
            raise ValueError(f"{name!r} is not a host name such as ships.example")
    return tuple(name.casefold() for name in value)


def qdrant_url(value: str) -> str:
    """Check the addresses of a Qdrant server's nodes."""
    addresses = parts_of(value)
    for address in addresses:
        if not (QDRANT_ADDRESS.fullmatch(address) and has_host(address)):
            raise ValueError("expected an address such as http://127.0.0.1:6333")
    return ",".join(addresses)


def redis_url(value: str) -> str:
    """Check the address of a Redis."""
    if not value.startswith(REDIS_SCHEMES):
        raise ValueError(f"expected an address that begins with one of {REDIS_SCHEMES}")
    if not value.startswith("unix:") and not has_host(value):
        raise ValueError("expected an address such as redis://:password@127.0.0.1:6379/0")
    return value


def bucket(value: str) -> str:
    """Check the name of a bucket."""
    if not BUCKET.fullmatch(value):
        raise ValueError("expected the name of a bucket such as ship-chips")
    return value


def key_prefix(value: str) -> str:
    """Check the prefix of keys in a bucket; return it with a slash at its end."""
    if not KEY_PREFIX.fullmatch(value) or {".", ".."} & set(value.split("/")):
        raise ValueError("expected names joined by slashes such as crossfix/ or ships/crossfix")
    return value if value.endswith("/") else f"{value}/"


def endpoint(value: str) -> str:
    """Check an address without path."""
    if not (ENDPOINT.fullmatch(value) and has_host(value)):
        raise ValueError("expected an address alone, such as https://s3.ships.example:9000")
    return value


def webhook_url(value: str) -> str:
    """Check the address of a webhook: https, unless only this machine can reach it."""
    if not (WEBHOOK.fullmatch(value) and has_host(value)):
        raise ValueError("expected an address such as https://ships.example/new-matches")
    parts = urlsplit(value)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise ValueError("expected an address that begins with https://, or a loopback address")
    return value


def webhook_secret(value: SecretStr) -> SecretStr:
    """Check the secrets of a webhook; the message does not show them."""
    signing_keys(value.get_secret_value())
    return value


def signing_keys(text: str) -> tuple[bytes, ...]:
    """Return the keys that a webhook's secrets stand for."""
    return tuple(_signing_key(one) for one in parts_of(text))


def _signing_key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if len(key) not in SECRET_BYTES:
        raise ValueError("expected whsec_ and the base64 of 24 to 64 random bytes")
    return key
