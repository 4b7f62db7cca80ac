"""The compose file of digests, with a stand-in for Docker's command."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.paths import ROOT
from tests.support.processes.compose_files import compose_file

PULLED = (
    '#!/bin/sh\nname=${5%%:*}\necho "$name@sha256:$(printf %s "$5" | sha256sum | cut -c1-64)"\n'
)
NEVER_PULLED = "#!/bin/sh\necho\n"


def pin(folder: Path, docker: str) -> subprocess.CompletedProcess[str]:
    (folder / "docker").write_text(docker)
    (folder / "docker").chmod(0o755)
    return subprocess.run(
        [ROOT / "scripts/pin-images"],
        env={"PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_each_image_of_others_is_named_by_its_digest(tmp_path: Path) -> None:
    done = pin(tmp_path, PULLED)
    assert done.returncode == 0, done.stderr
    pinned = yaml.safe_load(done.stdout)["services"]
    tagged = compose_file("docker-compose.yml")["services"]
    assert pinned.keys() == tagged.keys()
    for name, service in pinned.items():
        if name == "service":
            assert service["build"]["args"]["PYTHON_IMAGE"].startswith("python@sha256:")
        else:
            assert service["image"].startswith(tagged[name]["image"].split(":")[0] + "@sha256:")


@pytest.mark.parametrize("docker", [NEVER_PULLED, "#!/bin/sh\nexit 1\n"])
def test_an_image_that_was_never_pulled_is_named(tmp_path: Path, docker: str) -> None:
    done = pin(tmp_path, docker)
    assert done.returncode == 1
    assert "docker pull" in done.stderr
