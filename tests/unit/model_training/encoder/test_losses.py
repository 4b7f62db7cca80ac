"""Losses against values computed by hand and against finite differences."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from model_training.encoder.losses import (
    batch_hard_triplet,
    class_modality_alignment,
    identity_cross_entropy,
    layout_regression,
    pair_infonce,
)

LABELS = torch.tensor([7, 7, 7, 3, 3, 3])
MODALITY = torch.tensor([0, 0, 1, 0, 1, 1])


def features(seed: int = 0, rows: int = 6, width: int = 5) -> Tensor:
    drawn = torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))
    return drawn.double().requires_grad_()


def test_identity_cross_entropy_by_hand() -> None:
    logits = torch.tensor([[0.0, 0.0], [math.log(3.0), 0.0]])
    value = identity_cross_entropy(logits, torch.tensor([0, 0]))
    assert value.item() == pytest.approx((math.log(2) + math.log(4 / 3)) / 2)


def test_triplet_by_hand() -> None:
    points = torch.tensor([[0.0], [1.0], [3.0], [7.0]])
    labels = torch.tensor([0, 0, 1, 1])
    # anchor: hardest positive, hardest negative = (1, 3), (1, 2), (4, 2), (4, 6)
    expected = sum(math.log1p(math.exp(gap)) for gap in (-2, -1, 2, -2)) / 4
    assert batch_hard_triplet(points, labels).item() == pytest.approx(expected, rel=1e-5)


def test_triplet_needs_a_negative() -> None:
    with pytest.raises(ValueError, match="one identity"):
        batch_hard_triplet(torch.randn(3, 2), torch.tensor([1, 1, 1]))


def test_alignment_by_hand() -> None:
    # identity 0: optical (1,0) and (0,1), SAR (1,0): mean gap (-.5,.5), variance gap (.25,.25)
    # identity 1: SAR only, does not count
    points = torch.tensor([[2.0, 0.0], [0.0, 5.0], [3.0, 0.0], [0.0, 1.0]])
    value = class_modality_alignment(points, torch.tensor([0, 0, 0, 1]), torch.tensor([0, 0, 1, 1]))
    assert value.item() == pytest.approx(math.sqrt(0.5) + math.sqrt(0.125), rel=1e-6)


def test_alignment_is_the_mean_over_identities_with_both_sensors() -> None:
    drawn = features()
    both = class_modality_alignment(drawn, LABELS, MODALITY)
    parts = [
        class_modality_alignment(
            drawn[one == LABELS], LABELS[one == LABELS], MODALITY[one == LABELS]
        )
        for one in (7, 3)
    ]
    assert both.item() == pytest.approx((parts[0] + parts[1]).item() / 2)


def test_alignment_without_a_common_identity_is_zero_with_a_gradient() -> None:
    drawn = features()
    value = class_modality_alignment(drawn, torch.arange(6), MODALITY)
    value.backward()  # type: ignore[no-untyped-call]
    assert value.item() == 0
    assert drawn.grad is not None
    assert bool(drawn.grad.isfinite().all())


def test_infonce_by_hand() -> None:
    optical = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    sar = torch.tensor([[0.0, 3.0], [0.0, 1.0]])
    scale = math.log(2)
    # cosines: rows optical, columns SAR: [[0, 0], [1, 1]]
    optical_to_sar = (math.log(2) + math.log(2)) / 2
    sar_to_optical = (math.log(1 + 2) + math.log(1 + 0.5)) / 2
    expected = (optical_to_sar + sar_to_optical) / 2
    assert pair_infonce(optical, sar, scale).item() == pytest.approx(expected, rel=1e-6)


def test_rows_of_one_ship_are_not_each_others_negatives() -> None:
    generator = torch.Generator().manual_seed(3)
    optical, sar = torch.randn(2, 3, 4, generator=generator)
    ships = torch.tensor([7, 8, 7])
    unit = [rows / rows.norm(dim=1, keepdim=True) for rows in (optical, sar)]
    powers = (2.0 * unit[0] @ unit[1].T).exp()
    powers[0, 2] = powers[2, 0] = 0
    rows = -(powers.diag() / powers.sum(1)).log().mean()
    columns = -(powers.diag() / powers.sum(0)).log().mean()
    value = pair_infonce(optical, sar, 2.0, ships=ships)
    assert value.item() == pytest.approx(((rows + columns) / 2).item(), rel=1e-5)
    apart = torch.arange(3)
    assert torch.equal(
        pair_infonce(optical, sar, 2.0, ships=apart), pair_infonce(optical, sar, 2.0)
    )


def test_layout_by_hand() -> None:
    assert layout_regression(torch.zeros(1, 2, 2), torch.tensor([[[1.0, 0], [0, 3]]])).item() == 2.5


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: batch_hard_triplet(x, LABELS),
        lambda x: class_modality_alignment(x, LABELS, MODALITY),
        lambda x: pair_infonce(x[:3], x[3:], 5.0),
        lambda x: identity_cross_entropy(x, torch.tensor([0, 1, 2, 3, 4, 0])),
    ],
    ids=["triplet", "alignment", "infonce", "identity"],
)
def test_gradients_agree_with_finite_differences(
    loss: Callable[[Tensor], Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tensor, "float", Tensor.double)
    assert torch.autograd.gradcheck(loss, (features(3),), eps=1e-6, atol=1e-5)
