"""The model card follows from the facts of the manifest."""

from dataclasses import replace

import pytest

from export.build_bundle import NO_CALIBRATION
from export.model_card import CardFacts, model_card
from export.to_onnx import encoder_graph_spec, translator_graph_spec
from model_training.calibration.report import OPEN_SET, open_set_names
from service.contract.bridge import BridgeStep
from service.contract.manifest import (
    EncoderSpec,
    FusionSpec,
    Metric,
    PreprocessSpec,
    TrainingSpec,
    TranslatorSpec,
)
from service.contract.weighing.specs import (
    BothWaysSpec,
    CalibrationSpec,
    ChoiceSpec,
    LogisticSpec,
    OpenSetPoint,
    VerdictPoint,
)

TRANSLATOR = TranslatorSpec(
    graph=translator_graph_spec("translator.onnx", 128, 32, 1),
    height=128,
    width=32,
    channels=1,
    steps=(BridgeStep(t=999, a=1, b=0, c=0, s=0),),
)
CALIBRATED = CalibrationSpec(
    match=ChoiceSpec(weights={"similarity": 5.0}, none_bias=1.0, none_log_gallery=0.5),
    verify=LogisticSpec(bias=-1.0, weights={"similarity": 5.0}),
    confident_from=0.9,
    verdicts=(
        VerdictPoint(
            verdict="likely",
            gallery_vessels=50,
            threshold=0.55,
            right=0.76,
            right_low=0.7,
            right_high=0.82,
            answers=120,
            measured_on="test ships",
        ),
    ),
    fitted_on="validation ships",
    operating_points=(
        OpenSetPoint(
            gallery_vessels=50,
            false_identification_rate=0.01,
            identification_rate=0.4,
            identification_low=0.35,
            identification_high=0.45,
            threshold=0.8,
        ),
    ),
)


@pytest.fixture
def facts() -> CardFacts:
    return CardFacts(
        name="card",
        method="a method",
        preprocess=PreprocessSpec(height=128, width=32, normalisation="per_chip"),
        encoder=EncoderSpec(
            graph=encoder_graph_spec("encoder.onnx", 128, 32, 64), embedding_width=64
        ),
        translator=None,
        fusion=FusionSpec(),
        calibration=NO_CALIBRATION,
        training=TrainingSpec(domain="hoss", description="Taught.", datasets=("HOSS",), seeds=(3,)),
        metrics=(),
        licences={},
    )


def test_the_card_gives_the_thresholds_of_queries_compared_both_ways(facts: CardFacts) -> None:
    point = CALIBRATED.verdicts[0].model_copy(update={"threshold": 0.65, "right": 0.81})
    other = CALIBRATED.model_copy(update={"confident_from": 0.95, "verdicts": (point,)})
    both = BothWaysSpec(calibration=other, certainty_slope=8.0)
    calibrated = CALIBRATED.model_copy(update={"both_ways": both})
    card = model_card(replace(facts, calibration=calibrated))
    assert "`confident` begins at 0.950" in card
    assert "| `likely` | 50 | 0.65 | 81.0% | 70.0% to 82.0% | 120 | test ships |" in card
    assert "both ways" not in model_card(replace(facts, calibration=CALIBRATED))


def test_a_card_without_measurements_warns(facts: CardFacts) -> None:
    card = model_card(facts)
    assert "Nothing was measured for this bundle" in card
    assert "equally probable" in card
    assert "Seeds: 3" in card
    assert "No translator" in card
    assert "128 x 32 pixels (rows x columns), normalised per chip" in card
    assert "simulated ships alone" not in card
    assert "## Remarks" not in card


def test_the_card_states_thresholds_and_rates_of_a_calibration(facts: CardFacts) -> None:
    card = model_card(replace(facts, calibration=CALIBRATED))
    assert "not calibrated" not in card
    assert "Fitted on: validation ships" in card
    row = "| `likely` | 50 | 0.55 | 76.0% | 70.0% to 82.0% | 120 | test ships |"
    assert row in card
    older = CALIBRATED.model_copy(update={"verdicts": ()})
    card = model_card(replace(facts, calibration=older))
    assert "at least 0.900 is `confident`" in card
    assert "rates were not measured" in card
    assert row not in card
    assert "set on validation ships, and these rates measured on the same ships" in card
    assert "| 50 | 1.0% | 40.0% | 35.0% to 45.0% |" in card
    assert "No other ships were measured" in card


def test_the_card_shows_rates_on_other_ships_beside_those_that_set_the_thresholds(
    facts: CardFacts,
) -> None:
    found, false = open_set_names(0.01)
    values = {found: 31.0, false: 2.5}
    measured = [
        metric(name, value, OPEN_SET).model_copy(update={"gallery": size})
        for name, value in values.items()
        for size in (50, 70)
    ]
    card = model_card(replace(facts, calibration=CALIBRATED, metrics=measured))
    assert "The same thresholds on test ships, which had no part in setting them:" in card
    assert "| 50 | 1.0% | 2.5% | 0.5% to 4.5% | 31.0% | 29.0% to 33.0% |" in card
    assert "No other ships were measured" not in card
    general, _ = card.split("## Probabilities and verdicts")
    assert f"{found} | 31.0 | 29.0 to 33.0 | 9 | 70 |" in general  # of no operating point
    assert "| 9 | 50 |" not in general
    half = model_card(replace(facts, calibration=CALIBRATED, metrics=measured[:1]))
    assert "| 50 | 1.0% | - | - | 31.0% | 29.0% to 33.0% |" in half
    bare = model_card(replace(facts, metrics=measured))
    assert "| 9 | 50 |" in bare


def test_the_card_states_whether_pseudo_sar_is_fused(facts: CardFacts) -> None:
    idle = model_card(replace(facts, translator=TRANSLATOR))
    assert "128 x 32 pixels in 1 step." in idle
    assert "not fused into embeddings" in idle
    fused = model_card(
        replace(facts, translator=TRANSLATOR, fusion=FusionSpec(samples=5, alpha=0.02))
    )
    assert "not fused into embeddings" not in fused
    assert "the mean of 5 pseudo-SAR embeddings at weight 0.02" in fused
    one = model_card(
        replace(facts, translator=TRANSLATOR, fusion=FusionSpec(samples=1, alpha=0.02))
    )
    assert "fused with one pseudo-SAR embedding at weight 0.02" in one


def metric(name: str, value: float, protocol: str = "S2O") -> Metric:
    return Metric(
        dataset="test ships",
        protocol=protocol,
        name=name,
        value=value,
        low=value - 2,
        high=value + 2,
        queries=9,
        gallery=9,
    )


def test_the_card_states_the_change_by_fusion_and_its_significance(facts: CardFacts) -> None:
    little = [metric("mAP", 40.5), metric("mAP without fusion", 40.9)]
    card = model_card(replace(facts, metrics=little))
    assert "changed mAP by -0.4 (test ships, S2O). None of this lies beyond" in card
    much = [*little, metric("mAP", 50.0, "O2S"), metric("mAP without fusion", 47.0, "O2S")]
    card = model_card(replace(facts, metrics=much))
    assert "Beyond the 95 % interval of mAP without fusion lies: +3.0 (test ships, O2S)." in card
    same = [metric("mAP", 40.0), metric("mAP without fusion", 40.0)]
    assert "Fusion with" not in model_card(replace(facts, metrics=same))
