import os

import pytest

from service.settings import SettingsError, is_loopback, load_settings


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:

    for name in [n for n in os.environ if n.startswith("CROSSFIX_")]:
        monkeypatch.delenv(name)


def test_defaults_listen_on_loopback_and_store_in_a_folder() -> None:
    settings = load_settings()
    assert settings.host == "127.0.0.1"
    assert settings.qdrant_url is None


def test_the_environment_is_read_and_arguments_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSFIX_PORT", "9001")
    monkeypatch.setenv("CROSSFIX_DEVICE", "cpu")
    settings = load_settings(port=9002, device=None)
    assert (settings.port, settings.device) == (9002, "cpu")


def test_an_unknown_setting_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSFIX_PROT", "9001")
    with pytest.raises(SettingsError, match=r"CROSSFIX_PROT.*CROSSFIX_PORT"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "eighty"), ("PORT", "70000"), ("DEVICE", "tpu"), ("MAX_UPLOAD_MB", "0")],
)
def test_a_malformed_setting_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"CROSSFIX_{name}", value)
    with pytest.raises(SettingsError, match=f"CROSSFIX_{name}.*{value}"):
        load_settings()


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSFIX_TRUSTED_PROXIES", "10.0.0.7, 192.0.2.0/24,")
    monkeypatch.setenv("CROSSFIX_CORS_ORIGINS", "https://ships.example,http://127.0.0.1:3000")
    settings = load_settings()
    assert settings.trusted_proxies == ("10.0.0.7", "192.0.2.0/24")
    assert settings.cors_origins == ("https://ships.example", "http://127.0.0.1:3000")
    assert settings.allowed_hosts == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRUSTED_PROXIES", "*"),
        ("TRUSTED_PROXIES", "10.0.0.7/8"),
        ("CORS_ORIGINS", "ships.example"),
        ("CORS_ORIGINS", "https://ships.example/page"),
        ("REDIS_URL", "localhost:6379"),
        ("RATE_LIMIT_PER_MINUTE", "-1"),
    ],
)
def test_what_would_open_a_door_by_mistake_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"CROSSFIX_{name}", value)
    with pytest.raises(SettingsError, match=f"CROSSFIX_{name}"):
        load_settings()


def test_a_certificate_needs_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSFIX_TLS_CERT", "cert.pem")
    with pytest.raises(SettingsError, match="CROSSFIX_TLS_KEY"):
        load_settings()


def test_the_key_of_a_client_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSFIX_API_KEY", "cfx_of_a_client")
    assert "cfx_of_a_client" not in repr(load_settings())


def test_empty_addresses_mean_embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSFIX_QDRANT_URL", "")
    assert load_settings().qdrant_url is None


def test_a_key_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSFIX_QDRANT_API_KEY", "s3cret")
    assert "s3cret" not in repr(load_settings())


@pytest.mark.parametrize(
    ("host", "inside"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.0.2.7", False),
        ("ships.example", False),
    ],
)
def test_what_is_loopback(host: str, inside: bool) -> None:
    assert is_loopback(host) is inside
