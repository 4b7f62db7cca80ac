"""Render ships in 3-D as an optical and a radar satellite see them; see `docs/simulator.md`."""

from model_training.simulator.config import SimulatorConfig
from model_training.simulator.dataset import write_dataset
from model_training.simulator.demo_fleet import write_demo_fleet
from model_training.simulator.pool import map_views, render_many
from model_training.simulator.report import report
from model_training.simulator.sheet import write_sheet
from model_training.simulator.ships.vessel import VesselModel, sample_fleet, size_twin
from model_training.simulator.truth import LAYOUT_CHANNELS
from model_training.simulator.views import SensorName, View, render_view

__all__ = [
    "LAYOUT_CHANNELS",
    "SensorName",
    "SimulatorConfig",
    "VesselModel",
    "View",
    "map_views",
    "render_many",
    "render_view",
    "report",
    "sample_fleet",
    "size_twin",
    "write_dataset",
    "write_demo_fleet",
    "write_sheet",
]
