"""API keys, limits and idempotency keys, over HTTP with real processes."""

import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from service.server.probe import probe
from service.settings import Settings
from service.storage.redis.link import PAUSE_S
from tests.support.inputs.chips import optical_png, sar_tiff
from tests.support.processes.redis_server import RedisServer, running_redis
from tests.support.processes.service_process import ServiceProcess, running_service

HEADER_TIMEOUT_S = 1.0
CHIP = sar_tiff(77)


def crossfix(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command on a data folder of its own, unless the settings name one."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("CROSSFIX_")}
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run(
            [sys.executable, "-m", "service.cli.main", *arguments],
            env=clean | {"CROSSFIX_DATA_DIR": folder} | settings,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


def match(client: httpx.Client, **headers: str) -> httpx.Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("/match", files={"chip": CHIP}, data={"store": "false"}, headers=sent)


def kind(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return str(answer.json()["type"]).removeprefix("urn:crossfix:problem:")


@dataclass
class Secured:
    """A service that requires keys, and the keys of a reader and a curator."""

    service: ServiceProcess
    file: Path
    reader: str
    curator: str


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    file = folder / "keys.json"
    keys = []
    for role in ("reader", "curator"):
        created = crossfix("keys", "create", role, "--role", role, CROSSFIX_KEYS_FILE=str(file))
        assert created.returncode == 0, created.stderr
        keys.append(created.stdout.strip())
    settings = {
        "CROSSFIX_HOST": "0.0.0.0",
        "CROSSFIX_KEYS_FILE": str(file),
        "CROSSFIX_HEADER_TIMEOUT_S": str(HEADER_TIMEOUT_S),
        "CROSSFIX_UPLOAD_TIMEOUT_S": "2",
        "CROSSFIX_RATE_LIMIT_PER_MINUTE": "30",
        "CROSSFIX_RATE_LIMIT_BURST": "30",
        "CROSSFIX_TRUSTED_PROXIES": "127.0.0.1",
        "CROSSFIX_METRICS_WITHOUT_KEY": "true",
    }
    with running_service(folder, settings=settings) as service:
        yield Secured(service, file, *keys)


class TestKeys:
    def test_roles_permit_and_requests_without_a_key_are_refused(self, secured: Secured) -> None:
        form = {"vessel": json.dumps({"name": "LOCKED STAR"})}
        files = [("chips", ("a.png", optical_png(9)))]
        with (
            secured.service.client() as keyless,
            secured.service.client(key=secured.reader) as reader,
            secured.service.client(key=secured.curator) as curator,
        ):
            for path in ("/livez", "/readyz", "/metrics", "/", "/desk/app.js", "/session"):
                assert keyless.get(path).status_code == 200
            for path in ("/docs", "/openapi.json", "/bundle", "/gallery", "/nowhere"):
                answer = keyless.get(path)
                assert (answer.status_code, kind(answer)) == (401, "unauthenticated")
                assert answer.headers["www-authenticate"].startswith("Bearer")
            assert match(keyless).status_code == 401
            assert match(reader).status_code == 200
            refused = reader.post("/gallery", data=form, files=files)
            assert (refused.status_code, kind(refused)) == (403, "forbidden")
            refused = reader.post("/gallery/bulk", data=form, files=files)
            assert (refused.status_code, kind(refused)) == (403, "forbidden")
            assert reader.get("/gallery").json()["vessels"] == []
            assert reader.get("/matches").json()["matches"] == []
            verdict = f"/matches/{uuid.uuid4()}/verdict"
            assert reader.post(verdict, json={"decision": "rejected"}).status_code == 403
            assert curator.post(verdict, json={"decision": "rejected"}).status_code == 404
            assert curator.post("/gallery", data=form, files=files).status_code == 201
            schemes = reader.get("/openapi.json").json()["components"]["securitySchemes"]
            assert {one["type"] for one in schemes.values()} == {"http", "apiKey"}

    def test_keys_are_created_and_revoked_while_the_service_runs(self, secured: Secured) -> None:
        file = {"CROSSFIX_KEYS_FILE": str(secured.file)}
        key = crossfix("keys", "create", "guest", **file).stdout.strip()
        listed = json.loads(crossfix("keys", "list", "--json", **file).stdout)
        (guest,) = [one for one in listed if one["name"] == "guest"]
        assert (guest["role"], guest["usable"]) == ("reader", True)
        assert key not in secured.file.read_text()
        with secured.service.client(key=key) as client:
            self.wait_for(client, 200)
            assert crossfix("keys", "revoke", guest["id"], **file).returncode == 0
            self.wait_for(client, 401)
        table = crossfix("keys", "list", **file).stdout
        assert "revoked" in table
        assert key.rpartition("_")[2] not in table

    @staticmethod
    def wait_for(client: httpx.Client, status: int) -> None:
        deadline = time.monotonic() + 10
        while (current := client.get("/bundle").status_code) != status:
            assert time.monotonic() < deadline, f"still {current}"
            time.sleep(0.2)

    def test_commands_send_the_key_of_their_environment(
        self, secured: Secured, tmp_path: Path
    ) -> None:
        chip = tmp_path / "chip_SAR.tif"
        chip.write_bytes(CHIP)
        command = ("match", str(chip), "--url", secured.service.url, "--no-store", "--json")
        with_key = crossfix(*command, CROSSFIX_API_KEY=secured.reader)
        assert with_key.returncode == 0, with_key.stderr
        without = crossfix(*command)
        assert without.returncode == 1
        assert "a key is needed" in without.stdout + without.stderr


class TestLimits:
    def test_a_key_beyond_its_rate_is_refused_with_retry_after(self, secured: Secured) -> None:
        file = {"CROSSFIX_KEYS_FILE": str(secured.file)}
        key = crossfix("keys", "create", "eager", **file).stdout.strip()
        with secured.service.client(key=key) as client:
            TestKeys.wait_for(client, 200)
            answers = [client.get("/bundle") for _ in range(40)]
            refused = [one for one in answers if one.status_code == 429]
            assert refused
            assert kind(refused[-1]) == "rate-limited"
            assert 1 <= int(refused[-1].headers["retry-after"]) <= 2
            assert client.get("/readyz").status_code == 200
            time.sleep(2.1)
            assert client.get("/bundle").status_code == 200

    def test_incomplete_headers_are_timed_out(self, secured: Secured) -> None:
        for start in (b"", b"GET /livez HTTP/1.1\r\nHost: a\r\n"):
            assert self.seconds_until_closed(secured, start, drip=b"X: y\r\n") < 20

    def test_an_incomplete_body_is_answered_with_408(self, secured: Secured) -> None:
        head = f"POST /match HTTP/1.1\r\nHost: a\r\nX-API-Key: {secured.reader}\r\n"
        head += "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 100000\r\n\r\n"
        with self.connected(secured) as connection:
            connection.sendall(head.encode() + b"--b\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 408 ")

    def test_the_body_of_a_request_without_a_key_is_not_read(self, secured: Secured) -> None:
        head = b"POST /match HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
        assert self.seconds_until_closed(secured, head, drip=b"x") < 20

    def seconds_until_closed(self, secured: Secured, start: bytes, drip: bytes) -> float:
        began = time.monotonic()
        with self.connected(secured) as connection:
            connection.sendall(start)
            connection.settimeout(0.2)
            while time.monotonic() - began < 30:
                try:
                    if connection.recv(4096) == b"":
                        break
                    continue
                except TimeoutError:
                    pass
                except ConnectionError:
                    break
                try:
                    connection.sendall(drip if start else b"")
                except ConnectionError:
                    break
        waited = time.monotonic() - began
        assert waited > HEADER_TIMEOUT_S / 2
        return waited

    @staticmethod
    def connected(secured: Secured) -> socket.socket:
        url = httpx.URL(secured.service.url)
        return socket.create_connection((url.host, url.port), timeout=20)

    def test_a_trusted_proxy_names_the_client(self, secured: Secured) -> None:
        with secured.service.client() as client:
            client.get("/bundle", headers={"X-Forwarded-For": "192.0.2.9"})
        lines = [json.loads(one) for one in secured.service.log.read_text().splitlines()]
        assert "192.0.2.9" in {
            one.get("client") for one in lines if one["logger"] == "crossfix.access"
        }


@pytest.fixture(scope="module")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def replicas(
    shared_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[httpx.Client]]:
    """Two services with separate galleries that share Redis."""
    settings = {"CROSSFIX_REDIS_URL": shared_redis.url}
    with (
        running_service(tmp_path_factory.mktemp("one"), settings=settings) as one,
        running_service(tmp_path_factory.mktemp("two"), settings=settings) as two,
        one.client() as first,
        two.client() as second,
    ):
        yield [first, second]


def test_repeated_requests_are_replayed_by_both_replicas_also_without_redis(
    replicas: list[httpx.Client], shared_redis: RedisServer
) -> None:
    first_replica, second_replica = replicas

    def ask_for_one_and_another_chip(key: str) -> list[httpx.Response]:
        asked = [
            match(client, Idempotency_Key=key)
            for client in (first_replica, second_replica, first_replica)
        ]
        other = {"chip": sar_tiff(78)}
        headers = {"Idempotency-Key": key}
        return [*asked, second_replica.post("/match", files=other, headers=headers)]

    key, (first, *again, reused) = while_redis_answers(replicas, ask_for_one_and_another_chip)
    assert first.status_code == 200, first.text
    for answer in again:
        assert answer.headers["idempotency-replayed"] == "true", answer.text
        assert answer.json() == first.json()
    assert (reused.status_code, kind(reused)) == (422, "idempotency-key-reused")

    shared_redis.kill()
    for client in replicas:
        fresh = match(client, Idempotency_Key="after")
        assert fresh.status_code == 200
        assert match(client, Idempotency_Key="after").json() == fresh.json()
    assert match(first_replica, Idempotency_Key=key).json() == first.json()
    assert redis_failures(first_replica) >= 1


def redis_failures(client: httpx.Client) -> float:
    metrics = client.get("/metrics").text.splitlines()
    (failures,) = [line for line in metrics if line.startswith("crossfix_redis_failures ")]
    return float(failures.split()[1])


def while_redis_answers(
    replicas: list[httpx.Client], ask: Callable[[str], list[httpx.Response]]
) -> tuple[str, list[httpx.Response]]:
    """Ask with a fresh key until Redis has answered each replica in time; return key and answers.

    On a busy machine Redis may take longer than the replicas wait for it.
    """
    failures, deadline = 0.0, time.monotonic() + 60
    while True:
        key = uuid.uuid4().hex
        answers = ask(key)
        counted = sum(map(redis_failures, replicas))
        if counted == failures:
            return key, answers
        assert time.monotonic() < deadline, "Redis does not answer in time"
        failures = counted
        time.sleep(PAUSE_S)


def test_a_repeated_enrolment_is_replayed(service: ServiceProcess) -> None:
    with service.client() as api:
        form = {"vessel": json.dumps({"name": "TWICE"})}
        answers = [
            api.post(
                "/gallery",
                data=form,
                files=[("chips", ("a.png", optical_png(4321)))],
                headers={"Idempotency-Key": "enrol-twice"},
            )
            for _ in range(2)
        ]
        assert [one.status_code for one in answers] == [201, 201]
        assert answers[0].json() == answers[1].json()
        assert answers[1].headers["location"] == answers[0].headers["location"]
        api.delete(f"/gallery/{answers[0].json()['id']}")


def test_https_with_a_self_signed_certificate(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    assert openssl, "openssl is missing; install it with: apt-get install openssl"
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=crossfix", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", key, "-out", cert], check=True, capture_output=True)
    settings = {"CROSSFIX_TLS_CERT": str(cert), "CROSSFIX_TLS_KEY": str(key)}
    trusted = ssl.create_default_context(cafile=str(cert))
    with running_service(tmp_path, settings=settings, trusted=trusted) as service:
        with service.client() as client:
            answer = client.get("/bundle")
            assert answer.status_code == 200
            assert answer.headers["strict-transport-security"]
        probe(Settings(port=httpx.URL(service.url).port, tls_cert=cert, tls_key=key), "/livez")
        with pytest.raises(httpx.TransportError):
            httpx.get(service.url.replace("https", "http") + "/livez", timeout=10)


@pytest.mark.parametrize(
    ("settings", "status", "mention"),
    [
        ({"CROSSFIX_HOST": "0.0.0.0"}, 2, "crossfix keys create"),
        ({"CROSSFIX_KEYS_FILE": __file__}, 1, "is damaged"),
        ({"CROSSFIX_TLS_CERT": __file__, "CROSSFIX_TLS_KEY": __file__}, 2, "CROSSFIX_TLS_CERT"),
    ],
)
def test_an_unsafe_or_wrong_setting_stops_the_start(
    settings: dict[str, str], status: int, mention: str, tmp_path: Path
) -> None:
    base = {"CROSSFIX_DATA_DIR": str(tmp_path / "data"), "CROSSFIX_PORT": "0"}
    done = crossfix("serve", **base, **settings)
    assert done.returncode == status
    assert mention in done.stderr
    assert "Traceback" not in done.stderr
