"""An encoder with the heads that only its training uses: BN neck and classifier, deck layout."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from model_training.encoder import PlacedEncoder, build_encoder
from model_training.encoder.train_config import EncoderTrainConfig, IdentityObjective


class TrainedModel(nn.Module):
    """The encoder, with heads that are used in training only.

    Args:
        identities: classes of the classifier behind the BN neck.
        layouts: the fleet's deck layouts `[vessels, channels, positions]`, or None.
    """

    def __init__(
        self, config: EncoderTrainConfig, identities: int, layouts: NDArray[np.float16] | None
    ) -> None:
        super().__init__()
        self.encoder = build_encoder(config.encoder)
        objective = config.objective
        self.neck: nn.Module | None = None
        self.layout_head: LayoutHead | None = None
        if isinstance(objective, IdentityObjective):
            width = config.encoder.embedding_width
            neck = nn.BatchNorm1d(width)
            neck.bias.requires_grad_(False)
            classifier = nn.Linear(width, identities, bias=False)
            nn.init.normal_(classifier.weight, std=0.001)
            self.neck = nn.Sequential(neck, classifier)
        else:
            self.log_scale = nn.Parameter(torch.tensor(objective.initial_logit_scale).log())
            if objective.layout and layouts is not None:
                self.layout_head = LayoutHead(config.encoder.width, self.encoder.grid[1], layouts)

    def forward(
        self, pixels: Tensor, modality: Tensor, size: Tensor, layout: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Return the inputs of the objective.

        These are `embedding` `[N, D]`, and of the existing heads `logits`, `log_scale`, and
        `layout` with `layout_target`, both standardised.
        """
        tokens = self.encoder.tokens(pixels, modality, size)
        if isinstance(self.encoder, PlacedEncoder):
            embedding = self.encoder.embed_tokens(tokens, modality, size)
        else:
            embedding = tokens[:, 0]
        outputs = {"embedding": embedding}
        if self.neck is not None:
            outputs["logits"] = self.neck(embedding)
        else:
            outputs["log_scale"] = self.log_scale
        if self.layout_head is not None and layout is not None:
            outputs["layout"] = self.layout_head(self.encoder.token_grid(tokens))
            outputs["layout_target"] = self.layout_head.target(layout)
        return outputs


class LayoutHead(nn.Module):
    """Prediction of the deck layout `[N, channels, positions]` from a token grid `[N, D, h, w]`.

    Each row of the grid predicts `FINE` values per channel on its own; they are interpolated to the
    positions. Channels are standardised over the fleet, so that all have the same weight.

    Args:
        width: D.
        columns: w.
        layouts: `[vessels, channels, positions]`, the fleet's.
    """

    FINE = 4

    def __init__(self, width: int, columns: int, layouts: NDArray[np.float16]) -> None:
        super().__init__()
        self.channels, self.positions = layouts.shape[1:]
        self.predict = nn.Conv1d(width * columns, self.channels * self.FINE, 1)
        fleet = layouts.astype(np.float32)
        self.mean: Tensor
        self.spread: Tensor
        self.register_buffer("mean", torch.from_numpy(fleet.mean((0, 2), keepdims=True)))
        self.register_buffer("spread", torch.from_numpy(fleet.std((0, 2), keepdims=True) + 0.01))

    def target(self, layout: Tensor) -> Tensor:
        """Standardise a layout, as the prediction is."""
        return (layout - self.mean) / self.spread

    def forward(self, grid: Tensor) -> Tensor:
        """Predict the standardised layout."""
        rows = grid.permute(0, 1, 3, 2).flatten(1, 2)  # [N, D, w, h] -> [N, D w, h]
        # [N, channels FINE, h] -> [N, channels, FINE, h]
        fine = self.predict(rows).reshape(len(grid), self.channels, self.FINE, -1)
        along = fine.permute(0, 1, 3, 2).flatten(2)  # [N, channels, h, FINE] -> [.., h FINE]
        return F.interpolate(along, self.positions, mode="linear", align_corners=False)
