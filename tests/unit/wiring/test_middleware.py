"""Keys are required where the service can be reached from other machines."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.access.roles import Role
from service.identity.errors import StoreUnavailableError
from service.settings import Settings, SettingsError
from service.storage.local.keys import KeyFile
from service.wiring.middleware import middleware_options


@pytest.mark.parametrize(
    ("host", "published", "named"),
    [
        ("0.0.0.0", None, "CROSSFIX_HOST: 0.0.0.0"),
        ("0.0.0.0", "192.0.2.7", "CROSSFIX_PUBLISHED_ADDRESS: 192.0.2.7"),
        ("127.0.0.1", "0.0.0.0", "CROSSFIX_PUBLISHED_ADDRESS: 0.0.0.0"),
        ("0.0.0.0", "[::]", "CROSSFIX_PUBLISHED_ADDRESS: ::"),
    ],
)
def test_a_public_address_without_keys_is_rejected_by_name(
    tmp_path: Path, host: str, published: str | None, named: str
) -> None:
    settings = Settings(host=host, published_address=published, data_dir=tmp_path)
    with pytest.raises(SettingsError, match=named):
        middleware_options(settings, None)
    assert middleware_options(settings.model_copy(update={"allow_public_without_keys": True}), None)


@pytest.mark.parametrize("published", ["127.0.0.1", "[::1]", "localhost"])
def test_a_container_published_on_loopback_needs_no_keys(tmp_path: Path, published: str) -> None:
    settings = Settings(host="0.0.0.0", published_address=published, data_dir=tmp_path)
    options = middleware_options(settings, None)
    assert not options.allowed_origins.any_host
    assert not options.limit_by_address


def test_a_service_that_had_keys_does_not_start_without_them(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, allow_public_without_keys=True)
    KeyFile(settings.keys_path).create("desk", Role.READER, datetime.now(UTC))
    assert middleware_options(settings, None).keys.ring().requires_key
    settings.keys_path.unlink()
    with pytest.raises(StoreUnavailableError, match="is missing"):
        middleware_options(settings, None)
