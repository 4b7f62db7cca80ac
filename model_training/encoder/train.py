"""Train an encoder: `crossfix-train encoder CONFIG`."""

import sys
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from model_training.data.cache import PictureStore, Records
from model_training.data.growing import render_beside
from model_training.data.holdout import HeldOutPart, archive_part, held_out_part
from model_training.data.samplers import BalancedIdentitySampler, PairSampler
from model_training.encoder import LiteConfig, LiteEncoder
from model_training.encoder.batches import (
    Batch,
    join_pairs,
    plain_batch,
    plain_batches,
    training_batch,
)
from model_training.encoder.gather import gather_rows
from model_training.encoder.heads import TrainedModel
from model_training.encoder.large_batches.features import (
    FeatureStore,
    freeze_early_layers,
    prepare_features,
)
from model_training.encoder.large_batches.mining import Miner
from model_training.encoder.losses import (
    batch_hard_triplet,
    class_modality_alignment,
    identity_cross_entropy,
    layout_regression,
    pair_infonce,
)
from model_training.encoder.published import load_initial_weights
from model_training.encoder.stores import TrainingStores, open_stores
from model_training.encoder.train_config import (
    ArchiveData,
    EncoderTrainConfig,
    HossData,
    IdentityObjective,
    PairObjective,
)
from model_training.ranking import score_across_sensors
from model_training.training.checkpoint import Checkpoint
from model_training.training.config import ConfigError
from model_training.training.run import fit
from model_training.training.seeds import step_generator, step_seed
from service.contract.manifest import PreprocessSpec

MAX_LOGIT_SCALE = 100.0
"""Bound of the inverse temperature of InfoNCE, as in CLIP (Radford et al., 2021)."""


class EncoderTask:
    """The training of an encoder, for `model_training.training.run.fit`.

    Raises:
        ConfigError: a batch requires more ships than the training data have.
        StoreError: the training data have fewer than two ships that a batch can use.
        EncoderLoadError: `initial` holds no weights that this encoder can start from.
    """

    def __init__(self, config: EncoderTrainConfig, stores: TrainingStores) -> None:
        self.config, self.stores = config, stores
        self.data_digest = stores.digest
        data, held_out = config.data, stores.validation.vessels.tolist()
        self.choosing: HeldOutPart | None = None
        if isinstance(data, HossData):
            self.choosing = held_out_part(held_out, "choice", data.split_seed)
        elif isinstance(data, ArchiveData):
            self.choosing = archive_part(held_out, "choice", data.split_seed)
        torch.manual_seed(step_seed(config.run.seed, -1))
        model = TrainedModel(config, len(stores.train.vessels), stores.train.layouts)
        self.model: nn.Module = model
        if config.initial is not None:
            load_initial_weights(self.model, config.initial)
        elif isinstance(config.encoder, LiteConfig) and config.encoder.pretrained:
            assert isinstance(model.encoder, LiteEncoder)
            model.encoder.load_imagenet()
        _use_channels_last(self.model)
        self.features: FeatureStore | None = None
        if config.early_features is not None:
            assert isinstance(model.encoder, LiteEncoder)
            freeze_early_layers(model.encoder)
            self.features = prepare_features(model.encoder, stores.train, stores.digest, config)
        objective = config.objective
        self.train_store = stores.train
        self.pairs: PairSampler | None = None
        self.replay: PairSampler | None = None
        self.miner: Miner | None = None
        self.identities: BalancedIdentitySampler | None = None
        if isinstance(objective, PairObjective):
            self.pairs = PairSampler(stores.train)
            ships = len(self.pairs.by_likeness)
            if objective.mined_share:
                spec = config.encoder.preprocess
                batch: Callable[[Sequence[int]], Batch] = (
                    partial(plain_batch, stores.train, spec=spec)
                    if self.features is None
                    else self.features.batch
                )
                refresh, file = objective.mined_refresh_steps, config.run.out / "mined.npz"
                self.miner = Miner(batch, self.pairs, refresh, file, config.run.precision)
            if stores.replay is not None:
                self.replay = PairSampler(stores.replay.train)
                ships += len(self.replay.by_likeness)
            _require_ships("pairs", objective.pairs, ships, "training ships with both sensors")
        elif stores.replay is not None:
            raise ConfigError("data of `kind: archive` needs an objective of `kind: pairs`")
        else:
            self.identities = BalancedIdentitySampler(stores.train)
            ships = self.identities.vessels
            _require_ships("identities", objective.identities, ships, "training ships")

    def batch(self, step: int, rank: int) -> Batch:
        """Draw the augmented chips of a step: N optical then N SAR, or P x K by identity."""
        generator = step_generator(self.config.run.seed, step, rank)
        objective = self.config.objective
        self._grow(step)
        if self.miner is not None:
            self.miner.refresh(step, self.model, generator, keep=rank == 0)
        if isinstance(objective, PairObjective) and self.pairs is not None:
            if self.replay is None or self.stores.replay is None:
                return self._pairs(self.pairs, self.train_store, objective.pairs, step, generator)
            assert isinstance(self.config.data, ArchiveData)
            wanted = round(self.config.data.archive_share * objective.pairs)
            own = max(1, min(wanted, len(self.pairs.by_likeness)))
            rest = objective.pairs - own
            return join_pairs(
                self._pairs(self.pairs, self.train_store, own, step, generator),
                self._pairs(self.replay, self.stores.replay.train, rest, step, generator),
            )
        assert isinstance(objective, IdentityObjective)
        assert self.identities is not None
        rows = self.identities.draw(generator, objective.identities, objective.chips)
        return self._augmented(self.train_store, rows.tolist(), generator)

    def _pairs(
        self,
        sampler: PairSampler,
        store: PictureStore,
        count: int,
        step: int,
        generator: np.random.Generator,
    ) -> Batch:
        """Draw the augmented chips of so many ships of a store, optical then SAR."""
        objective = self.config.objective
        assert isinstance(objective, PairObjective)
        ramp = min(1.0, step / max(1, objective.hard_ramp_steps))
        shares = objective.hard_share * ramp, objective.sister_share * ramp
        mined = None if self.miner is None else self.miner.group
        draw = sampler.draw(
            generator, count, *shares, mined_share=objective.mined_share, mined=mined
        )
        rows = np.concatenate([draw.optical, draw.sar]).tolist()
        if self.features is not None:
            return self.features.batch(rows)
        return self._augmented(store, rows, generator)

    def _augmented(
        self, store: PictureStore, rows: Sequence[int], generator: np.random.Generator
    ) -> Batch:
        spec, augment = self.config.encoder.preprocess, self.config.augment
        return training_batch(store, rows, spec, augment, generator)

    def _grow(self, step: int) -> None:
        """Take the ships of a step into use, where the fleet grows."""
        growth = self.stores.growth
        if growth is None or self.pairs is None:
            return
        store = growth.store(step)
        if store is not self.train_store:
            self.train_store = store
            self.pairs = PairSampler(store)

    def loss(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Return the weighted sum as `loss`, and its parts, at full precision.

        Autocast would compute similarities and distances in bfloat16, whose steps are as large as
        the differences that decide which chip is nearer.
        """
        device = next(model.parameters()).device
        batch = batch.to(device)
        pixels = batch.pixels.contiguous(memory_format=torch.channels_last)
        outputs = model(pixels, batch.modality, batch.size, batch.layout)
        with torch.autocast(device.type, enabled=False):
            if isinstance(self.config.objective, PairObjective):
                return pair_objective(outputs, batch.vessel, self.config.objective)
            return identity_objective(outputs, batch, self.config.objective)

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Return cross-modal retrieval scores on the validation ships, in per cent.

        Of ships held out of HOSS or of an archive, those that choose the checkpoint. They are few
        in an archive, so they are searched among all of its ships; `replay_mAP` is that of the
        simulated validation ships beside it.
        """
        assert isinstance(model, TrainedModel)
        spec = self.config.encoder.preprocess
        vectors = embed_store(model.encoder, self.stores.validation, spec)
        among = None if self.choosing is None else self.choosing.vessels
        if self.stores.replay is None:
            return cross_modal_scores(self.stores.validation, vectors, among)
        both = [self.stores.validation, self.stores.train]
        vectors = np.concatenate([vectors, embed_store(model.encoder, self.stores.train, spec)])
        scores = archive_scores(both, vectors, among or ())
        simulated = self.stores.replay.validation
        vectors = embed_store(model.encoder, simulated, spec)
        return {**scores, "replay_mAP": cross_modal_scores(simulated, vectors)["mAP"]}


def _require_ships(key: str, wanted: int, ships: int, of_what: str) -> None:
    """Raise ConfigError if a batch requires more different ships than there are."""
    if wanted > ships:
        raise ConfigError(
            f"objective.{key}: {wanted} exceeds the {ships} {of_what}; lower it to {ships} or less"
        )


def pair_objective(
    outputs: dict[str, Tensor], vessel: Tensor, objective: PairObjective
) -> dict[str, Tensor]:
    """Return InfoNCE between the two halves of the batch, plus the weighted layout loss.

    If several processes train, InfoNCE contrasts the joined batch of all of them. Processes draw
    independently, so that a ship may occur more than once; its rows are not each other's negatives.

    Args:
        outputs: of `TrainedModel` for this process's batch.
        vessel: int64 `[2 N]`, the vessel of each row; both halves are equal.
    """
    embedding = outputs["embedding"]
    halves = embedding.chunk(2)  # [2 N, D] -> optical [N, D], SAR [N, D]
    optical, sar = (gather_rows(half) for half in halves)
    # with one process, `gather_rows` returns its argument and all ships of the batch differ
    ships = None if optical is halves[0] else gather_rows(vessel.chunk(2)[0])
    scale = outputs["log_scale"].exp().clamp(max=MAX_LOGIT_SCALE)
    contrast = pair_infonce(optical, sar, scale, ships=ships)
    parts = {"loss": contrast, "infonce": contrast, "logit_scale": scale}
    if "layout" in outputs:
        parts["layout"] = layout_regression(outputs["layout"], outputs["layout_target"])
        parts["loss"] = contrast + objective.layout * parts["layout"]
    return parts


def identity_objective(
    outputs: dict[str, Tensor], batch: Batch, objective: IdentityObjective
) -> dict[str, Tensor]:
    """Return MCRL: cross-entropy, triplet, modality alignment."""
    embedding, labels, modality = outputs["embedding"], batch.vessel, batch.modality
    parts = {
        "cross_entropy": identity_cross_entropy(outputs["logits"], labels),
        "triplet": batch_hard_triplet(embedding, labels),
        "alignment": class_modality_alignment(embedding, labels, modality),
    }
    loss = parts["cross_entropy"] + parts["triplet"] + objective.alignment * parts["alignment"]
    return {"loss": loss, **parts}


def _use_channels_last(model: nn.Module) -> None:
    """Store convolution weights channels last, which runs about twice as fast on CPUs."""
    for parameter in model.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def embed_store(encoder: nn.Module, store: PictureStore, spec: PreprocessSpec) -> NDArray[Any]:
    """Return unit embeddings float32 `[N, D]` of all chips of a store, as served without fusion."""
    device = next(encoder.parameters()).device
    vectors = []
    for _, batch in plain_batches(store, spec):
        moved = batch.to(device)
        vectors.append(F.normalize(encoder(moved.pixels, moved.modality, moved.size).float()))
    return torch.cat(vectors).cpu().numpy()


def cross_modal_scores(
    store: PictureStore, vectors: NDArray[Any], among: Collection[int] | None = None
) -> dict[str, float]:
    """Return mAP and R1 of `S2O` and `O2S` in per cent, and `mAP`, the mean of both directions.

    Only the ships `among` take part, if given.
    """
    chips = store.chips
    if among is not None:
        part = np.isin(chips["vessel"], list(among))
        chips, vectors = chips[part], vectors[part]
    return _scores(chips, vectors)


def archive_scores(
    stores: Sequence[PictureStore], vectors: NDArray[Any], asked: Collection[int]
) -> dict[str, float]:
    """Return the scores of `cross_modal_scores` for some ships among those of several stores.

    Args:
        stores: no ship is in two of them.
        vectors: float32 `[N, D]`, the unit embeddings of their chips, store after store.
        asked: the ships whose chips are queries.
    """
    chips = np.concatenate([store.chips for store in stores])
    return _scores(chips, vectors, np.isin(chips["vessel"], list(asked)))


def _scores(
    chips: Records, vectors: NDArray[Any], asked: NDArray[np.bool_] | None = None
) -> dict[str, float]:
    """Search the chips that are asked, all if None, among those of the other sensor."""
    searches = score_across_sensors(vectors, chips["vessel"], chips["modality"] == 1, asked)
    scores: dict[str, float] = {}
    for name, result in searches.items():
        scores[f"{name}_mAP"] = 100 * float(result.average_precision.mean())
        scores[f"{name}_R1"] = 100 * float((result.first_match_rank == 1).mean())
    scores["mAP"] = (scores["S2O_mAP"] + scores["O2S_mAP"]) / 2
    return scores


def train_encoder(config: EncoderTrainConfig) -> Checkpoint:
    """Prepare the data, start or continue training, and return the last checkpoint."""
    spec = config.encoder.preprocess
    task = EncoderTask(config, open_stores(config.data, spec))
    if task.choosing is not None and config.run.select_by is not None:
        print(task.choosing.note, file=sys.stderr)  # stdout is for a command's result
    if task.stores.growth is not None:
        render_beside(task.stores.growth.fleet, spec.denoise_percentile)
    return fit(task, config.run, config.optimiser, config)
