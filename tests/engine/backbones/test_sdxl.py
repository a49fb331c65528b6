from dataclasses import replace

import torch

from layerfusion.engine.backbones.sdxl import SDXLBackbone
from layerfusion.engine.fusion.attach import structure_layers
from layerfusion.engine.image.geometry import Size


@torch.inference_mode()
def test_prompts_are_encoded_as_the_stock_sdxl_pipeline_encodes_them(bundle):
    from diffusers import StableDiffusionXLPipeline

    stock = StableDiffusionXLPipeline.from_pretrained(
        bundle.spec.folder, dtype=torch.float32, add_watermarker=False, local_files_only=True
    )
    prompts = ["a red apple on a beach at sunset", "a dog"]
    embeddings, negative, pooled, negative_pooled = stock.encode_prompt(
        prompts,
        device="cpu",
        num_images_per_prompt=1,
        do_classifier_free_guidance=True,
        negative_prompt=["", ""],
    )
    ours, avoided = SDXLBackbone(bundle).encode(prompts), SDXLBackbone(bundle).encode(["", ""], negative=True)
    torch.testing.assert_close(ours.embeddings, embeddings.float())
    torch.testing.assert_close(ours.pooled, pooled.float())
    torch.testing.assert_close(avoided.embeddings, negative.float())
    torch.testing.assert_close(avoided.pooled, negative_pooled.float())


@torch.inference_mode()
def test_the_end_of_text_is_the_first_one_though_padding_looks_the_same(bundle):
    assert SDXLBackbone(bundle).encode(["", "a dog", "a red apple"]).end_of_text.tolist() == [1, 3, 4]
    assert SDXLBackbone(bundle).encode(["a dog " * 40]).end_of_text.item() == bundle.tokenizers[0].model_max_length - 1


@torch.inference_mode()
def test_models_trained_with_zeros_get_zeros_for_an_empty_negative_prompt(bundle):
    zeroed = SDXLBackbone(replace(bundle, zeros_for_empty_prompt=True)).encode(["", "a dog"], negative=True)
    assert zeroed.embeddings[0].abs().sum() == 0
    assert zeroed.pooled[0].abs().sum() == 0
    assert zeroed.embeddings[1].abs().sum() > 0


def test_long_prompts_are_reported(bundle):
    assert SDXLBackbone(bundle).truncated(["a dog", "a dog " * 40]) == ("a dog " * 40,)


def test_modules_are_listed_in_the_order_they_run(bundle):
    backbone, ran = SDXLBackbone(bundle), []
    hooks = [
        bundle.unet.get_submodule(name).register_forward_hook(lambda *_, name=name: ran.append(name))
        for name in backbone.attention_modules
    ]
    with torch.inference_mode():
        words = backbone.encode(["a dog"])
        backbone.forward(torch.randn(1, 4, 16, 16), torch.tensor(400), words, Size(128, 128))
    for hook in hooks:
        hook.remove()
    assert tuple(ran) == backbone.attention_modules
    assert structure_layers(backbone.attention_modules, 1) == ("up_blocks.2.attentions.1.transformer_blocks.0.attn1",)


def test_blank_conditioning_has_the_shapes_of_encoded_prompts(bundle):
    backbone = SDXLBackbone(bundle)
    with torch.inference_mode():
        real, blank = backbone.encode(["a dog"] * 3), backbone.blank(3)
    for name in ("embeddings", "pooled", "end_of_text"):
        ours, theirs = getattr(blank, name), getattr(real, name)
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
        assert not ours.any()


def test_rows_are_chosen_and_stacked(bundle):
    backbone = SDXLBackbone(bundle)
    with torch.inference_mode():
        words = backbone.encode(["a dog", "a red apple"])
    swapped = words[[1]] + words[slice(0, 1)]
    assert torch.equal(swapped.embeddings, words.embeddings.flip(0))
    assert torch.equal(swapped.pooled, words.pooled.flip(0))
    assert torch.equal(swapped.end_of_text, words.end_of_text.flip(0))
