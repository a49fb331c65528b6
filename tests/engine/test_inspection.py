import numpy as np
import pytest

from engine.inspection import MaskRecord, MaskStep


@pytest.fixture
def record():
    """Two foregrounds over four steps, the second less trusted."""
    record = MaskRecord(train_timesteps=1000)
    for timestep in (999, 750, 500, 250):
        for foreground, trust in ((0, 1.0), (1, 0.25)):
            maps = [np.full((4, 6), value / 10, np.float32) for value in range(4)]
            record.steps.append(MaskStep(timestep, foreground, *maps, trust=trust))
    return record


def test_everything_comes_as_arrays(record):
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
