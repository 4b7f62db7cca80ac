"""The operator's table of settings is complete and current."""

import re

from typer.testing import CliRunner

from service.cli.main import app
from service.cli.settings_table import HEAD, SECTIONS, settings_table
from service.settings import PREFIX, Settings
from tests.support.paths import ROOT

TABLE = ROOT / "docs" / "settings.md"


def test_the_table_is_current() -> None:
    assert TABLE.read_text("utf-8") == settings_table(), "renew it with: make settings-table"


def test_every_setting_has_a_row_with_four_cells() -> None:
    rows = [line for line in settings_table().splitlines() if line.startswith(f"| `{PREFIX}")]
    names = [row.split("`")[1] for row in rows]
    assert names == [PREFIX + name.upper() for name in Settings.model_fields]
    assert all(len(row.strip("|").split(" | ")) == 4 for row in rows)


def test_sections_and_the_list_of_ten_name_settings() -> None:
    assert SECTIONS.keys() < Settings.model_fields.keys()
    ten = re.findall(rf"`{PREFIX}(\w+)`", HEAD)
    assert len(ten) == 10
    assert {name.lower() for name in ten} < Settings.model_fields.keys()


def test_defaults_and_bounds_are_those_of_the_settings() -> None:
    rows = {line.split("`")[1]: line for line in settings_table().splitlines() if "`C" in line[:4]}
    assert "| `8080` | 0 to 65535 |" in rows["CROSSFIX_PORT"]
    assert "| `auto` | `auto`, `cpu`, `cuda` |" in rows["CROSSFIX_DEVICE"]
    assert "| unset | secret |" in rows["CROSSFIX_QDRANT_API_KEY"]
    assert "| `false` | `true`, `false` |" in rows["CROSSFIX_METRICS_WITHOUT_KEY"]


def test_the_command_prints_the_table() -> None:
    assert CliRunner().invoke(app, ["settings"]).stdout == settings_table()
