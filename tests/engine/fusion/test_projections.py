"""The projections with the foreground's deltas: two ways, one result."""

import pytest
import torch
from torch import nn

from layerfusion.engine.fusion.projections import Projections, TextMemory
from layerfusion.engine.transparency.deltas import Dense, LowRank


@pytest.fixture
def linear():
    torch.manual_seed(0)
    return nn.Linear(6, 5)


@pytest.mark.parametrize("halves", [1, 2])
@pytest.mark.parametrize("foregrounds", [0, 1, 2, 4])
@pytest.mark.parametrize("dense", [False, True])
def test_own_weights_equal_the_low_rank_products(linear, halves, foregrounds, dense):
    down, up = torch.randn(2, 6), torch.randn(5, 2)
    delta = Dense(up @ down) if dense else LowRank(down=down, up=up)
    x, before = torch.randn(4 * halves, 3, 6), linear.weight.detach().clone()
    found = [
        Projections({"to_q": delta}, lambda own=own: own)(linear, "to_q", x, 4, foregrounds) for own in (True, False)
    ]
    expected = linear(x).unflatten(0, (halves, 4)).clone()
    expected[:, :foregrounds] += delta(x.unflatten(0, (halves, 4))[:, :foregrounds])
    for one in found:
        torch.testing.assert_close(one, expected.flatten(0, 1), atol=1e-5, rtol=1e-5)
    assert torch.equal(linear.weight, before)


def test_own_weights_are_dropped_when_there_is_no_room_for_them(linear):
    room = [True]
    made = Projections({"to_q": LowRank(torch.randn(2, 6), torch.randn(5, 2))}, lambda: room[0])
    x = torch.randn(2, 3, 6)
    first = made(linear, "to_q", x, 2, 1)
    assert made._weights
    room[0] = False
    torch.testing.assert_close(made(linear, "to_q", x, 2, 1), first, atol=1e-5, rtol=1e-5)
    assert not made._weights


def test_the_last_texts_are_remembered():
    made, memory = [], TextMemory()
    texts = [torch.full((1,), float(number)) for number in range(4)]

    def compute(text):
        made.append(float(text))
        return text, -text

    for text in (*texts[:3], *texts[:3], texts[3], texts[0]):
        key, value = memory.get(text, compute)
        assert torch.equal(key, text) and torch.equal(value, -text)
    assert made == [0, 1, 2, 3, 0]


def test_equal_texts_are_not_confused():
    memory = TextMemory()
    one, other = torch.zeros(1), torch.zeros(1)
    assert memory.get(one, lambda _: (one, one))[0] is one
    assert memory.get(other, lambda _: (other, other))[0] is other
