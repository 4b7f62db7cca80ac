"""Which chips form a batch."""

from pathlib import Path

import numpy as np
import pytest

from model_training.data.cache import CachedChip, PictureStore, StoreError, write_shard
from model_training.data.samplers import BalancedIdentitySampler, PairSampler
from service.contract.chip import Modality


@pytest.fixture
def store(tmp_path: Path) -> PictureStore:
    """Forty ships of 20 to 59 m, two optical and three SAR chips each; the last two have no SAR."""
    chips = []
    for vessel in range(40):
        picture = np.zeros((20 + vessel, 8, 3), np.uint8)
        sensors = [Modality.OPTICAL] * 2 + ([Modality.SAR] * 3 if vessel < 38 else [])
        chips += [CachedChip(picture, sensor, 1.0, 100 + vessel) for sensor in sensors]
    write_shard(tmp_path, 0, chips)
    return PictureStore(tmp_path, [0])


def test_pairs_show_different_ships_in_both_sensors(store: PictureStore) -> None:
    draw = PairSampler(store).draw(np.random.default_rng(0), pairs=16, hard_share=0.5)
    assert len(set(draw.vessel_rows.tolist())) == 16
    assert store.vessel_row[draw.optical].tolist() == draw.vessel_rows.tolist()
    assert store.vessel_row[draw.sar].tolist() == draw.vessel_rows.tolist()
    assert set(store.chips["modality"][draw.optical]) == {0}
    assert set(store.chips["modality"][draw.sar]) == {1}
    assert draw.vessel_rows.max() < 38


def test_hard_pairs_are_of_similar_length(store: PictureStore) -> None:
    sampler = PairSampler(store)

    def mean_gap_m(hard_share: float) -> float:
        gaps = []
        for seed in range(50):
            draw = sampler.draw(np.random.default_rng(seed), 8, hard_share)
            lengths = np.sort(store.vessel_length_m()[draw.vessel_rows])
            gaps.append(np.diff(lengths).mean())
        return float(np.mean(gaps))

    assert mean_gap_m(1.0) == pytest.approx(1.0)
    assert mean_gap_m(0.0) > 3


@pytest.fixture
def typed_store(tmp_path: Path) -> PictureStore:
    """Forty ships of two types that alternate in length; the first twelve are four families."""
    chips, kinds = [], []
    for vessel in range(40):
        picture = np.zeros((20 + vessel, 8, 3), np.uint8)
        chips += [CachedChip(picture, sensor, 1.0, vessel) for sensor in Modality]
        kinds.append((vessel % 2, vessel // 3 if vessel < 12 else -1))
    write_shard(tmp_path, 0, chips, kinds=np.array(kinds, np.int32))
    return PictureStore(tmp_path, [0])


def test_hard_pairs_are_of_one_type_where_types_are_known(typed_store: PictureStore) -> None:
    sampler = PairSampler(typed_store)
    ordered = sampler.by_likeness
    assert (ordered % 2).tolist() == [0] * 20 + [1] * 20
    assert (np.diff(ordered[:20]) == 2).all()
    draw = sampler.draw(np.random.default_rng(0), 8, hard_share=1.0)
    assert len(set((draw.vessel_rows % 2).tolist())) == 1


def test_sisters_come_family_by_family(typed_store: PictureStore) -> None:
    sampler = PairSampler(typed_store)
    for seed in range(10):
        draw = sampler.draw(np.random.default_rng(seed), 6, 0.0, sister_share=1.0)
        families = draw.vessel_rows // 3
        assert draw.vessel_rows.max() < 12
        assert sorted(np.bincount(families).tolist())[-2:] == [3, 3]


def test_a_fleet_with_too_few_sisters_gives_all_that_it_has(typed_store: PictureStore) -> None:
    draw = PairSampler(typed_store).draw(np.random.default_rng(0), 16, 0.0, sister_share=1.0)
    assert sum(draw.vessel_rows < 12) == 12
    assert len(set(draw.vessel_rows.tolist())) == 16


def test_without_sisters_the_sister_share_is_filled_with_others(store: PictureStore) -> None:
    draw = PairSampler(store).draw(np.random.default_rng(0), 8, 0.0, sister_share=1.0)
    assert len(set(draw.vessel_rows.tolist())) == 8


def test_kinds_of_another_number_of_ships_are_refused(tmp_path: Path) -> None:
    chips = [CachedChip(np.zeros((20, 8, 3), np.uint8), sensor, 1.0, 1) for sensor in Modality]
    with pytest.raises(ValueError, match="2 kinds for 1 vessels"):
        write_shard(tmp_path, 0, chips, kinds=np.zeros((2, 2), np.int32))


def test_equal_generators_give_equal_draws(store: PictureStore) -> None:
    sampler = PairSampler(store)
    first, again, other = (
        sampler.draw(np.random.default_rng(seed), 12, 0.5).sar.tolist() for seed in (5, 5, 6)
    )
    assert first == again != other


def test_more_pairs_than_ships_are_refused(store: PictureStore) -> None:
    with pytest.raises(ValueError, match="only 38 ships"):
        PairSampler(store).draw(np.random.default_rng(0), 39, 0.0)


def test_identity_batches_balance_the_sensors(store: PictureStore) -> None:
    rows = BalancedIdentitySampler(store).draw(np.random.default_rng(1), 40, 4)
    assert len(rows) == 160
    for vessel in range(40):
        own = rows[store.vessel_row[rows] == vessel]
        sar = int((store.chips["modality"][own] == 1).sum())
        assert len(own) == 4
        assert sar == (2 if vessel < 38 else 0)
        assert len(set(own.tolist())) == (4 if vessel < 38 else 2)


def test_too_many_identities_and_odd_numbers_of_chips_are_refused(store: PictureStore) -> None:
    sampler = BalancedIdentitySampler(store)
    with pytest.raises(ValueError, match="41 identities of 40"):
        sampler.draw(np.random.default_rng(0), 41, 4)
    with pytest.raises(ValueError, match="even number"):
        sampler.draw(np.random.default_rng(0), 4, 3)


def test_a_store_without_pairs_is_refused(tmp_path: Path) -> None:
    picture = np.zeros((20, 8, 3), np.uint8)
    write_shard(tmp_path, 0, [CachedChip(picture, Modality.SAR, 1.0, v) for v in range(3)])
    with pytest.raises(StoreError, match="both sensors"):
        PairSampler(PictureStore(tmp_path, [0]))
