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


def test_a_public_address_has_to_be_meant() -> None:
    with pytest.raises(SettingsError, match="CROSSFIX_ALLOW_PUBLIC_WITHOUT_KEYS"):
        load_settings(host="0.0.0.0")
    assert load_settings(host="0.0.0.0", allow_public_without_keys=True).host == "0.0.0.0"


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
