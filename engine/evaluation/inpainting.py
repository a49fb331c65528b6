"""Inpainting with a single stream of the base model, for the sequential baseline.

Given latents are held in the same way as kept layers: at every step the solver gets the model output that leads exactly
to them. This is blended latent diffusion (Avrahami et al. 2023, arXiv 2206.02779) without its drift.
"""

from __future__ import annotations

import torch
from torch import Tensor

from layerfusion.engine.backbones.choice import backbone_of
from layerfusion.engine.diffusion.guidance import guide
from layerfusion.engine.diffusion.noise import initial_noise
from layerfusion.engine.diffusion.sampling import Sampler, distilled
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.models.runtime.loading import ModelBundle


@torch.inference_mode()
def inpaint(bundle: ModelBundle, prompt: str, seed: int, clean: Tensor, known: Tensor) -> Tensor:
    """Complete an image of which a part is given, as the model draws by itself: with its default steps, guidance and
    sampler, and its few-step adapter if that takes part.

    Args:
        bundle: the model.
        prompt: the prompt of the whole image.
        seed: seed of the initial noise.
        clean: (C, h, w), the latents of the given part.
        known: (1, h, w), 1 where `clean` is given, 0 where the model draws.

    Returns:
        Latents (1, C, h, w).
    """
    spec = bundle.spec
    usual, fusion = spec.usual, spec.defaults.fusion
    bundle.networks.prepare([], spec.added_networks(fusion))
    backbone = backbone_of(bundle)
    schedule = distilled(backbone.schedule, usual.sampler) if spec.adapter_for(fusion) else backbone.schedule
    sampler = Sampler(schedule, usual.sampler, usual.steps)
    height, width = clean.shape[-2:]
    noise = initial_noise([seed], clean.shape[0], height, width).to(bundle.device)
    words = backbone.encode([""], negative=True) + backbone.encode([prompt])
    size = Size(width * bundle.latent_factor, height * bundle.latent_factor)

    state = sampler.start(noise)
    state[0] = torch.lerp(state[0], sampler.state(clean, noise[0], 0), known)
    for index, timestep in enumerate(sampler.timesteps):
        rows = torch.cat([sampler.model_input(state, index)] * 2)
        output = backbone.forward(rows, timestep, words, size)
        output = guide(*output.chunk(2), scale=usual.guidance_scale, rescale=usual.guidance_rescale)
        output[0] = torch.lerp(output[0], sampler.exact_prediction(clean, noise[0], index), known)
        state = sampler.step(output, index, state)
    return state
