"""`crossfix-train`: simulate, train, calibrate and evaluate.

Each command imports what it needs when it runs, so that `crossfix-train --help` loads no torch.
"""

import typer

from model_training.cli.adaptation import adaptation
from model_training.cli.framing import framing_report
from model_training.cli.look_alikes import look_alikes
from model_training.cli.measuring import ablation, calibrate, evaluate
from model_training.cli.reliability import reliability
from model_training.cli.scenes import scenes
from model_training.cli.simulation import simulate, simulator_report
from model_training.cli.studies import fusion_study, translator_report
from model_training.cli.training import cost, distil, encoder, translator

app = typer.Typer(
    help="Train and measure the models behind Crossfix.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
# The order of `crossfix-train --help`.
for _command in (
    *(simulate, simulator_report),
    *(encoder, translator, distil, cost),
    *(evaluate, look_alikes, calibrate, reliability, scenes, ablation),
    *(adaptation, fusion_study, translator_report, framing_report),
):
    app.command()(_command)


def main() -> None:
    """Run the console script."""
    app()
