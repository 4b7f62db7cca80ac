"""The commands in containers and the volumes that docs/operations.md names exist."""

import re

from typer.testing import CliRunner

from service.cli.main import app
from tests.support.paths import ROOT
from tests.support.processes.compose_files import compose_file

PAGE = (ROOT / "docs/operations.md").read_text()
TYPED = "\n".join(re.findall(r"`((?:docker compose|kubectl) [^`]+)`", PAGE))
BEFORE = r"(?:-- crossfix|exec service crossfix|(?<=[ \"])service)"
COMMANDS = re.findall(BEFORE + r" ([a-z]+(?: [a-z]+)*)", TYPED)


def test_each_command_of_the_service_is_one() -> None:
    assert {"backup", "reembed", "keys create", "audit verify"} <= set(COMMANDS)
    for command in COMMANDS:
        done = CliRunner().invoke(app, [*command.split(), "--help"])
        assert done.exit_code == 0, command


def test_volumes_of_the_table_are_those_of_compose() -> None:
    table = set(re.findall(r"volumes? (`\w+`(?:, `\w+`)*)", PAGE))
    named = set(re.findall(r"`(\w+)`", " ".join(table)))
    assert named
    assert named <= compose_file("docker-compose.yml")["volumes"].keys()
