import numpy as np
import pytest

from layerfusion.engine.inspection.records import MaskRecord, MaskStep, StreamRecord, figure_place, spread


@pytest.fixture
def record():
    """The maps of two foregrounds over four steps; those of the second are trusted less."""
    record = MaskRecord(train_timesteps=1000)
    for timestep in (999, 750, 500, 250):
        for foreground, trust in ((0, 1.0), (1, 0.25)):
            maps = [np.full((4, 6), value / 10, np.float32) for value in range(4)]
            record.steps.append(MaskStep(timestep, foreground, *maps, trust=trust))
    return record


def test_all_maps_are_given_as_arrays(record):
    arrays = record.arrays()
    assert arrays["timesteps_2"].tolist() == [999, 750, 500, 250]
    assert arrays["trust_2"].tolist() == [0.25] * 4
    assert {name for name in arrays if name.endswith("_1")} == {
        "timesteps_1",
        "trust_1",
        "structure_1",
        "content_1",
        "soft_1",
        "hard_1",
    }
    assert arrays["soft_1"].shape == (4, 4, 6)
    assert arrays["hard_1"].dtype == np.float32
    np.testing.assert_allclose(arrays["content_2"], 0.1, rtol=1e-6)
    assert MaskRecord().arrays() == {}


def test_the_plot_draws_a_line_for_each_foreground_at_its_trust(record):
    plot = np.asarray(record.trust_plot(640, 240)).astype(int)
    for colour, trust in (((0x1F, 0x5F, 0xA8), 1.0), ((0xC4, 0x56, 0x1B), 0.25)):
        row = round(206 - trust * 192)
        drawn = (np.abs(plot[row - 1 : row + 2, 60:400] - colour).max(axis=-1) == 0).any(axis=0)
        assert drawn.mean() > 0.95
    with pytest.raises(LookupError, match="No masks"):
        MaskRecord().trust_plot()


def test_the_sheet_always_shows_the_papers_step(record):
    assert record.figure_step(1).timestep == 750
    assert record.contact_sheet(columns=2).width > 150 + 3 * 96


@pytest.fixture
def streams():
    """Four steps of three streams; the first, the second and the last have pictures, 8 x 16 px."""
    record = StreamRecord(train_timesteps=1000, streams=("foreground 1", "background", "blended"))
    for step, timestep in enumerate((999, 750, 500, 250)):
        record.timesteps.append(timestep)
        record.estimates.append(np.full((3, 4, 1, 2), step, np.float32))
    for step in (3, 0, 1):
        record.pictures[step] = [np.full((8, 16, 4), (40 * step, 0, row, 255), np.uint8) for row in range(3)]
    return record


def test_streams_come_as_arrays(streams):
    arrays = streams.arrays()
    assert (arrays["timesteps"].tolist(), arrays["shown"].tolist()) == ([999, 750, 500, 250], [0, 1, 3])
    for name, row in (("foreground_1", 0), ("background", 1), ("blended", 2)):
        assert (arrays[f"estimates_{name}"].shape, arrays[f"estimates_{name}"].dtype) == ((4, 4, 1, 2), np.float32)
        assert (arrays[f"pictures_{name}"].shape, arrays[f"pictures_{name}"].dtype) == ((3, 8, 16, 4), np.uint8)
        assert arrays[f"pictures_{name}"][:, 0, 0].tolist() == [[40 * step, 0, row, 255] for step in (0, 1, 3)]
        assert arrays[f"estimates_{name}"][:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert StreamRecord().arrays() == {}


def test_the_streams_sheet_has_a_row_per_stream_and_frames_the_papers_step(streams):
    sheet = np.asarray(streams.contact_sheet())
    tiles = [[sheet[34 + 68 * row + 32, 150 + 132 * column + 64].tolist() for column in range(3)] for row in range(3)]
    assert tiles == [[[0, 0, row], [40, 0, row], [120, 0, row]] for row in range(3)]
    framed = (sheet[60] == (139, 0, 0)).all(axis=-1).nonzero()[0]
    assert 150 + 132 - 2 <= framed.min() < framed.max() <= 150 + 2 * 132
    with pytest.raises(LookupError, match="No streams"):
        StreamRecord().contact_sheet()


def test_first_last_and_the_papers_step_are_always_shown():
    timesteps = [999 - 33 * step for step in range(30)]
    assert timesteps[figure_place(timesteps, 1000)] <= 800 < timesteps[figure_place(timesteps, 1000) - 1]
    assert spread(30, 9, 7) == sorted({0, 4, 7, 11, 14, 18, 22, 25, 29})
    assert spread(30, 1, 7) == [0, 7, 29]
    assert spread(1, 9, figure_place([999], 1000)) == [0]
