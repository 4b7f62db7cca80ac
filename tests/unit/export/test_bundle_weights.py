"""The encoders of a bundle come back as modules that compute what its graph does."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from export.build_bundle import BundlePlan, EncoderPart, build_bundle, encoder_inputs
from export.bundle_weights import BundleWeightsError, read_encoders
from export.checkpoints import earlier_kinds, pretrained_licences, training_spec
from export.sample_chips import SampleChip, simulated_chips
from model_training.encoder import CompactConfig, LiteConfig, build_encoder
from model_training.encoder.ensemble import Ensemble, Shrunk
from model_training.encoder.loading import load_encoder, load_encoders
from model_training.encoder.published import load_initial_weights
from model_training.encoder.train_config import EncoderTrainConfig
from model_training.training.config import load_config
from service.contract.bundle import Bundle, open_bundle
from service.contract.manifest import PreprocessSpec, TrainingSpec
from service.inference.session import open_session
from service.settings import SHIPPED_BUNDLE
from tests.support.paths import TRAINING_CONFIGS
from tests.support.training.tiny_bundle import write_tiny_bundle

SMALL: dict[str, Any] = {
    "grid_width": 8,
    "grid_blocks": 1,
    "width": 32,
    "heads": 2,
    "depth": 1,
    "token_features": 4,
    "embedding_width": 12,
}
COMPACT = CompactConfig(
    kind="compact",
    preprocess=PreprocessSpec(height=64, width=32, sar_exponent=0.7, normalisation="per_chip"),
    stem_widths=(8, 16),
    **SMALL,
)
LITE = LiteConfig(
    kind="lite",
    preprocess=PreprocessSpec(height=64, width=32, sar_exponent=0.7, normalisation="per_chip"),
    mirror_average=True,
    pretrained=False,
    **SMALL,
)
HALF = CompactConfig(
    kind="compact",
    preprocess=LITE.preprocess.model_copy(update={"height": 32, "width": 16}),
    stem_widths=(8, 16),
    mirror_average=True,
    **SMALL,
)
Config = CompactConfig | LiteConfig


def scattered(config: Config, seed: int) -> nn.Module:
    """Build an encoder whose every tensor, norms included, is as irregular as a trained one's."""
    torch.manual_seed(seed)
    module = build_encoder(config)
    for module_part in module.modules():
        if isinstance(module_part, nn.BatchNorm1d | nn.BatchNorm2d):
            assert module_part.running_mean is not None
            assert module_part.running_var is not None
            module_part.running_mean.normal_(0, 0.1)
            module_part.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module_part.weight, 0.5, 1.5)
    for parameter in module.parameters():  # equal tensors would share one place in the graph
        if parameter.numel() > 1 and parameter.std() == 0:
            nn.init.normal_(parameter, 0, 0.1)
    return module.eval()


def bundle_of(
    module: nn.Module, config: Config, width: int, chips: Sequence[SampleChip], out: Path
) -> Bundle:
    plan = BundlePlan(
        name="small",
        method="test",
        encoder=EncoderPart(module, config.preprocess, width),
        training=TrainingSpec(domain="simulated", description="none", datasets=("noise",)),
        licences={},
        chips=chips,
    )
    return build_bundle(plan, out).bundle


@pytest.fixture(scope="module")
def compact() -> nn.Module:
    return scattered(COMPACT, seed=1)


@pytest.fixture(scope="module")
def alone(
    compact: nn.Module, chips: list[SampleChip], tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    """A bundle of one encoder."""
    out = tmp_path_factory.mktemp("alone") / "bundle"
    return bundle_of(compact, COMPACT, COMPACT.embedding_width, chips, out)


def embedded(module: nn.Module, config: Config, chips: Sequence[SampleChip]) -> Tensor:
    tensors = encoder_inputs(chips, config.preprocess).values()
    with torch.no_grad():
        embedding: Tensor = module(*(torch.from_numpy(tensor) for tensor in tensors))
    return embedding


def test_an_encoder_comes_back_with_its_config_and_its_results(
    compact: nn.Module, alone: Bundle, chips: list[SampleChip]
) -> None:
    read = read_encoders(alone, chips)
    (member,) = read.encoders.members
    assert member.config == COMPACT
    assert read.parity.largest_difference < 1e-5
    again, before = (embedded(module, COMPACT, chips) for module in (member.module, compact))
    torch.testing.assert_close(again, before, rtol=1e-4, atol=1e-5)
    for name, value in compact.state_dict().items():
        if name.startswith(("neck.", "blocks.", "head.", "size_token.", "place")):
            torch.testing.assert_close(member.module.state_dict()[name], value, rtol=0, atol=0)


def test_the_members_of_an_ensemble_come_back_one_by_one(
    chips: list[SampleChip], tmp_path: Path
) -> None:
    small, large = scattered(HALF, seed=2), scattered(LITE, seed=3)
    both = Ensemble([Shrunk(small, (2, 2), per_chip=True), large]).eval()
    read = read_encoders(bundle_of(both, LITE, 24, chips, tmp_path / "bundle"), chips)
    assert [member.config for member in read.encoders.members] == [HALF, LITE]
    configs: list[Config] = [HALF, LITE]
    for member, module, config in zip(read.encoders.members, (small, large), configs, strict=True):
        again, before = (embedded(one, config, chips) for one in (member.module, module))
        torch.testing.assert_close(again, before, rtol=1e-4, atol=1e-5)
    joined = embedded(read.encoders.module, LITE, chips)
    torch.testing.assert_close(joined, embedded(both, LITE, chips), rtol=1e-4, atol=1e-5)


def test_training_mode_normalises_by_the_statistics_that_a_folded_norm_has(
    alone: Bundle, chips: list[SampleChip]
) -> None:
    encoder = read_encoders(alone, chips).encoders.members[0].module
    tensors = [torch.from_numpy(v) for v in encoder_inputs(chips, COMPACT.preprocess).values()]
    with torch.no_grad():
        served = encoder.tokens(*tensors)
        trained = encoder.train().tokens(*tensors)
    # the same chips have the same statistics; the variance of few values differs by its divisor
    torch.testing.assert_close(trained, served, rtol=0.02, atol=0.02)


def test_the_shipped_bundle_becomes_checkpoints_of_its_runs(tmp_path: Path) -> None:
    bundle = open_bundle(SHIPPED_BUNDLE)
    chips = simulated_chips(4)
    paths = read_encoders(bundle, chips).save(tmp_path)
    assert [path.stem for path in paths] == [r.run for r in bundle.manifest.training.encoders]
    loaded = load_encoders(paths)
    tensors = dict(encoder_inputs(chips, loaded.preprocess))
    spec = bundle.manifest.encoder.graph
    served = open_session(bundle.file(spec.file), spec, "cpu", threads=1).run(tensors)
    with torch.no_grad():
        again = loaded.module(*(torch.from_numpy(tensor) for tensor in tensors.values()))
    np.testing.assert_allclose(again.numpy(), served, rtol=0, atol=1e-4)

    described = training_spec(loaded, None)
    assert described.domain == bundle.manifest.training.domain
    assert described.datasets == bundle.manifest.training.datasets
    assert described.encoders == bundle.manifest.training.encoders
    assert bundle.bundle_id in described.description
    assert list(pretrained_licences(loaded)) == [
        what for what in bundle.manifest.licences if "ImageNet" in what
    ]
    assert earlier_kinds(paths[0]) == ["simulated"]

    adapt = load_config(TRAINING_CONFIGS / "adapt.yaml", EncoderTrainConfig)
    assert adapt.initial is not None
    started_from = load_encoder(tmp_path / adapt.initial.name)
    assert adapt.encoder == started_from.config


def test_a_run_starts_from_what_was_read(
    alone: Bundle, chips: list[SampleChip], tmp_path: Path
) -> None:
    read = read_encoders(alone, chips)
    (path,) = read.save(tmp_path)
    model = nn.Module()
    model.encoder = build_encoder(COMPACT)
    load_initial_weights(model, path)
    for name, value in read.encoders.members[0].module.state_dict().items():
        torch.testing.assert_close(model.encoder.state_dict()[name], value, rtol=0, atol=0)


def test_other_encoders_are_refused(chips: list[SampleChip], tmp_path: Path) -> None:
    with pytest.raises(BundleWeightsError, match="no compact or lite encoder"):
        read_encoders(write_tiny_bundle(tmp_path), chips)


def test_rounded_weights_are_refused(chips: list[SampleChip], tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path)
    encoder = bundle.manifest.encoder
    graph = encoder.graph.model_copy(update={"precision": "int8"})
    manifest = bundle.manifest.model_copy(
        update={"encoder": encoder.model_copy(update={"graph": graph})}
    )
    rounded = Bundle(bundle.path, manifest, bundle.bundle_id)
    with pytest.raises(BundleWeightsError, match="stored as int8"):
        read_encoders(rounded, chips)
