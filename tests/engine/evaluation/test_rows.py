import json

import pytest

from layerfusion.engine.evaluation.charts import Chart, draw_charts, ticks
from layerfusion.engine.evaluation.rows import (
    Claim,
    Row,
    Section,
    above,
    at_least,
    at_most,
    below,
    certain,
    every,
    more_than,
    within,
)
from layerfusion.engine.evaluation.statistics import Estimate, estimate

HIGH = Estimate(0.4, 0.3, 0.5, 20)
LOW = Estimate(-0.4, -0.5, -0.3, 20)
UNSURE = Estimate(0.1, -0.1, 0.3, 20)
NOTHING = estimate([])


def test_below_and_above_test_the_whole_interval():
    assert (above(HIGH), above(UNSURE), above(LOW)) == (True, False, False)
    assert (below(LOW), below(UNSURE), below(HIGH, 0.6)) == (True, False, True)
    assert above(NOTHING) is None


def test_at_least_at_most_more_than_and_within_test_the_value_only():
    figure = Estimate(0.4, 0.3, 0.5, 9)
    assert (at_least(figure, 0.4), at_least(figure, 0.41), at_least(NOTHING, 0.4)) == (True, False, None)
    assert (at_most(figure, 0.4), at_most(figure, 0.39), at_most(NOTHING, 0.4)) == (True, False, None)
    assert (more_than(figure, 0.39), more_than(figure, 0.4), more_than(NOTHING, 0.4)) == (True, False, None)
    assert (within(figure, 0.35, 0.4), within(figure, 0.41, 0.5), within(NOTHING, 0, 1)) == (True, False, None)


def test_one_failure_outweighs_missing_measurements():
    assert every(True, None) is None
    assert every(True, None, False) is False
    assert every(True, True) is True


def test_a_section_as_markdown():
    rows = [Row("shadow", {"ours": HIGH, "theirs": NOTHING}, "above 0", True), Row("bytes", {"ours": certain(0, 3)})]
    assert Section("s", "Shadow", ("ours", "theirs"), rows).as_markdown().splitlines() == [
        "### Shadow",
        "",
        "| measure | ours | theirs | target | met |",
        "| --- | --- | --- | --- | --- |",
        "| shadow | 0.400 [0.300, 0.500] | not measured | above 0 | yes |",
        "| bytes | 0 |  |  |  |",
    ]


@pytest.mark.parametrize(
    ("value", "shown"), [(0.9996, "1.00"), (0.99949, "0.999"), (1.0, "1.00"), (99.96, "100"), (0.0123456, "0.0123")]
)
def test_figures_have_three_digits(value, shown):
    section = Section("s", "S", ("a",), [Row("m", {"a": certain(value, 1)})])
    assert section.as_markdown().splitlines()[-1] == f"| m | {shown} |  |  |"


def test_a_section_is_read_from_json_as_it_was_written():
    rows = [
        Row("shadow", {"ours": HIGH, "theirs": NOTHING}, "above 0", True),
        Row("bytes", {"ours": certain(0, 3)}),
        Row("tone", {"ours": Estimate(0.59049999, -0.1, 1.5, 7)}, "below 0"),
    ]
    section = Section("s", "Shadow", ("ours", "theirs"), rows, "It holds.")
    again = Section.of_json(json.loads(json.dumps(section.as_json(), allow_nan=False)))
    assert again.as_markdown() == section.as_markdown()
    assert again.as_json() == section.as_json()


def test_missing_measurements_are_null_in_json():
    row = Row("shadow", {"ours": NOTHING}, "above 0")
    assert row.as_json()["figures"] == {"ours": {"value": None, "count": 0}}
    assert row.verdict == "not measured"


def test_a_claim_is_judged_by_its_targets(subtests):
    for answers, said in [
        ((True, True), "**Confirmed on this model**."),
        ((True, False), "**Not confirmed on this model**: second."),
        ((True, None), "**Confirmed on this model**, as far as measured (no names)."),
        ((None, None), "Not measured."),
    ]:
        with subtests.test(answers=answers, said=said):
            rows = [Row(name, {}, "above 0", answer) for name, answer in zip(("first", "second"), answers, strict=True)]
            missing = "no names" if None in answers else ""
            claim = Claim.judged("c", "Claim", "It holds.", (), [*rows, Row("reported", {})], missing=missing)
            assert claim.result == f"It holds. {said}"


def test_ticks_are_round_numbers_inside():
    assert ticks(0, 1) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert ticks(-3, 37) == pytest.approx([0, 10, 20, 30])


def test_charts_show_each_figure_in_its_place():
    """There are two dots of one colour, at heights 0.4 and -0.4, and none for the unknown figure."""
    picture = draw_charts([Chart("t", ("a", "b", "c"), {"": [HIGH, LOW, NOTHING]})], columns=1)
    ink = [
        (x, y) for x in range(picture.width) for y in range(picture.height) if picture.getpixel((x, y)) == (31, 87, 158)
    ]
    columns = [[y for x, y in ink if left <= x < left + 128] for left in (62, 190, 318)]
    assert max(columns[0]) < min(columns[1])
    assert columns[2] == []
