import pytest
import torch
import torch.nn.functional as F

from layerfusion.engine.profiling.flop_counter import measure


@pytest.fixture
def meta():
    with torch.device("meta"):
        yield


def test_a_product_costs_a_multiplication_and_an_addition_each(meta):
    a, b = torch.empty(30, 40), torch.empty(40, 50)
    cost = measure(lambda: a @ b)
    assert cost.flops == 2 * 30 * 40 * 50
    assert cost.peak_bytes == 30 * 50 * 4


def test_a_convolution_costs_a_multiplication_and_an_addition_per_product(meta):
    convolution = torch.nn.Conv2d(8, 16, 3, padding=1, stride=2)
    x = torch.empty(2, 8, 32, 32)
    assert measure(lambda: convolution(x)).flops == 2 * (2 * 16 * 16 * 16) * (8 * 9)


def test_attention_does_not_store_its_map(meta):
    query, key = torch.empty(2, 4, 1000, 64), torch.empty(2, 4, 3000, 64)
    cost = measure(lambda: F.scaled_dot_product_attention(query, key, key))
    assert cost.flops == 2 * 2 * 4 * 1000 * 3000 * (64 + 64)
    assert cost.peak_bytes == query.nbytes


def test_freed_memory_is_not_counted(meta):
    x = torch.empty(1000)

    def chain():
        y = x
        for _ in range(10):
            y = y + 1  # the old y goes as soon as the new one is there
        return y

    assert measure(chain).peak_bytes == 2 * x.nbytes


def test_views_and_in_place_operations_allocate_nothing(meta):
    x = torch.empty(100, 10)
    assert measure(lambda: x.view(10, 100).T.add_(1)[:5]).peak_bytes == 0


def test_a_repeated_computation_is_counted_each_time(meta):
    block, x = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.LayerNorm(8)), torch.empty(4, 8)
    once, thrice = measure(lambda: block(x)), measure(lambda: [block(x) for _ in range(3)])
    assert thrice.flops == 3 * once.flops
    assert thrice.peak_bytes == 2 * 32 * 4 + once.peak_bytes  # two results are kept while the third is made


def test_equal_arguments_of_different_types_are_distinguished(meta):
    x, found = torch.empty(4, dtype=torch.long), []
    measure(lambda: found.extend([(x + 1).dtype, (x + 1.0).dtype, (x + True).dtype, (x + 1).dtype]))
    assert found == [torch.long, torch.float32, torch.long, torch.long]


def test_the_count_is_that_of_the_real_computation():
    """The same layer is counted on the CPU and on the meta device."""
    from torch.utils.flop_counter import FlopCounterMode

    def layer():
        return torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.GroupNorm(2, 8), torch.nn.Conv2d(8, 4, 1))

    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        layer()(torch.rand(2, 3, 20, 20))
    with torch.device("meta"):
        shadow, picture = layer(), torch.empty(2, 3, 20, 20)
    assert measure(lambda: shadow(picture)).flops == counter.get_total_flops()
