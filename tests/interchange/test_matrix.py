"""The table of docs/files.md is one that the script beside this file has written, and its quick rows are still true."""

import pytest

import matrix

PAGE = matrix.PAGE.read_text(encoding="utf-8")
SECTION = PAGE[PAGE.index(matrix.BEGIN) + len(matrix.BEGIN) : PAGE.index(matrix.END)]
ROWS = [line for line in SECTION.splitlines() if line.startswith("|")]


def test_every_program_has_its_rows():
    header, _, *rows = ROWS
    assert header == matrix.HEADER
    expected = [(program.name, suffix[1:].upper()) for program in matrix.PROGRAMS for suffix in program.suffixes]
    assert [matrix.key_of(row) for row in rows] == expected
    assert {row.count("|") for row in rows} == {header.count("|")}
    words = " ".join(SECTION.split())
    assert all(f"{program.name} " in words for program in matrix.PROGRAMS)


@pytest.mark.parametrize("name", ["psd-tools", "Pillow"])
def test_what_the_libraries_at_hand_show_is_on_the_page(name):
    (program,) = [program for program in matrix.PROGRAMS if program.name == name]
    for row in matrix.rows([program]):
        assert row in ROWS
