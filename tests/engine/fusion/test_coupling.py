"""The order of calls in a job: a wrong order raises, and the measurements of a failed forward are discarded."""

import pytest
import torch

from layerfusion.engine.fusion.coupling import Coupling, Half, Pass
from layerfusion.engine.fusion.streams import Streams
from layerfusion.engine.options.fusion import FusionSettings

BLOCK, GRID = "up_blocks.1", (8, 8)


def coupling(**options):
    return Coupling(Streams(1), FusionSettings.from_values(options), GRID, torch.zeros(1, dtype=torch.long))


def measure(made, value):
    generator = torch.Generator().manual_seed(value)
    made.note_structure(1 + 63 * torch.rand((1, 64), generator=generator), GRID)
    made.note_content(BLOCK, torch.rand((1, 64), generator=generator), GRID)


def measured(**options):
    made = coupling(**options)
    with made.forward(Pass.PRIOR):
        measure(made, 1)
    return made


@pytest.mark.parametrize(
    "call",
    [
        lambda made: made.note_structure(torch.ones(1, 64), GRID),
        lambda made: made.note_content(BLOCK, torch.ones(1, 64), GRID),
        lambda made: made.masks(BLOCK, GRID),
        lambda made: made.background(BLOCK, GRID),
        lambda made: made.couples(BLOCK, GRID),
        lambda made: made.halves(6, True),
    ],
    ids=["note_structure", "note_content", "masks", "background", "couples", "halves"],
)
def test_outside_a_forward_nothing_is_measured_or_masked(call):
    with pytest.raises(AssertionError, match="No forward is running"):
        call(measured())


def test_forwards_do_not_nest():
    made = measured()
    with pytest.raises(AssertionError, match="do not nest"), made.forward(Pass.JOINT), made.forward(Pass.PRIOR):
        pass


@pytest.mark.parametrize(
    "before",
    [None, (Pass.COUPLED, 0.5, Half.BOTH), (Pass.COUPLED, 0.4, Half.CONDITIONAL), (Pass.JOINT, 0.5, Half.CONDITIONAL)],
    ids=["first", "after both", "of another step", "of another pass"],
)
def test_the_unconditional_half_alone_comes_right_after_the_conditional_one(before):
    made = measured()
    if before is not None:
        with made.forward(*before):
            pass
    with (
        pytest.raises(AssertionError, match="run that first, in the same pass and step"),
        made.forward(Pass.COUPLED, 0.5, Half.UNCONDITIONAL),
    ):
        pass


@pytest.mark.parametrize(("call", "named"), [("masks", "masks for"), ("background", "background on a grid")])
def test_the_unconditional_half_uses_only_masks_of_the_conditional_one(call, named):
    made = measured()
    with made.forward(Pass.COUPLED, 0.5, Half.CONDITIONAL):
        first = getattr(made, call)(BLOCK, GRID)
    with made.forward(Pass.COUPLED, 0.5, Half.UNCONDITIONAL):
        assert getattr(made, call)(BLOCK, GRID) is first
        with pytest.raises(AssertionError, match=named):
            getattr(made, call)(BLOCK, (4, 4))


def test_masks_before_the_first_prior_pass_are_refused():
    made = coupling()
    with made.forward(Pass.COUPLED):
        assert not made.couples(BLOCK, GRID)
        with pytest.raises(AssertionError, match="run a prior pass"):
            made.masks(BLOCK, GRID)


def test_only_passes_that_give_priors_change_them():
    """A prior pass sets them, and with the lagged prior every other forward, too; the unconditional half never does."""
    once, lagged = measured(prior="once", content_source="prior"), measured(prior="lagged", content_source="prior")
    for made, changes in ((once, False), (lagged, True)):
        before = made.priors
        with made.forward(Pass.COUPLED, 0.5, Half.CONDITIONAL):
            measure(made, 2)
        conditional = made.priors
        assert torch.equal(conditional.structure[0], before.structure[0]) is not changes
        assert torch.equal(conditional.content[0], before.content[0]) is not changes
        with made.forward(Pass.COUPLED, 0.5, Half.UNCONDITIONAL):
            measure(made, 3)
        assert made.priors is conditional


def cut_short(made, half):
    with made.forward(Pass.COUPLED, 0.5, half):
        measure(made, 3)
        raise MemoryError


@pytest.mark.parametrize("half", list(Half))
@pytest.mark.parametrize("source", ["live", "prior"])
def test_the_measurements_of_a_failed_forward_are_discarded(half, source):
    """If the unconditional half fails, the conditional one's are discarded, too, because both run again."""
    made = measured(prior="lagged", content_source=source, mask_smoothing=0.5)
    before = made.priors
    if half is Half.UNCONDITIONAL:
        with made.forward(Pass.COUPLED, 0.5, Half.CONDITIONAL):
            measure(made, 2)
        assert made.priors is not before
    with pytest.raises(MemoryError):
        cut_short(made, half)
    assert made.priors is before and made.last is None
    with made.forward(Pass.COUPLED, 0.5) as now:
        assert made.now is now
