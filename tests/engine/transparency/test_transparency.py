import pytest
import torch

from layerfusion.engine.diffusion.layer_codec import decode_rgb, decode_rgba, encode_rgba
from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.transparency.compact import FAINT, CompactTransparentDecoder
from layerfusion.engine.transparency.deltas import LowRank, deltas_from_state

MODULE = "up_blocks.2.attentions.1.transformer_blocks.0.attn1"


def test_a_delta_is_its_matrix_product():
    delta = LowRank(down=torch.randn(2, 5), up=torch.randn(7, 2))
    x = torch.randn(3, 5)
    torch.testing.assert_close(delta(x), x @ (delta.up @ delta.down).T, atol=1e-5, rtol=1e-4)


def test_deltas_that_do_not_fit_are_refused_with_a_message(subtests, bundle):
    for state, complaint in [
        ({f"{MODULE}.to_q.lora_A.weight": torch.zeros(4, 32)}, "incomplete or damaged delta"),
        ({"conv_in.lora_A.weight": torch.zeros(4, 4)}, "not an attention projection"),
        ({f"{MODULE.replace('.2.', '.7.')}.to_q.lora_A.weight": torch.zeros(4, 32)}, "another model"),
        (
            {
                f"{MODULE}.to_q.lora_A.weight": torch.zeros(4, 64),
                f"{MODULE}.to_q.lora_B.weight": torch.zeros(64, 4),
            },
            r"shape \(64, 64\), but the model needs \(32, 32\)",
        ),
    ]:
        with subtests.test(state=state, complaint=complaint), pytest.raises(BrokenModel, match=complaint):
            deltas_from_state(state, bundle.unet, "deltas.safetensors")


def test_the_shipped_deltas_cover_every_attention_projection(bundle):
    assert len(bundle.deltas) == len(bundle.unet.attn_processors)
    assert all(set(parts) == {"to_q", "to_k", "to_v", "to_out.0"} for parts in bundle.deltas.values())


@torch.inference_mode()
def test_a_foreground_survives_encoding_and_decoding(bundle, apple_on_beach):
    layer = apple_on_beach.layers[1]
    again = decode_rgba(bundle, encode_rgba(bundle, layer.pixels))
    alpha, before = again[..., 3] > 127, layer.pixels[..., 3] > 127
    assert 0.05 < before.mean() < 0.7
    assert (alpha & before).sum() / (alpha | before).sum() > 0.9
    error = abs(again[..., :3].astype(float) - layer.pixels[..., :3])[alpha & before].mean()
    assert error < 20


@torch.inference_mode()
def test_opaque_pictures_are_opaque(bundle):
    assert (decode_rgb(bundle, torch.randn(1, 4, 12, 20))[..., 3] == 255).all()


def test_the_compact_decoder_takes_what_is_faint_for_nothing_unless_it_is_trained():
    torch.manual_seed(3)
    decoder = CompactTransparentDecoder().eval()
    rgb, latents = torch.rand(2, 3, 64, 64) * 2 - 1, torch.randn(2, 4, 8, 8)
    torch.nn.init.normal_(decoder.head.weight, std=0.3)
    with torch.no_grad():
        found = decoder(rgb, latents)[1].sigmoid()
        raw = decoder.train()(rgb, latents)[1].sigmoid()
    nothing, something = FAINT
    assert (raw < nothing).any() and ((raw > nothing) & (raw < something)).any()
    assert found[raw <= nothing].max() * 255 < 0.5
    torch.testing.assert_close(found[raw >= something], raw[raw >= something])
    order = raw.flatten().argsort()
    assert (found.flatten()[order].diff() >= -1e-6).all(), "what was denser stays denser"
