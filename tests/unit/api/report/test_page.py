from uuid import uuid4

from service.api.report.page import report_page
from service.identity.records.matches import SceneShare, Verdict
from tests.support.fakes.match_records import make_match_record
from tests.support.fakes.records import START


def test_the_report_says_how_the_answer_of_a_scene_differs() -> None:
    record = make_match_record()
    scene = SceneShare(
        scene_id=uuid4(),
        chips=3,
        alone_verdict=Verdict.LIKELY,
        alone_vessel_id=None,
        alone_probability=None,
        alone_none_probability=0.2,
        text="Alone it would be <another> ship.",
    )
    asked = record.match.model_copy(update={"scene": scene})
    page = report_page(record.model_copy(update={"match": asked}), [], "1", START)
    assert "<p>Alone it would be &lt;another&gt; ship.</p>" in page
    assert "Alone it" not in report_page(record, [], "1", START)
