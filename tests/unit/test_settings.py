"""Settings are read from the environment and validated."""

import os
import re

import pytest

from service.settings import SettingsError, is_loopback, load_settings


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in os.environ if n.startswith("CROSSFIX_")]:
        monkeypatch.delenv(name)


def test_defaults_listen_on_loopback_and_store_in_a_folder() -> None:
    settings = load_settings()
    assert settings.host == "127.0.0.1"
    assert settings.qdrant_url is None


def test_arguments_take_precedence_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSFIX_PORT", "9001")
    monkeypatch.setenv("CROSSFIX_DEVICE", "cpu")
    settings = load_settings(port=9002, device=None)
    assert (settings.port, settings.device) == (9002, "cpu")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("CROSSFIX_PROT", "did you mean CROSSFIX_PORT?"),
        ("crossfix_port", "did you mean CROSSFIX_PORT?"),
        ("Crossfix_Port", "did you mean CROSSFIX_PORT?"),
        ("CROSSFIX_port", "did you mean CROSSFIX_PORT?"),
        ("CROSSFIX_WXYZ", "the settings after CROSSFIX_ are ALLOW"),
    ],
)
def test_an_unknown_setting_stops_the_start_with_a_hint(
    monkeypatch: pytest.MonkeyPatch, name: str, hint: str
) -> None:
    monkeypatch.setenv(name, "9001")
    with pytest.raises(SettingsError, match=re.escape(f"{name}; {hint}")):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("PORT", "eighty"), ("PORT", "70000"), ("DEVICE", "tpu"), ("MAX_UPLOAD_MB", "0")),
        *(("DATA_DIR", ""), ("BUNDLE", ""), ("HOST", ""), ("PORT", ""), ("REPLICA", "")),
        *(("UPLOAD_TIMEOUT_S", "nan"), ("RECOVERY_INTERVAL_S", "inf")),
        *(
            ("QDRANT_URL", "localhost:6333"),
            ("QDRANT_URL", "ftp://stores"),
            ("QDRANT_URL", "http://"),
        ),
        *(("QDRANT_URL", "http://stores:sixty"), ("TRACING_ENDPOINT", "http://collector:x")),
        *(
            ("ALLOWED_HOSTS", "http://ships"),
            ("ALLOWED_HOSTS", "ships:80"),
            ("ALLOWED_HOSTS", "ships/"),
        ),
    ],
)
def test_a_malformed_setting_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"CROSSFIX_{name}", value)
    with pytest.raises(SettingsError, match=f"CROSSFIX_{name}.*{value}"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "redis:hunter2@stores"),
        ("REDIS_URL", "redis://:hunter2@stores:port"),
        ("REDIS_URL", "redis://:hunter2@:6379"),
        ("QDRANT_URL", "http://me:hunter2@stores:6333"),
        ("TRACING_ENDPOINT", "http://me:hunter2@collector"),
    ],
)
def test_error_of_a_malformed_address_does_not_show_the_password(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"CROSSFIX_{name}", value)
    with pytest.raises(SettingsError, match=f"CROSSFIX_{name}: expected an address") as refused:
        load_settings()
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("QDRANT_URL", "http://qdrant:6333"),
        ("QDRANT_URL", "https://[fd00::7]:6333/ships"),
        ("REDIS_URL", "rediss://:p%40ss@stores:6379/0"),
        ("REDIS_URL", "unix:///run/redis.sock"),
    ],
)
def test_well_formed_addresses_of_stores_are_accepted(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"CROSSFIX_{name}", value)
    assert getattr(load_settings(), name.lower()) == value


def test_allowed_hosts_are_names_or_addresses_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSFIX_ALLOWED_HOSTS", "Ships.Example, 192.0.2.7, fd00::7")
    assert load_settings().allowed_hosts == ("ships.example", "192.0.2.7", "fd00::7")


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
def test_unsafe_values_are_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"CROSSFIX_{name}", value)
    with pytest.raises(SettingsError, match=f"CROSSFIX_{name}"):
        load_settings()


def test_a_certificate_needs_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSFIX_TLS_CERT", "cert.pem")
    with pytest.raises(SettingsError, match="CROSSFIX_TLS_KEY"):
        load_settings()


SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"
WEBHOOK = {"WEBHOOK_URL": "https://ships.example/new?a=1", "WEBHOOK_SECRET": SECRET}


def test_secrets_of_the_webhook_are_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    both = f"{SECRET}, {SECRET.removeprefix('whsec_')}"
    set_all(monkeypatch, WEBHOOK | {"WEBHOOK_SECRET": both})
    settings = load_settings()
    assert settings.webhook_url == WEBHOOK["WEBHOOK_URL"]
    assert settings.signing_keys == (bytes(range(24)),) * 2
    assert "AAEC" not in repr(settings)
    set_all(monkeypatch, {"WEBHOOK_URL": "", "WEBHOOK_SECRET": ""})
    assert load_settings().signing_keys == ()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"WEBHOOK_SECRET": ""}, "CROSSFIX_WEBHOOK_URL and CROSSFIX_WEBHOOK_SECRET together"),
        ({"WEBHOOK_URL": ""}, "CROSSFIX_WEBHOOK_URL and CROSSFIX_WEBHOOK_SECRET together"),
        ({"WEBHOOK_URL": "http://ships.example/tok3n"}, "WEBHOOK_URL: expected .* https://"),
        ({"WEBHOOK_URL": "http://10.0.0.7/tok3n"}, "WEBHOOK_URL: expected .* https://"),
        ({"WEBHOOK_URL": "ships.example/tok3n"}, "WEBHOOK_URL: expected an address"),
        ({"WEBHOOK_URL": "https://me:tok3n@ships.example"}, "WEBHOOK_URL: expected an address"),
        ({"WEBHOOK_URL": "https://ships.example:tok3n"}, "WEBHOOK_URL: expected an address"),
        ({"WEBHOOK_SECRET": "whsec_tok3ntok3ntok3ntok3n"}, "WEBHOOK_SECRET: expected whsec_"),
        ({"WEBHOOK_SECRET": "whsec_!tok3n" + "A" * 32}, "WEBHOOK_SECRET: expected whsec_"),
        ({"WEBHOOK_SECRET": f"{SECRET},tok3"}, "WEBHOOK_SECRET: expected whsec_"),
        ({"WEBHOOK_SECRET": ","}, "WEBHOOK_SECRET: expected whsec_"),
    ],
)
def test_unusable_settings_of_the_webhook_are_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], named: str
) -> None:
    set_all(monkeypatch, WEBHOOK | settings)
    with pytest.raises(SettingsError, match=named) as refused:
        load_settings()
    assert "tok3" not in str(refused.value)
    assert "AAEC" not in str(refused.value)


@pytest.mark.parametrize("url", ["http://localhost:9/new", "http://127.0.0.1", "http://[::1]:9/"])
def test_a_webhook_on_loopback_needs_no_https(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    set_all(monkeypatch, WEBHOOK | {"WEBHOOK_URL": url})
    assert load_settings().webhook_url == url


BUCKET = {"CHIP_STORE": "s3", "S3_BUCKET": "ships"}


def set_all(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"CROSSFIX_{name}", value)


def test_prefix_of_the_bucket_ends_with_a_slash_and_empty_secret_is_unset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_all(monkeypatch, BUCKET | {"S3_PREFIX": "of/ships", "S3_SECRET_ACCESS_KEY": ""})
    settings = load_settings()
    assert (settings.s3_bucket, settings.s3_prefix) == ("ships", "of/ships/")
    assert settings.s3_secret_access_key is None


def test_empty_settings_of_the_bucket_are_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, {"CHIP_STORE": "folder", "S3_BUCKET": "", "S3_ENDPOINT_URL": ""})
    assert load_settings().chip_store == "folder"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"CHIP_STORE": "s3"}, "CROSSFIX_S3_BUCKET"),
        ({"CHIP_STORE": "bucket"}, "CROSSFIX_CHIP_STORE"),
        ({"S3_BUCKET": "ships"}, "CROSSFIX_S3_BUCKET is set but CROSSFIX_CHIP_STORE is folder"),
        ({"S3_ENDPOINT_URL": "http://store:9000"}, "CROSSFIX_S3_ENDPOINT_URL is set but"),
        (BUCKET | {"S3_BUCKET": "ships/chips"}, "CROSSFIX_S3_BUCKET: expected the name"),
        (BUCKET | {"S3_PREFIX": "/ships"}, "CROSSFIX_S3_PREFIX: expected names"),
        (BUCKET | {"S3_PREFIX": "a/../b"}, "CROSSFIX_S3_PREFIX: expected names"),
        (BUCKET | {"S3_ENDPOINT_URL": "store:9000"}, "CROSSFIX_S3_ENDPOINT_URL: expected"),
        (BUCKET | {"S3_ENDPOINT_URL": "http://a/bucket"}, "CROSSFIX_S3_ENDPOINT_URL: expected"),
        (BUCKET | {"S3_ACCESS_KEY_ID": "a"}, "CROSSFIX_S3_SECRET_ACCESS_KEY together"),
        (BUCKET | {"S3_TIMEOUT_S": "100"}, "CROSSFIX_S3_TIMEOUT_S is waited 3 times"),
    ],
)
def test_inconsistent_settings_of_the_bucket_are_named(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], named: str
) -> None:
    set_all(monkeypatch, settings)
    with pytest.raises(SettingsError, match=named):
        load_settings()


@pytest.mark.parametrize(
    "settings",
    [
        BUCKET | {"S3_ACCESS_KEY_ID": "s3cret", "S3_SECRET_ACCESS_KEY": "s3cret"},
        {"QDRANT_API_KEY": "s3cret"},
        {"API_KEY": "s3cret"},
    ],
    ids=["bucket", "Qdrant", "client commands, not a setting"],
)
def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]) -> None:
    set_all(monkeypatch, settings)
    assert "s3cret" not in repr(load_settings())


def test_empty_qdrant_url_means_the_embedded_gallery(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSFIX_QDRANT_URL", "")
    assert load_settings().qdrant_url is None


@pytest.mark.parametrize(
    ("host", "expected"),
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
def test_is_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
