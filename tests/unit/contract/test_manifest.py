"""The manifest's schema rejects parameters that serving cannot use."""

from typing import Any

import pytest
from pydantic import ValidationError

from model_training.translator.schedule import BridgeSchedule, coefficient_table
from service.contract.manifest import (
    EncoderSpec,
    FusionSpec,
    Manifest,
    PreprocessSpec,
    SizeTokenSpec,
    TranslatorSpec,
    learnt_from_simulation_alone,
)
from service.contract.weighing.specs import CalibrationSpec, ChoiceSpec, CoarseSpec, LogisticSpec

HASH = {"sha256": "a" * 64, "size_bytes": 1}
GRAPH = {"file": "encoder.onnx", "inputs": [], "outputs": []}
ROUNDED = {
    "device": "cpu",
    "file": "encoder-int8.onnx",
    "precision": "int8",
    "min_cosine": 0.99,
    "map_change": {"S2O": -0.1, "O2S": 0.2},
    "measured_on": "ships",
    "times_faster": 1.5,
}
STEPS = [
    {"t": step.t, "a": step.a, "b": step.b, "c": step.c, "s": step.s}
    for step in coefficient_table(BridgeSchedule(times=100), steps=3)
]
TRANSLATOR = {
    "graph": GRAPH | {"file": "translator.onnx"},
    "height": 64,
    "width": 32,
    "channels": 1,
    "times": 100,
    "steps": STEPS,
}
CHOICE = {"weights": {"similarity": 1.0}, "none_bias": 1.0, "none_log_gallery": 0.5}
LOGISTIC = {"bias": 0.0, "weights": {"similarity": 1.0}}
CALIBRATION = {
    "match": CHOICE,
    "verify": LOGISTIC,
    "confident_from": 0.9,
    "no_match_below": 0.1,
    "fitted_on": "simulated",
}


def document(**changes: Any) -> dict[str, Any]:
    """Return a small valid manifest with changes."""
    base: dict[str, Any] = {
        "name": "test",
        "created_at": "2025-01-02T03:04:05Z",
        "method": "test",
        "preprocess": {},
        "encoder": {"graph": GRAPH, "embedding_width": 8},
        "calibration": CALIBRATION,
        "training": {"domain": "simulated", "description": "none", "datasets": []},
        "licences": {},
        "golden": {
            "chips": ["golden/1_SAR.tif"],
            "modalities": ["sar"],
            "gsd_m": [1.0],
            "embeddings": "golden/embeddings.npy",
        },
        "files": dict.fromkeys(
            ("encoder.onnx", "MODEL_CARD.md", "golden/1_SAR.tif", "golden/embeddings.npy"), HASH
        ),
    }
    return base | changes


def test_json_round_trip() -> None:
    manifest = Manifest.model_validate(document())
    assert Manifest.model_validate_json(manifest.model_dump_json()) == manifest


def test_defaults_are_the_published_constants() -> None:
    spec = PreprocessSpec()
    assert (spec.height, spec.width, spec.denoise_percentile) == (256, 128, 5.0)
    assert spec.mean == (0.485, 0.456, 0.406)
    assert spec.std == (0.229, 0.224, 0.225)
    assert SizeTokenSpec().model_dump() == {
        "width_scale_m": 93.0,
        "width_mean": 0.434,
        "width_std": 0.031,
        "length_scale_m": 427.0,
        "length_mean": 0.461,
        "length_std": 0.031,
    }


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"surprise": 1}, "surprise"),
        ({"format_version": 3}, "format_version"),
        ({"files": {}}, "not listed with a hash"),
        ({"files": {"encoder.onnx": HASH | {"sha256": "xyz"}}}, "sha256"),
        ({"fusion": {"samples": 5, "alpha": 0.02}}, "no translator"),
        ({"translator": TRANSLATOR}, "translator.onnx"),
        (
            {"encoder": {"graph": GRAPH, "embedding_width": 8, "rounded": [ROUNDED]}},
            "encoder-int8.onnx",
        ),
        ({"golden": document()["golden"] | {"gsd_m": [1.0, 2.0]}}, "differ in number"),
    ],
)
def test_inconsistent_parts_are_rejected(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Manifest.model_validate(document(**changes))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_nan_and_infinity_are_rejected(number: str) -> None:
    with pytest.raises(ValidationError, match="finite"):
        LogisticSpec.model_validate_json(f'{{"bias": {number}, "weights": {{}}}}')
    with pytest.raises(ValidationError, match="finite"):
        LogisticSpec.model_validate_json(f'{{"bias": 0, "weights": {{"similarity": {number}}}}}')


def test_none_log_gallery_must_not_be_negative() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        ChoiceSpec.model_validate(CHOICE | {"none_log_gallery": -0.1})


def test_a_standard_deviation_of_zero_is_rejected() -> None:
    with pytest.raises(ValidationError, match="greater than 0"):
        PreprocessSpec(std=(0.2, 0.0, 0.2))
    with pytest.raises(ValidationError, match="greater than 0"):
        SizeTokenSpec(width_std=0.0)


def test_the_same_id_for_both_modalities_is_rejected() -> None:
    with pytest.raises(ValidationError, match="must differ"):
        EncoderSpec.model_validate(
            {"graph": GRAPH, "embedding_width": 8, "optical_id": 1, "sar_id": 1}
        )


def test_there_is_one_rounded_graph_for_a_device() -> None:
    encoder = {"graph": GRAPH, "embedding_width": 8, "rounded": [ROUNDED]}
    spec = EncoderSpec.model_validate(encoder)
    assert spec.graph_for("cpu").model_dump() == spec.graph.model_dump() | {
        "file": "encoder-int8.onnx",
        "precision": "int8",
    }
    assert spec.graph_for("cuda") == spec.graph
    with pytest.raises(ValidationError, match="one rounded graph for each device"):
        EncoderSpec.model_validate(encoder | {"rounded": [ROUNDED, ROUNDED]})


def test_bridge_steps_descend_within_the_times() -> None:
    assert TranslatorSpec.model_validate(TRANSLATOR).steps[0].t == 99
    with pytest.raises(ValidationError, match="descend"):
        TranslatorSpec.model_validate(TRANSLATOR | {"steps": STEPS[::-1]})
    with pytest.raises(ValidationError, match=r"0\.\.49"):
        TranslatorSpec.model_validate(TRANSLATOR | {"times": 50})


@pytest.mark.parametrize(("samples", "alpha"), [(5, 0.0), (0, 0.02)])
def test_fusion_needs_both_samples_and_alpha_or_neither(samples: int, alpha: float) -> None:
    with pytest.raises(ValidationError, match="both"):
        FusionSpec(samples=samples, alpha=alpha)


def test_verdict_thresholds_are_ordered() -> None:
    with pytest.raises(ValidationError, match="must not exceed"):
        CalibrationSpec.model_validate(CALIBRATION | {"no_match_below": 0.95})


SIMILARITIES = {
    "edges": [0.0, 0.5],
    "searches": [
        {
            "query": "sar",
            "gallery": "optical",
            "gallery_vessels": 10,
            "enrolled": [0, 1, 2],
            "not_enrolled": [3, 4, 5],
        }
    ],
}


def test_similarities_are_optional_and_all_counted_in_the_same_classes() -> None:
    assert CalibrationSpec.model_validate(CALIBRATION).similarities is None
    spec = CalibrationSpec.model_validate(CALIBRATION | {"similarities": SIMILARITIES})
    assert spec.similarities is not None
    assert spec.similarities.searches[0].not_enrolled == (3, 4, 5)
    for wrong, reason in (([0.5, 0.0], "ascend"), ([0.5], "2 classes")):
        with pytest.raises(ValidationError, match=reason):
            CalibrationSpec.model_validate(
                CALIBRATION | {"similarities": SIMILARITIES | {"edges": wrong}}
            )


def test_weights_of_coarse_queries_are_interpolated_over_the_logarithm_of_the_gsd() -> None:
    def weights(none_bias: float, slope: float) -> ChoiceSpec:
        return ChoiceSpec(
            weights={"similarity_z": slope},
            none_bias=none_bias,
            none_log_gallery=0.5,
            none_log_sum=none_bias / 10.0,
        )

    spec = CalibrationSpec.model_validate(
        CALIBRATION
        | {
            "match": weights(8.0, 4.0),
            "coarse": (
                CoarseSpec(gsd_m=2.0, match=weights(6.0, 3.0)),
                CoarseSpec(gsd_m=8.0, match=weights(2.0, 1.0)),
            ),
        }
    )
    assert spec.for_query(both_ways=False, gsd_m=0.5) is spec
    at = [
        spec.for_query(both_ways=False, gsd_m=gsd_m).match
        for gsd_m in (2.0**0.5, 2.0, 4.0, 8.0, 30.0)
    ]
    assert [one.none_bias for one in at] == pytest.approx([7.0, 6.0, 4.0, 2.0, 2.0])
    assert [one.none_log_sum for one in at] == pytest.approx([0.7, 0.6, 0.4, 0.2, 0.2])
    slopes = [one.weights["similarity_z"] for one in at]
    assert slopes == pytest.approx([3.5, 3.0, 2.0, 1.0, 1.0])
    assert spec.for_query(both_ways=False, gsd_m=4.0).match_same_sensor is None


def test_gsds_of_coarse_queries_ascend() -> None:
    twice = ({"gsd_m": 3.0, "match": CHOICE},) * 2
    with pytest.raises(ValidationError, match="GSDs of coarse queries must ascend"):
        CalibrationSpec.model_validate(CALIBRATION | {"coarse": twice})


def test_a_calibration_of_both_ways_is_optional_and_never_nested() -> None:
    plain = CalibrationSpec.model_validate(CALIBRATION)
    assert plain.for_query(both_ways=True) is plain
    other = CALIBRATION | {"confident_from": 0.97}
    both_ways = {"calibration": other, "certainty_slope": 6.0}
    spec = CalibrationSpec.model_validate(CALIBRATION | {"both_ways": both_ways})
    assert spec.for_query(both_ways=True).confident_from == 0.97
    assert spec.for_query(both_ways=False).confident_from == 0.9
    nested = {"calibration": other | {"both_ways": both_ways}, "certainty_slope": 6.0}
    with pytest.raises(ValidationError, match="must not have both_ways itself"):
        CalibrationSpec.model_validate(CALIBRATION | {"both_ways": nested})
    with pytest.raises(ValidationError, match="certainty_slope"):
        CalibrationSpec.model_validate(
            CALIBRATION | {"both_ways": both_ways | {"certainty_slope": -1.0}}
        )


@pytest.mark.parametrize(
    ("domain", "alone"),
    [
        ("simulated", True),
        ("simulated+imagenet", True),
        ("simulated+hoss", False),
        ("hoss+imagenet", False),
        ("simulated+published", False),
        ("unknown", False),
    ],
)
def test_only_simulated_ships_make_a_domain_of_simulation_alone(domain: str, alone: bool) -> None:
    assert learnt_from_simulation_alone(domain) == alone
