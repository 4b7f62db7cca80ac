"""Check addresses that settings name."""

import ipaddress
import re
from urllib.parse import urlsplit

ORIGIN = re.compile(r"https?://[^/?#@\s]+")
HOST_NAME = re.compile(r"[A-Za-z0-9._-]+")
QDRANT_ADDRESS = re.compile(r"https?://[^/?#@,\s]+(/[^?#@,\s]*)?")
ENDPOINT = re.compile(r"https?://[^/?#@\s]+/?")
BUCKET = re.compile(r"[A-Za-z0-9._-]{3,255}")
KEY_PREFIX = re.compile(r"[A-Za-z0-9!_.'()-]+(/[A-Za-z0-9!_.'()-]+)*/?")
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


def addresses_in(text: str) -> tuple[str, ...]:
    """Return the addresses of a list that is separated by commas, at least one."""
    return tuple(part.strip() for part in text.split(",") if part.strip()) or (text,)
