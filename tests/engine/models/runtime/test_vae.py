import torch

from layerfusion.engine.models.runtime.vae import to_latents, to_rgb


@torch.inference_mode()
def test_latents_follow_the_models_own_normalisation(bundle):
    rgb = torch.rand(1, 3, 64, 64) * 2 - 1
    latents = to_latents(bundle, rgb)
    torch.testing.assert_close(latents, bundle.vae.encode(rgb).latent_dist.mean * bundle.vae.config.scaling_factor)
    expected = bundle.vae.decode(latents / bundle.vae.config.scaling_factor).sample.clamp(-1, 1)
    torch.testing.assert_close(to_rgb(bundle, latents), expected, atol=1e-5, rtol=1e-4)
