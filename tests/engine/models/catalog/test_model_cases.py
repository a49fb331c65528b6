"""Every kind of file that docs/models.md speaks of, made in full size and judged by what `models check` runs."""

import model_cases


def test_the_table_in_the_documentation_is_true():
    page = model_cases.PAGE.read_text(encoding="utf-8")
    said = page.partition(model_cases.START)[2].partition(model_cases.END)[0].strip().splitlines()
    assert said == model_cases.table().strip().splitlines(), "python tests/support/model_cases.py writes it anew"
