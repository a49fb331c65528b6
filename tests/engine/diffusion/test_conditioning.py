from dataclasses import replace

import torch

from layerfusion.engine.diffusion.conditioning import encode_prompts, truncated_prompts


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
    ours, avoided = encode_prompts(bundle, prompts), encode_prompts(bundle, ["", ""], negative=True)
    torch.testing.assert_close(ours.embeddings, embeddings.float())
    torch.testing.assert_close(ours.pooled, pooled.float())
    torch.testing.assert_close(avoided.embeddings, negative.float())
    torch.testing.assert_close(avoided.pooled, negative_pooled.float())


@torch.inference_mode()
def test_the_end_of_text_is_the_first_one_though_padding_looks_the_same(bundle):
    assert encode_prompts(bundle, ["", "a dog", "a red apple"]).end_of_text.tolist() == [1, 3, 4]
    assert encode_prompts(bundle, ["a dog " * 40]).end_of_text.item() == bundle.tokenizers[0].model_max_length - 1


@torch.inference_mode()
def test_models_trained_with_zeros_get_zeros_for_an_empty_negative_prompt(bundle):
    zeroed = encode_prompts(replace(bundle, zeros_for_empty_prompt=True), ["", "a dog"], negative=True)
    assert zeroed.embeddings[0].abs().sum() == 0
    assert zeroed.pooled[0].abs().sum() == 0
    assert zeroed.embeddings[1].abs().sum() > 0


def test_long_prompts_are_told(bundle):
    assert truncated_prompts(bundle, ["a dog", "a dog " * 40]) == ("a dog " * 40,)
