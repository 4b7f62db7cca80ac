"""Losses of the encoder: pure functions of features and labels.

Features are float `[N, D]`, identity labels int64 `[N]`, modality int64 `[N]` (0 optical, 1 SAR);
every loss is a scalar.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

OPTICAL_ID, SAR_ID = 0, 1


def identity_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy over training identities, of the classifier behind the BN neck.

    Source: TransOSS / MOS `id_loss`; BN neck from Luo et al., "Bag of Tricks" (CVPRW 2019).

    Args:
        logits: `[N, identities]`.
        labels: int64 `[N]`.
    """
    return F.cross_entropy(logits.float(), labels)


def batch_hard_triplet(features: Tensor, labels: Tensor) -> Tensor:
    """Return the soft-margin triplet loss with the hardest positive and negative of each anchor.

    `mean_a log(1 + exp(max_p d(a, p) - min_n d(a, n)))`, d the Euclidean distance of features.

    Source: Hermans et al., "In Defense of the Triplet Loss" (arXiv 1703.07737), eq. 5 with
    softplus; TransOSS / MOS use it on the feature before the BN neck.

    Raises:
        ValueError: the batch has a single identity, so that there is no negative.
    """
    same = labels[:, None] == labels[None, :]  # [N, N]
    if bool(same.all()):
        raise ValueError("a batch of one identity has no negatives; sample several identities")
    distances = euclidean_distances(features.float())
    hardest_positive = distances.masked_fill(~same, -torch.inf).amax(1)
    hardest_negative = distances.masked_fill(same, torch.inf).amin(1)
    return F.softplus(hardest_positive - hardest_negative).mean()


def euclidean_distances(features: Tensor) -> Tensor:
    """Return pairwise distances `[N, N]` with a gradient that stays finite at distance 0."""
    squares = features.square().sum(1)
    squared = squares[:, None] + squares[None, :] - 2 * features @ features.T
    return squared.clamp(min=1e-12).sqrt()


def class_modality_alignment(features: Tensor, labels: Tensor, modality: Tensor) -> Tensor:
    """Return CMAL, the distance of the optical and SAR distributions of each identity.

    On L2-normalised features, averaged over the identities that have both modalities in the batch:
    `||mean_opt - mean_sar||_2 + ||var_opt - var_sar||_2`, with the population variance per
    dimension. Zero if no identity has both.

    Source: MOS (arXiv 2512.03404), MCRL; released code `cmal_loss`.
    """
    unit = F.normalize(features.float(), dim=1)
    index, members = _members(labels, modality)
    moments = []
    for member in members:
        share = member / member.sum(0).clamp(min=1)  # [N, identities], columns sum to one
        mean = share.T @ unit  # [identities, D]
        moments.append((mean, share.T @ (unit - mean[index]).square()))
    (mean_opt, var_opt), (mean_sar, var_sar) = moments
    return _mean_over_common(_norm(mean_opt - mean_sar) + _norm(var_opt - var_sar), members)


def _members(labels: Tensor, modality: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return each row's identity index `[N]`, and per sensor the membership `[N, identities]`."""
    identities, index = torch.unique(labels, return_inverse=True)
    one_hot = F.one_hot(index, len(identities)).float()
    return index, [one_hot * (modality == sensor)[:, None] for sensor in (OPTICAL_ID, SAR_ID)]


def _mean_over_common(values: Tensor, members: list[Tensor]) -> Tensor:
    """Return the mean of values `[identities]` over identities of both sensors, or zero."""
    both = ((members[0].sum(0) > 0) & (members[1].sum(0) > 0)).to(values.dtype)
    return (values * both).sum() / both.sum().clamp(min=1)


def _norm(rows: Tensor) -> Tensor:
    """Return the norm per row, with a finite gradient at zero (single chips have no variance)."""
    return rows.square().sum(1).clamp(min=1e-24).sqrt()


def pair_infonce(
    optical: Tensor, sar: Tensor, logit_scale: Tensor | float, *, ships: Tensor | None = None
) -> Tensor:
    """Return symmetric InfoNCE: row i of both sensors is one ship, other rows are negatives.

    `1/2 [CE(s · O S^T, i) + CE(s · S O^T, i)]` on L2-normalised rows, s the inverse temperature.

    Source: CLIP (Radford et al., 2021), as TransOSS pretrains on optical–SAR pairs.

    Args:
        optical: `[N, D]`.
        sar: `[N, D]`.
        logit_scale: s, positive.
        ships: int64 `[N]`, given if a ship may have several rows, which are then left out of each
            other's negatives.
    """
    optical, sar = F.normalize(optical.float(), dim=1), F.normalize(sar.float(), dim=1)
    logits = logit_scale * optical @ sar.T  # [N, N]
    if ships is not None:
        same_ship = (ships[:, None] == ships[None, :]).fill_diagonal_(False)
        logits = logits.masked_fill(same_ship, -torch.inf)
    targets = torch.arange(len(optical), device=optical.device)
    return (F.cross_entropy(logits, targets) + F.cross_entropy(logits.T, targets)) / 2


def layout_regression(predicted: Tensor, layout: Tensor) -> Tensor:
    """Return the mean squared error of the deck layout along the hull, known from the simulator.

    It is an auxiliary target for both sensors, so that tokens learn where structures lie.

    Args:
        predicted: `[N, channels, positions]`.
        layout: `[N, channels, positions]`, the truth.
    """
    return F.mse_loss(predicted.float(), layout.float())
