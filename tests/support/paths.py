"""Where tests find the repository's own files, and the data that may lie beside a checkout."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""
FLEET = ROOT / "demo" / "fleet"
"""The simulated chips of the demo."""
SHIPPED_BUNDLE = ROOT / "bundles" / "compact"
TRAINING_CONFIGS = ROOT / "model_training" / "configs"
SHARED = ROOT.parent / "shared"
"""Genuine data for tests and measurements; not part of the repository, and perhaps absent."""
HOSS_SAMPLE = SHARED / "data" / "hoss-sample"
"""Genuine HOSS ReID chips in the data set's folder layout."""
HOSS_SAMPLE_CHIPS = HOSS_SAMPLE / "bounding_box_train"
