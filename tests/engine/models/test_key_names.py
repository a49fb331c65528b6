"""The conversion between LDM names and diffusers' names, for the full SDXL UNet."""

import torch
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

from layerfusion.engine.transparency.key_names import diffusers_name, ldm_name


def test_every_name_is_converted_and_back(full_unet):
    names = list(full_unet.state_dict())
    assert len(names) == 1680
    assert sum(value.numel() for value in full_unet.parameters()) == 2_567_463_684
    theirs = [ldm_name(name) for name in names]
    assert len({name for name in theirs if name}) == 1680
    assert [diffusers_name(name) for name in theirs if name] == names


def test_the_mapping_is_that_of_diffusers_own_converter(full_unet):
    """Each tensor contains its own number, so that exchanged tensors are detected."""
    places = {name: torch.tensor(place) for place, name in enumerate(full_unet.state_dict())}
    theirs = {f"model.diffusion_model.{ldm_name(name)}": value for name, value in places.items()}
    converted = convert_ldm_unet_checkpoint(theirs, full_unet.config)
    assert {name: int(value) for name, value in converted.items()} == {
        name: int(value) for name, value in places.items()
    }


def test_modules_have_names_too():
    assert ldm_name("down_blocks.2.attentions.0") == "input_blocks.7.1"
    assert ldm_name("down_blocks.2.attentions.1.proj_in") == "input_blocks.8.1.proj_in"
    assert ldm_name("up_blocks.1.attentions.2.transformer_blocks.1.attn2.to_out.0") == (
        "output_blocks.5.1.transformer_blocks.1.attn2.to_out.0"
    )
    assert diffusers_name("output_blocks.2.2.conv") == "up_blocks.0.upsamplers.0.conv"


def test_modules_that_the_unet_does_not_have_have_no_name():
    for name in ("encoder.conv_in", "input_blocks", "input_blocks.4.3.conv", "text_model.embeddings"):
        assert diffusers_name(name) is None
    assert ldm_name("encoder.down_blocks.0.resnets.0.conv1") is None
