"""`crossfix-train fusion-study`: features of stored chips, the table, several encoders."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import BaseModel
from torch import Tensor, nn
from typer.testing import CliRunner, Result

from model_training.cli.main import app
from model_training.data.cache import CachedChip, PictureStore, write_shard
from model_training.encoder import build_encoder
from model_training.encoder.loading import load_encoders
from model_training.encoder.stores import TrainingStores
from model_training.encoder.train_config import EncoderTrainConfig, SimulatedData
from model_training.fusion.selection import ValidationFeatures, choose_fusion
from model_training.fusion.study import as_markdown, validation_features
from model_training.training.checkpoint import Checkpoint
from model_training.training.config import RunConfig
from model_training.translator.diffusion import BridgeConfig
from model_training.translator.train import LoadedTranslator, TranslatorConfig
from model_training.translator.unet import BridgeUNet, UNetConfig
from service.contract.chip import Modality
from service.contract.fusion import l2_normalise
from service.contract.manifest import PreprocessSpec
from service.contract.preprocess import picture_to_pixels, size_token

SPEC = PreprocessSpec(height=32, width=16, normalisation="per_chip", sar_exponent=0.7)
OPTICAL_CHIPS, SAR_CHIPS = 18, 20  # more than one batch of each


class Echo(nn.Module):
    """Encoder that returns its input: modality, size, pixels."""

    def forward(self, pixels: Tensor, modality: Tensor, size: Tensor) -> Tensor:
        return torch.cat([modality[:, None].float(), size, pixels.flatten(1)], dim=1)


def translator() -> LoadedTranslator:
    """Return an untrained translator: it predicts grad 0, so that pseudo-SAR is the luminance."""
    unet = UNetConfig(height=32, width=16, widths=(16, 32), heads=2)
    config = TranslatorConfig(
        run=RunConfig(out=Path("unused"), steps=1),
        unet=unet,
        bridge=BridgeConfig(steps=1),
        data=SimulatedData(
            kind="simulated", folder=Path("unused"), seed=0, validation_seed=1, vessels=100
        ),
    )
    return LoadedTranslator(BridgeUNet(unet).eval(), config, {})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> PictureStore:
    rng = np.random.default_rng(0)
    chips = []
    for number in range(OPTICAL_CHIPS + SAR_CHIPS):
        picture = rng.integers(0, 256, (60 + number, 20, 3), dtype=np.uint8)
        modality, gsd_m = Modality.OPTICAL, 0.75
        if number >= OPTICAL_CHIPS:
            picture[:] = picture[..., :1]
            modality, gsd_m = Modality.SAR, 1.0
        chips.append(CachedChip(picture, modality, gsd_m, 10 + number % OPTICAL_CHIPS))
    folder = tmp_path_factory.mktemp("store")
    write_shard(folder, 0, chips)
    return PictureStore(folder, [0])


def test_every_chip_is_encoded_once_with_its_vessel(store: PictureStore) -> None:
    features = validation_features(Echo(), SPEC, translator(), store, samples=2)
    width = 1 + 3 + 3 * 32 * 16
    assert features.optical.shape == (OPTICAL_CHIPS, width)
    assert features.pseudo_sar.shape == (OPTICAL_CHIPS, 2, width)
    assert features.sar.shape == (SAR_CHIPS, width)
    assert np.array_equal(features.optical_ids, 10 + np.arange(OPTICAL_CHIPS))
    assert np.array_equal(
        features.sar_ids, 10 + np.arange(OPTICAL_CHIPS, OPTICAL_CHIPS + SAR_CHIPS) % OPTICAL_CHIPS
    )
    assert np.all(features.optical[:, 0] == 0)
    assert np.all(features.sar[:, 0] == 1)


def test_only_the_chips_of_the_given_ships_are_encoded(store: PictureStore) -> None:
    features = validation_features(Echo(), SPEC, translator(), store, samples=1, among={10, 12})
    assert features.optical_ids.tolist() == [10, 12]
    assert features.pseudo_sar.shape[0] == features.optical.shape[0] == 2
    assert set(features.sar_ids.tolist()) <= {10, 12}
    assert len(features.sar_ids) == len(features.sar) > 0


def test_pseudo_sar_is_encoded_as_sar_of_the_optical_chips_size(store: PictureStore) -> None:
    features = validation_features(Echo(), SPEC, translator(), store, samples=2)
    assert np.all(features.pseudo_sar[..., 0] == 1)
    for row in range(OPTICAL_CHIPS):
        height, width = store.picture(row).shape[:2]
        expected = size_token(height * 0.75, width * 0.75, SPEC.size_token)
        assert np.allclose(features.pseudo_sar[row, :, 1:4], expected)
    pixels = features.pseudo_sar[17, 0, 4:].reshape(3, 32, 16)
    luminance = store.picture(17) @ np.array([0.299, 0.587, 0.114])
    grey = np.repeat(np.rint(luminance)[..., None], 3, axis=2).astype(np.uint8)
    resized = picture_to_pixels(grey, Modality.SAR, SPEC)
    assert np.corrcoef(pixels.ravel(), resized.ravel())[0, 1] > 0.98


def test_the_table_has_a_row_per_trial_and_ends_with_the_choice(store: PictureStore) -> None:
    features = validation_features(Echo(), SPEC, translator(), store, samples=2)
    choice = choose_fusion(features, alphas=[0.1], samples=[1, 2], draws=50)
    lines = as_markdown(choice).splitlines()
    assert len(lines) == 3 + 4 + 3
    assert lines[2].startswith("| none |")
    assert lines[-2] == choice.sentence
    assert lines[-1].endswith(f"--samples {choice.spec.samples} --alpha {choice.spec.alpha:g}")
    assert ("no fusion" in lines[-1]) is not choice.helps


def save_encoder(path: Path, seed: int) -> Path:
    """Save an untrained encoder as a run would."""
    torch.manual_seed(seed)
    encoder = {"kind": "reference", "width": 16, "depth": 1, "heads": 2}
    config = EncoderTrainConfig.model_validate(
        {
            "run": {"out": f"runs/{seed}", "steps": 1, "seed": seed},
            "encoder": {**encoder, "preprocess": SPEC.model_dump()},
            "data": translator().config.data.model_dump(),
            "objective": {"kind": "pairs"},
        }
    )
    state = build_encoder(config.encoder).state_dict()
    weights = {f"encoder.{name}": value for name, value in state.items()}
    save(path, config, weights)
    return path


def save(path: Path, config: BaseModel, weights: dict[str, Tensor]) -> None:
    stored = config.model_dump(mode="json")
    Checkpoint(
        config=stored, data_digest="d" * 64, commit=None, step=1, model=weights, ema=weights
    ).save(path)


def test_several_encoders_are_studied_as_one(
    store: PictureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "model_training.encoder.stores.open_stores",
        lambda _data, _spec: TrainingStores(store, store, "digest"),
    )
    encoders = [save_encoder(tmp_path / f"encoder-{seed}.pt", seed) for seed in (0, 1)]
    translator_file, out = tmp_path / "translator.pt", tmp_path / "new" / "study.json"
    save(translator_file, translator().config, translator().module.state_dict())
    sweep = ("--alpha", "0.5", "--samples", "1", "--samples", "2", "--threads", "1")
    result = run_study(*encoders, translator_file, *sweep, "--out", out)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("18 validation ships, encoders: 2, translator steps: 1\n")
    document = json.loads(out.read_text())
    assert document["sentence"] in result.stdout
    assert [(trial["alpha"], trial["samples"]) for trial in document["trials"]] == [
        (alpha, count) for count in (1, 2) for alpha in (0.02, 0.5)
    ]
    alone = [features_of(path, store) for path in encoders]
    widths = [features.optical.shape[1] for features in alone]
    whole = validation_features(
        load_encoders(encoders).module, SPEC, translator(), store, samples=1
    )
    assert whole.optical.shape[1] == sum(widths)
    cosines = [l2_normalise(f.optical) @ l2_normalise(f.sar).T for f in alone]
    assert whole.optical @ whole.sar.T == pytest.approx(np.mean(cosines, axis=0), abs=1e-5)


def run_study(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["fusion-study", *map(str, arguments)])


def features_of(encoder: Path, store: PictureStore) -> ValidationFeatures:
    return validation_features(load_encoders([encoder]).module, SPEC, translator(), store, 1)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--samples", "0"], "K must lie in 1..64"),
        (["--alpha", "1.5"], "alpha must lie above 0"),
        ([], "is not a checkpoint of an encoder run"),
    ],
)
def test_unusable_arguments_are_refused_before_any_work(
    tmp_path: Path, arguments: list[str], reason: str
) -> None:
    (tmp_path / "text.pt").write_text("no checkpoint")
    result = run_study(tmp_path / "text.pt", tmp_path / "none.pt", *arguments)
    assert result.exit_code == 2
    assert reason in result.stderr


def test_a_file_that_is_no_translator_is_refused(tmp_path: Path) -> None:
    encoder = save_encoder(tmp_path / "encoder.pt", 0)
    result = run_study(encoder, encoder)
    assert result.exit_code == 2
    assert f"{encoder} is not a checkpoint of a translator" in result.stderr
