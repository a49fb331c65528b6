"""The deep blocks' output, taken again; on the embedded model."""

import pytest
import torch

from layerfusion.engine.backbones.sdxl import SDXLBackbone
from layerfusion.engine.fusion.coupling import Coupling, Half, Pass
from layerfusion.engine.fusion.streams import Streams
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.options.fusion import FusionSettings

LATENTS = torch.randn((3, 4, 32, 32), generator=torch.Generator().manual_seed(0))
OTHERS = torch.randn((3, 4, 32, 32), generator=torch.Generator().manual_seed(1))
FINEST = {"down_blocks.1", "up_blocks.2"}
"""The level outside these has no attention."""


class Blocks:
    """Records the UNet's blocks in which attention ran."""

    def __init__(self):
        self.ran = set()

    def attended(self, attended):
        self.ran.add(".".join(attended.block.split(".")[:2]))


@pytest.fixture(scope="module")
def backbone(bundle):
    return SDXLBackbone(bundle)


@pytest.fixture(scope="module")
def words(backbone):
    with torch.inference_mode():
        return backbone.encode(["a red apple", "a beach at sunset", "a red apple on a beach at sunset"])


@pytest.fixture
def coupling(words):
    return Coupling(Streams(1), FusionSettings(), (32, 32), words.end_of_text[:1], observer=Blocks())


@torch.inference_mode()
def draw(backbone, coupling, words, latents=LATENTS, *, deep, half=Half.CONDITIONAL, rows=(0, 1, 2)):
    chosen = latents[list(rows)]
    conditioning = words[list(rows)]
    if half is Half.BOTH:
        chosen, conditioning = torch.cat([chosen, chosen]), conditioning + conditioning
    coupling.observer.ran.clear()
    with coupling.forward(Pass.JOINT, 0.5, half, rows, deep):
        return backbone.forward(chosen, torch.tensor(400), conditioning, Size(256, 256))


def test_the_same_input_gives_the_same_output_without_the_deep_blocks(backbone, coupling, words):
    with backbone.attached(coupling):
        whole = draw(backbone, coupling, words, deep=True)
        assert coupling.observer.ran > FINEST
        again = draw(backbone, coupling, words, deep=False)
        assert coupling.observer.ran == FINEST
    assert torch.equal(whole, again)


def test_another_input_is_seen_by_the_finest_blocks(backbone, coupling, words):
    with backbone.attached(coupling):
        draw(backbone, coupling, words, deep=True)
        mixed = draw(backbone, coupling, words, OTHERS, deep=False)
        true = draw(backbone, coupling, words, OTHERS, deep=True)
    assert 1e-3 < (mixed - true).abs().mean() < 0.5 * true.abs().mean()


def test_rows_are_taken_by_half_and_stream(backbone, coupling, words):
    with backbone.attached(coupling):
        whole = draw(backbone, coupling, words, deep=True, half=Half.BOTH)
        last = draw(backbone, coupling, words, deep=False, rows=(1, 2))
        first = draw(backbone, coupling, words, deep=False, half=Half.BOTH, rows=(0, 2))
    torch.testing.assert_close(last, whole[[4, 5]], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(first, whole[[0, 2, 3, 5]], atol=1e-5, rtol=1e-4)


def test_rows_of_different_steps_are_never_mixed(backbone, coupling, words):
    with backbone.attached(coupling):
        draw(backbone, coupling, words, deep=True, half=Half.BOTH)
        draw(backbone, coupling, words, deep=True)
        with pytest.raises(KeyError):
            draw(backbone, coupling, words, deep=False, half=Half.BOTH)


def test_the_network_is_restored(bundle, backbone, coupling):
    with backbone.attached(coupling):
        assert "forward" in vars(bundle.unet.mid_block)
    blocks = [*bundle.unet.down_blocks, bundle.unet.mid_block, *bundle.unet.up_blocks]
    assert not any("forward" in vars(block) for block in blocks)
