#!/usr/bin/env bash
# diffusers 0.42.1, torch 2.13.0: a VAE that decodes in tiles can return a larger picture than one that does not.
#
# `tiled_decode` moves on by 3/4 of a tile, rounded down to whole latents, and cuts each tile to 3/4 of its pixels, rounded
# separately. The two agree only if a quarter of the tile is a whole number of latents. With SDXL's configuration it is
# (a tile of 128 latents); a smaller sample_size or one more level gives tiles for which it is not. Nothing is said, and
# the picture is larger than 8 px (here 16 px) a latent, with repeated stripes at the seams.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet torch==2.13.0
env/bin/pip install --quiet diffusers==0.42.1
env/bin/python - <<'PY' 2>/dev/null | tee seen
import torch
from diffusers import AutoencoderKL

def sides(levels, sample_size, latents):
    torch.manual_seed(0)
    vae = AutoencoderKL(
        block_out_channels=(8,) * levels,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        layers_per_block=1,
        norm_num_groups=4,
        sample_size=sample_size,
    ).eval()
    z = torch.randn(1, 4, latents, latents)
    with torch.inference_mode():
        whole = vae.decode(z).sample.shape[-1]
        vae.enable_tiling()
        return vae.tile_latent_min_size, whole, vae.decode(z).sample.shape[-1]

for levels, sample_size, latents in ((4, 64, 16), (4, 48, 16), (5, 64, 8), (5, 32, 8)):
    tile, whole, tiled = sides(levels, sample_size, latents)
    print(f"{2 ** (levels - 1)} px a latent, tiles of {tile} latents: {whole} px at once, {tiled} px in tiles")
PY
cat >expected <<'TEXT'
8 px a latent, tiles of 8 latents: 128 px at once, 128 px in tiles
8 px a latent, tiles of 6 latents: 128 px at once, 140 px in tiles
16 px a latent, tiles of 4 latents: 128 px at once, 128 px in tiles
16 px a latent, tiles of 2 latents: 128 px at once, 184 px in tiles
TEXT
diff expected seen || { echo "CHANGED"; exit 1; }
