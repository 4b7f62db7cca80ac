"""The command line against a real service process."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from service.settings import SHIPPED_BUNDLE
from tests.support.inputs.chips import optical_png, sar_tiff
from tests.support.inputs.genuine import genuine_chips
from tests.support.paths import HOSS_SAMPLE
from tests.support.processes.cli import ENVIRONMENT, command, crossfix
from tests.support.processes.service_process import ServiceProcess, free_port, running_service


def crossfix_process(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its local."""
    return subprocess.run(
        command(*arguments),
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A service for this module alone, so that counts of vessels are known."""
    with running_service(tmp_path_factory.mktemp("cli")) as process:
        yield process


def make_fleet(root: Path, vessels: int, first_seed: int = 0, first_name: str = "ALPHA") -> Path:
    """Write a folder in HOSS layout: two chips of each vessel, and one of an unknown vessel."""
    for part in ("bounding_box_test", "query"):
        (root / part).mkdir(parents=True)
    for number in range(1, vessels + 1):
        optical = optical_png(first_seed + number, height=120 + number, width=30)
        (root / "bounding_box_test" / f"{number:04d}_s1c1_RGB.png").write_bytes(optical)
        sar = sar_tiff(first_seed + number, height=90 + number, width=22)
        (root / "query" / f"{number:04d}_s1c2_SAR.tif").write_bytes(sar)
    (root / "query" / "0999_s1c2_SAR.tif").write_bytes(sar_tiff(first_seed + 999, 80, 20))
    (root / "vessels.csv").write_text(f"id,name,type\n1,{first_name},tanker\n")
    return root


def find_vessels(service: ServiceProcess, name: str) -> list[dict[str, object]]:
    """List the registered vessels whose name contains `name`."""
    with service.client() as api:
        vessels: list[dict[str, object]] = api.get(
            "/gallery", params={"name": name, "limit": 500}
        ).json()["vessels"]
    return vessels


def test_enrolling_a_folder_twice_registers_each_vessel_once(
    local: ServiceProcess, tmp_path: Path
) -> None:
    folder = make_fleet(tmp_path / "baltic", vessels=3, first_name="ODIN")
    (folder / "bounding_box_test" / "0003_s9c9_RGB.png").write_text("no picture")
    first = crossfix("enrol", folder, "--url", local.url, "--json")
    assert first.returncode == 1, first.stderr
    report = json.loads(first.stdout)
    assert (report["created"], report["known"], report["chips"]) == (3, 0, 3)
    (refusal,) = report["refused"]
    assert (refusal["files"], refusal["kind"]) == (["0003_s9c9_RGB.png"], "chip-format")
    (folder / "bounding_box_test" / "0003_s9c9_RGB.png").unlink()
    again = crossfix("enrol", folder, "--url", local.url)
    assert again.returncode == 0, again.stderr
    assert "0 vessels registered, 3 known before" in again.stdout
    assert len(find_vessels(local, "baltic")) == 2
    (odin,) = find_vessels(local, "ODIN")
    assert odin["type"] == "tanker"


def test_enrolling_a_manifest_sends_its_attributes(local: ServiceProcess, tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(sar_tiff(71, 90, 20))
    (tmp_path / "b.png").write_bytes(optical_png(72, 120, 30))
    manifest = tmp_path / "north.csv"
    manifest.write_text(
        "chip,name,imo,modality,gsd_m,captured_at,lat,lon,sensor\n"
        "a.tif,NORTHERN,9074729,sar,1.5,2026-03-02T10:12:00Z,57.1,19.2,SAR-1\n"
        "b.png,,9074729,optical,0.5,,,,\n"
    )
    done = crossfix("enrol", manifest, "--url", local.url, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["chips"] == 2
    (vessel,) = find_vessels(local, "NORTHERN")
    with local.client() as api:
        sightings = api.get(f"/gallery/{vessel['id']}").json()["sightings"]
    by_sensor = {sighting["modality"]: sighting for sighting in sightings}
    assert by_sensor["sar"]["gsd_m"] == 1.5
    assert by_sensor["sar"]["position"] == {"lat": 57.1, "lon": 19.2}
    assert by_sensor["optical"]["gsd_m"] == 0.5


def test_matching_prints_ranked_vessels_and_refused_chips(
    local: ServiceProcess, tmp_path: Path
) -> None:
    folder = make_fleet(tmp_path / "biscay", vessels=2, first_seed=50)
    assert crossfix("enrol", folder, "--url", local.url).returncode == 0
    chip = folder / "query" / "0001_s1c2_SAR.tif"
    shown = crossfix("match", chip, "--url", local.url, "--top-k", 2)
    assert shown.returncode == 0, shown.stderr
    assert "sar, 91 m x 22 m at 1 m/pixel" in shown.stdout
    assert "rank  probability  similarity  vessel" in shown.stdout
    bad = tmp_path / "bad.tif"
    bad.write_text("no chip")
    options = ("--url", local.url, "--top-k", 1, "--gsd-m", 2, "--no-store", "--json")
    mixed = crossfix("match", chip, bad, *options)
    assert mixed.returncode == 1
    good, refused = json.loads(mixed.stdout)
    assert (good["chip"], len(good["candidates"])) == (str(chip), 1)
    assert (good["query"]["gsd_m"], good["query"]["sighting_id"]) == (2.0, None)
    assert refused["problem"]["kind"] == "chip-format"


def test_an_enrolment_stopped_by_ctrl_c_can_be_continued(
    local: ServiceProcess, tmp_path: Path
) -> None:
    folder = make_fleet(tmp_path / "channel", vessels=40, first_seed=1000)
    arguments = ("enrol", folder, "--url", local.url)
    running = subprocess.Popen(
        command(*arguments, "--json"),
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 60
    while not find_vessels(local, "channel") and time.monotonic() < deadline:
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    output, _ = running.communicate(timeout=60)
    assert running.returncode == 130
    report = json.loads(output)
    assert report["stopped"]
    assert report["refused"] == []
    enrolled = len(find_vessels(local, "channel"))
    assert enrolled < 39
    finished = crossfix("enrol", folder, "--url", local.url, "--json")
    assert finished.returncode == 0, finished.stderr
    rest = json.loads(finished.stdout)
    assert rest["created"] + rest["known"] == 40
    assert rest["known"] >= report["created"]
    assert len(find_vessels(local, "channel")) == 39


def test_an_unreachable_service_is_reported() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    done = crossfix("match", __file__, "--url", url)
    assert done.returncode == 1
    assert done.stderr.startswith(f"crossfix: no answer from {url}")
    assert "crossfix serve" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        (("--port", "99999"), {}, "CROSSFIX_PORT"),
        (("--host", "0.0.0.0"), {}, "can be reached by others"),
        ((), {"CROSSFIX_BUNDEL": "x"}, "unknown setting CROSSFIX_BUNDEL"),
        ((), {"CROSSFIX_THREADS": "many"}, "CROSSFIX_THREADS"),
        (("--device", "tpu"), {}, "tpu"),
    ],
)
def test_wrong_settings_end_with_status_2(
    arguments: tuple[str, ...], settings: dict[str, str], message: str
) -> None:
    done = crossfix("serve", *arguments, **settings)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_taken_port_and_a_missing_bundle_are_reported(
    local: ServiceProcess, tmp_path: Path
) -> None:
    port = local.url.rpartition(":")[2]
    taken = crossfix_process("serve", "--port", port, "--data-dir", tmp_path)
    assert taken.returncode == 1
    (line,) = taken.stderr.splitlines()
    assert f"cannot listen on 127.0.0.1:{port}" in json.loads(line)["message"]
    missing = crossfix_process(
        "serve", "--port", 0, "--bundle", tmp_path / "none", "--data-dir", tmp_path
    )
    assert missing.returncode == 1
    assert "there is no bundle" in json.loads(missing.stderr.splitlines()[-1])["message"]


def test_serve_ends_gracefully_and_logs_json(tmp_path: Path) -> None:
    with running_service(tmp_path) as service:
        with service.client() as api:
            assert api.get("/livez").status_code == 200
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(20) == 0
    lines = [json.loads(line) for line in service.log.read_text().splitlines()]
    assert service.url in [line.get("url") for line in lines]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    assert not [line for line in lines if line["level"] == "error"]


def test_embed_writes_vectors_without_a_service(tmp_path: Path) -> None:
    folder = make_fleet(tmp_path / "chips", vessels=2)
    out = tmp_path / "x.npz"
    done = crossfix("embed", folder, "--bundle", SHIPPED_BUNDLE, "--out", out)
    assert done.returncode == 0, done.stderr
    with np.load(out, allow_pickle=False) as arrays:
        names, vectors = arrays["names"].tolist(), arrays["embeddings"]
        modalities = arrays["modalities"].tolist()
    assert len(names) == len(vectors) == len(modalities) == 5
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert [m == "optical" for m in modalities] == ["RGB" in name for name in names]


def test_bundles_are_shown_and_verified(tmp_path: Path) -> None:
    document = json.loads(crossfix("bundle", "show", SHIPPED_BUNDLE, "--json").stdout)
    assert len(document["bundle_id"]) == 16
    assert document["bundle_id"] in crossfix("bundle", "show", SHIPPED_BUNDLE).stdout
    sound = crossfix("bundle", "verify", SHIPPED_BUNDLE, "--device", "cpu")
    assert sound.returncode == 0
    assert f"bundle {document['bundle_id']} " in sound.stdout
    broken = crossfix("bundle", "verify", tmp_path)
    assert broken.returncode == 1
    assert "has no manifest.json" in broken.stderr


def test_the_demo_ends_after_the_table_with_once(tmp_path: Path) -> None:
    folder = make_fleet(tmp_path / "harbour", vessels=4)
    out = tmp_path / "out"
    done = crossfix_process("demo", "--chips", folder, "--once", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "SIMULATED" not in done.stdout
    assert "4 vessels registered" in done.stdout
    assert done.stdout.count("_s1c2_SAR") == 5
    assert "SAR chips of enrolled ships: 4. Their vessel came first for " in done.stdout
    assert "SAR chips of ships that are not enrolled: 1." in done.stdout
    picture = out / "contact-sheet.png"
    assert str(picture) in done.stdout
    with Image.open(picture) as sheet:
        assert sheet.width > 1000


def test_the_demo_keeps_running_until_ctrl_c(tmp_path: Path) -> None:
    folder = make_fleet(tmp_path / "harbour", vessels=1)
    url = f"http://127.0.0.1:{(port := free_port())}"
    arguments = ("demo", "--chips", folder, "--out", tmp_path, "--port", port)
    with subprocess.Popen(
        command(*arguments, "--data-dir", tmp_path / "data"),
        env=ENVIRONMENT | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as running:
        assert running.stdout is not None
        assert any(f"{url}/docs" in line for line in running.stdout)
        assert httpx.get(f"{url}/readyz").status_code == 200
        os.killpg(running.pid, signal.SIGINT)
        assert running.wait(30) == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/livez")


def test_a_terminated_demo_stops_its_service(tmp_path: Path) -> None:
    folder = make_fleet(tmp_path / "harbour", vessels=1)
    url = f"http://127.0.0.1:{(port := free_port())}"
    arguments = ("demo", "--chips", folder, "--out", tmp_path, "--port", port)
    with subprocess.Popen(
        command(*arguments), env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert any("registered" in line for line in running.stdout)
        running.terminate()
        assert running.wait(30) == 128 + signal.SIGTERM
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/livez")


def test_the_demo_runs_on_genuine_chips(tmp_path: Path) -> None:
    queries = genuine_chips("*_SAR.tif")
    done = crossfix_process("demo", "--chips", HOSS_SAMPLE, "--once", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "0 refused" in done.stdout
    assert f"To identify: {len(queries)} SAR chips" in done.stdout


def test_help_loads_no_models() -> None:
    program = (
        "import sys\nfrom service.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "heavy = {'numpy', 'onnxruntime', 'fastapi', 'qdrant_edge', 'qdrant_client', 'torch'}\n"
        "assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    for name in ("serve", "settings", "enrol", "match", "embed", "demo", "bundle"):
        assert name in done.stdout
