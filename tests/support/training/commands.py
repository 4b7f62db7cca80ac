"""Run `crossfix-train` in the process of the test."""

from typer.testing import CliRunner, Result

from model_training.cli.main import app

SENSORS = ("RGB", "SAR")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])
