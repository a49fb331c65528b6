import re
from dataclasses import replace

import pytest
import torch
from diffusers import UNet2DConditionModel

from layerfusion.engine.backbones.sdxl import SDXLBackbone, in_order
from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.fusion.attach import structure_layers
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.models.catalog.model_files import CONFIGS, read_json
from layerfusion.engine.models.runtime.prompt_chunks import chunked
from layerfusion.engine.models.runtime.prompt_encoding import padded
from layerfusion.engine.models.runtime.tokenizers import sdxl_tokenizers
from layerfusion.engine.options.fusion import FusionSettings
from layerfusion.engine.prompt_syntax import literal


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


@pytest.fixture(scope="module")
def tokenizers(bundle):
    """Those of the embedded model, and the two of a single SDXL file; the last one pads with an exclamation mark."""
    return (*bundle.tokenizers, *sdxl_tokenizers())


@pytest.mark.parametrize(
    "prompt",
    [
        "a dog <|endoftext|> a red apple",
        "<|endoftext|>",
        "a dog<|startoftext|>",
        "<|endof<|endoftext|>text|>",
        "<|ENDOFTEXT|> " * 40,
        "<|endoftext|> " * 40,
        "what a dog!",
    ],
)
def test_a_typed_special_token_is_text(tokenizers, prompt):
    for tokenizer in tokenizers:
        (chunk,) = chunked(literal(prompt), tokenizer, {}, 1).chunks
        tokens = padded(tokenizer, chunk)
        start, end = tokenizer.bos_token_id, tokenizer.eos_token_id
        first = tokens.index(end)
        assert tokens.index(start) == 0 and tokens.count(start) == 1
        assert set(tokens[first + 1 :]) <= {tokenizer.pad_token_id}
        assert tokenizer.pad_token_id not in tokens[1:first]
        assert first > min(len(prompt.split()), tokenizer.model_max_length - 2)


@torch.inference_mode()
def test_a_typed_end_of_text_does_not_move_the_end_of_the_prompt(bundle):
    plain, typed = SDXLBackbone(bundle).encode(["a dog on a beach", "a dog <|endoftext|> on a beach"]).end_of_text
    assert typed > plain
    too_long = "<|endoftext|> " * 12
    assert SDXLBackbone(bundle).truncated([too_long]) == (too_long.strip(),)


def test_the_last_layer_of_sdxl_is_the_one_that_the_paper_shows():
    """The paper's figure of maps by layer names SDXL's blocks; its cleanest map is that of the last one."""
    figure = [
        "down.1.attns.1.block.1",
        "down.2.attns.0.block.9",
        "down.2.attns.1.block.9",
        "up.0.attns.0.block.9",
        "up.0.attns.1.block.9",
        "up.0.attns.2.block.9",
        "up.1.attns.2.block.1",
    ]
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(read_json(CONFIGS / "unet" / "config.json"))
    modules = in_order(unet.attn_processors)
    blocks = [
        re.sub(r"(\w+)\.(\d)\.attns\.(\d)\.block", r"\1_blocks.\2.attentions.\3.transformer_blocks", name)
        for name in figure
    ]
    places = [modules.index(f"{block}.attn1") for block in blocks]
    assert places == sorted(places)
    assert structure_layers(modules, FusionSettings().research.structure_layers) == (f"{blocks[-1]}.attn1",)
    assert structure_layers(modules, 1, blocks[0]) == (f"{blocks[0]}.attn1",)
    with pytest.raises(InvalidRequest, match="no transformer block “up") as refused:
        structure_layers(modules, 1, figure[-1])
    assert blocks[-1] in refused.value.hint


@torch.inference_mode()
def test_models_trained_with_zeros_get_zeros_for_an_empty_negative_prompt(bundle):
    zeroed = SDXLBackbone(replace(bundle, zeros_for_empty_prompt=True)).encode(["", "a dog"], negative=True)
    assert zeroed.embeddings[0].abs().sum() == 0
    assert zeroed.pooled[0].abs().sum() == 0
    assert zeroed.embeddings[1].abs().sum() > 0


def test_long_prompts_are_reported(bundle):
    assert SDXLBackbone(bundle).truncated(["a dog", "a dog " * 40]) == (("a dog " * 40).strip(),)


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
