"""An operator's command as a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def crossfix(
    data: Path, *arguments: str, status: int = 0, settings: Mapping[str, str] | None = None
) -> Any:
    """Run a command on a data folder; its JSON output, or what it complained about."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CROSSFIX_")}
    done = subprocess.run(
        [sys.executable, "-m", "service.cli.main", *arguments, "--data-dir", str(data), "--json"],
        env=environment | {"CROSSFIX_DEVICE": "cpu"} | dict(settings or {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout) if done.stdout else done.stderr
