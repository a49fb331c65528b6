"""Kinds of model files as people have them, made with true names and shapes and without weights, and what becomes of
each.

    python tests/support/model_cases.py      writes the table in docs/models.md anew
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from layerfusion.engine.models.catalog.compatibility import faults
from layerfusion.engine.models.catalog.model_files import UNET_PREFIX
from layerfusion.engine.models.catalog.scan import inspect_path
from layerfusion.engine.models.catalog.sdxl_shapes import shapes, single_file
from layerfusion.engine.transparency.key_names import ldm_name
from sdxl_files import checkpoint_shapes, write_folder
from sparse_files import write_sparse

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
START, END = "<!-- Made by tests/support/model_cases.py. -->", "<!-- End of what is made. -->"

Shapes = dict[str, tuple[int, ...]]
Case = Callable[[Path], Path]

LABEL, CONV_IN = f"{UNET_PREFIX}label_emb.0.0.weight", f"{UNET_PREFIX}input_blocks.0.0.weight"
LAYER = "output_blocks.1.1.transformer_blocks.0.attn1.to_q"
ATTENTION = [name for name in shapes("unet") if re.search(r"\.attn[12]\.to_(q|k|v|out\.0)\.weight$", name)]


def file(name: str, tensors: Shapes, dtype: str = "F16", **options) -> Case:
    """A safetensors file of some names and shapes."""
    return lambda folder: write_sparse(folder / name, tensors, dtype, **options)


def checkpoint(changes: Shapes | None = None, without: str = "$^", **options) -> Case:
    """A full-size SDXL checkpoint, with other or more tensors and without those that a pattern finds."""
    tensors = {name: shape for name, shape in checkpoint_shapes().items() if not re.search(without, name)}
    return file("model.safetensors", tensors | (changes or {}), **options)


def folder(change: Callable[[Path], object] = lambda folder: None, **options) -> Case:
    """A full-size SDXL in diffusers layout, changed."""

    def write(root: Path) -> Path:
        path = write_folder(root / "model", **options)
        change(path)
        return path

    return write


def raw(name: str, content: bytes) -> Case:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def eight_bits(scale: str, more: Shapes) -> Case:
    """An SDXL checkpoint whose UNet's matrices are float8 with scales."""
    matrices = [name for name, shape in checkpoint_shapes().items() if name.startswith(UNET_PREFIX) and len(shape) == 2]
    scales = {name.removesuffix("weight") + scale: () for name in matrices}
    dtypes = dict.fromkeys(matrices, "F8_E4M3") | dict.fromkeys(scales, "F32") | dict.fromkeys(more, "F8_E4M3")
    return checkpoint(scales | more, dtypes=dtypes)


def lora(parts: Callable[[int, int], Shapes], stem: str = "lora_unet_", **options) -> Case:
    """A network of an artist's that changes a few attention projections."""
    tensors = {}
    for name in ATTENTION[:40]:
        rows, columns = shapes("unet")[name]
        written = ldm_name(name.removesuffix(".weight")) or ""
        module = stem + (written.replace(".", "_") if stem.startswith("lora_") else name.removesuffix(".weight"))
        tensors |= {f"{module}.{part}": shape for part, shape in parts(rows, columns).items()}
    return file("network.safetensors", tensors, **options)


def kohya(rows: int, columns: int) -> Shapes:
    return {"lora_up.weight": (rows, 16), "lora_down.weight": (16, columns), "alpha": ()}


def peft(rows: int, columns: int) -> Shapes:
    return {"lora_B.weight": (rows, 16), "lora_A.weight": (16, columns)}


def loha(rows: int, columns: int) -> Shapes:
    return {f"hada_w{i}_{side}": (rows, 8) if side == "a" else (8, columns) for i in (1, 2) for side in "ab"}


def lokr(rows: int, columns: int) -> Shapes:
    return {"lokr_w1": (8, 8), "lokr_w2_a": (rows // 8, 4), "lokr_w2_b": (4, columns // 8)}


def adapter(**config) -> dict[str, str]:
    return {"lora_adapter_metadata": json.dumps({f"unet.{key}": value for key, value in config.items()})}


def deltas(key: Callable[[str, int], str], names: list[str]) -> Shapes:
    tensors = {}
    for name in names:
        rows, columns = shapes("unet")[name]
        tensors |= {key(name, 0): (rows, 256), key(name, 1): (256, columns)}
    return tensors


def forge(name: str, half: int) -> str:
    return f"diffusion_model.{ldm_name(name)}::lora::{half}"


def kohya_delta(name: str, half: int) -> str:
    module = (ldm_name(name.removesuffix(".weight")) or "").replace(".", "_")
    return f"lora_unet_{module}.lora_{('up', 'down')[half]}.weight"


def shard(path: Path) -> Path:
    return sorted((write_folder(path / "model", shards=3) / "unet").glob("*-00002-*"))[0]


def settings(name: str, **values) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        own = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(own | values))

    return change


UNET = {f"{UNET_PREFIX}{name}": shape for name, shape in single_file(UNET_PREFIX).items()}
BARE = single_file(UNET_PREFIX)
VAE = single_file("first_stage_model.")
SD1_LORA = {"lora_te_text_model_encoder_layers_0_mlp_fc1.lora_up.weight": (3072, 8)}
CONV = "lora_unet_input_blocks_1_0_in_layers_2"
TRUNCATED = b'\x40\0\0\0\0\0\0\0{"a":{"dtype":"F16","shape":[9],"data_offsets":[0,18]}}'.ljust(72)
CONDITIONED = {name: s for name, s in shapes("unet").items() if "attn" not in name and "embedding" not in name}

CASES: dict[str, dict[str, Case]] = {
    "Checkpoints": {
        "SDXL 1.0 or a fine-tune, float16": checkpoint(),
        "the same in float8": checkpoint(dtype="F8_E4M3"),
        "float8 with scales (`scaled_fp8`)": eight_bits("scale_weight", {f"{UNET_PREFIX}scaled_fp8": (0,)}),
        "float8 with scales, newer (`weight_scale`)": eight_bits("weight_scale", {}),
        "`.sft`": file("model.sft", checkpoint_shapes()),
        "without a VAE": checkpoint(without="^first_stage"),
        "v-prediction, with marker tensors": checkpoint({"v_pred": (0,), "ztsnr": (0,)}),
        "v-prediction, in the metadata": checkpoint(metadata={"modelspec.prediction_type": "v"}),
        "based on Illustrious or NoobAI": checkpoint(metadata={"modelspec.title": "Illustrious-XL merge"}),
        "based on Pony Diffusion": checkpoint(metadata={"modelspec.title": "Pony Diffusion V6 XL"}),
        "CosXL": checkpoint({"edm_vpred.sigma_max": (), "edm_vpred.sigma_min": ()}),
        "CosXL Edit, InstructPix2Pix": checkpoint({CONV_IN: (320, 8, 3, 3), "edm_vpred.sigma_max": ()}),
        "inpainting": checkpoint({CONV_IN: (320, 9, 3, 3)}),
        "Playground v2.5": checkpoint({"edm_mean": (1, 4, 1, 1), "edm_std": (1, 4, 1, 1)}),
        "the refiner": checkpoint({LABEL: (1536, 2560)}, without="^conditioner.embedders.0"),
        "Kolors": checkpoint({LABEL: (1280, 5632)}),
        "SSD-1B, Segmind Vega, KOALA": checkpoint(without=r"transformer_blocks\.([4-9])\."),
        "one text encoder missing": checkpoint(without="^conditioner.embedders.1"),
        "one tensor missing": checkpoint(without="input_blocks.1.0.in_layers.0.bias"),
        "a text encoder of another size": checkpoint({"conditioner.embedders.1.model.ln_final.weight": (1024,)}),
        "NF4 of bitsandbytes": checkpoint({f"{UNET_PREFIX}{LAYER}.weight.absmax": (6400,)}),
        "NVFP4, int8 and other forms": checkpoint(
            {f"{UNET_PREFIX}{LAYER}.weight": (1280, 640), f"{UNET_PREFIX}{LAYER}.weight_scale": (1280, 80)},
            dtypes={f"{UNET_PREFIX}{LAYER}.weight": "U8"},
        ),
        "Stable Diffusion 1.5": file("sd15.safetensors", {CONV_IN: (320, 4, 3, 3)}),
        "Flux": file("flux.safetensors", {f"{UNET_PREFIX}double_blocks.0.img_attn.qkv.weight": (9216, 3072)}),
        "Stable Diffusion 3": file(
            "sd3.safetensors", {f"{UNET_PREFIX}joint_blocks.0.x_block.attn.qkv.weight": (4608, 1)}
        ),
    },
    "UNets alone": {
        "with a checkpoint's names": file("unet.safetensors", UNET),
        "after `diffusion_model.`": file("unet.safetensors", {f"diffusion_model.{k}": v for k, v in BARE.items()}),
        "bare": file("unet.safetensors", BARE),
        "of diffusers, in one file": file("diffusion_pytorch_model.safetensors", shapes("unet")),
        "one shard of several": shard,
        "Wan, Z-Image, Qwen-Image, …": file("wan.safetensors", {"blocks.0.cross_attn.k.weight": (5120, 5120)}),
        "a ControlNet": file("control.safetensors", {"controlnet_cond_embedding.conv_in.weight": (16, 3, 3, 3)}),
    },
    "Folders in diffusers layout": {
        "float16 variant": folder(variant=".fp16"),
        "bfloat16 variant": folder(variant=".bf16", dtype="BF16"),
        "UNet in three shards": folder(shards=3, variant=".fp16"),
        "a shard missing": folder(lambda f: next((f / "unet").glob("*-00002-*")).unlink(), shards=3),
        "an unknown variant alone": folder(variant=".non_ema"),
        "pickles alone": folder(lambda f: [p.rename(p.with_suffix(".bin")) for p in f.glob("unet/*.safetensors")]),
        "another activation in a text encoder": folder(settings("text_encoder_2/config.json", hidden_act="quick_gelu")),
        "flow matching": folder(
            settings("scheduler/scheduler_config.json", _class_name="FlowMatchEulerDiscreteScheduler")
        ),
        "EDM (Playground v2.5)": folder(
            settings("scheduler/scheduler_config.json", _class_name="EDMDPMSolverMultistepScheduler")
        ),
        "without tokenizers": folder(lambda f: [p.unlink() for p in f.glob("tokenizer*/vocab.json")]),
        "inpainting": folder(
            lambda f: write_sparse(
                f / "unet" / "diffusion_pytorch_model.safetensors", shapes("unet") | {"conv_in.weight": (320, 9, 3, 3)}
            )
        ),
        "Stable Diffusion 1.5": folder(settings("model_index.json", _class_name="StableDiffusionPipeline")),
    },
    "VAEs": {
        "with the original names": file("vae.safetensors", VAE),
        "with diffusers' names": file("vae.safetensors", shapes("vae")),
        "of Flux or Stable Diffusion 3": file("vae.safetensors", VAE | {"decoder.conv_in.weight": (512, 16, 3, 3)}),
        "a decoder without its encoder": file("v.safetensors", {k: s for k, s in VAE.items() if k[:2] != "en"}),
    },
    "LoRAs and other added networks": {
        "LoRA, kohya's keys": lora(kohya),
        "LoRA, diffusers' keys with `lora_adapter_metadata`": lora(peft, "unet.", metadata=adapter(r=16, lora_alpha=8)),
        "rsLoRA": lora(peft, "unet.", metadata=adapter(r=16, lora_alpha=8, use_rslora=True)),
        "DoRA": lora(lambda r, c: kohya(r, c) | {"dora_scale": (r, 1)}),
        "LoHa": lora(loha),
        "LoKr": lora(lokr),
        "LoCon with a core": file(
            "locon.safetensors",
            {
                f"{CONV}.lora_up.weight": (320, 8, 1, 1),
                f"{CONV}.lora_mid.weight": (8, 8, 3, 3),
                f"{CONV}.lora_down.weight": (8, 320, 1, 1),
            },
        ),
        "full changes and norms": file(
            "full.safetensors", {f"{CONV}.diff": (320, 320, 3, 3), f"{CONV[:-1]}0.w_norm": (320,)}
        ),
        "LoRA with a textual inversion (`bundle_emb`)": file(
            "lora.safetensors",
            {f"{CONV}.lora_up.weight": (320, 8, 1, 1), f"{CONV}.lora_down.weight": (8, 320, 3, 3)}
            | {"bundle_emb.name.clip_l": (2, 768), "bundle_emb.name.clip_g": (2, 1280)},
        ),
        "LoRA of another width": lora(lambda r, c: kohya(r, c + 8)),
        "OFT, BOFT, GLoRA, IA³": lora(lambda r, c: {"oft_diag": (r, 4)}),
        "for Stable Diffusion 1 or 2": file("sd1.safetensors", SD1_LORA),
        "for Flux": file(
            "flux.safetensors", {"transformer.single_transformer_blocks.0.proj_out.lora_A.weight": (16, 1)}
        ),
        "for Stable Diffusion 3": file(
            "sd3.safetensors", {"diffusion_model.joint_blocks.0.x_block.attn.qkv.lora_A.weight": (16, 1536)}
        ),
        "for Wan": file("wan.safetensors", {"diffusion_model.blocks.0.cross_attn.k.lora_A.weight": (16, 5120)}),
        "for Z-Image": file("z.safetensors", {"diffusion_model.layers.0.attention.to_q.lora_A.weight": (16, 3840)}),
    },
    "LayerDiffuse's files": {
        "`layer_xl_transparent_attn`": file("a.safetensors", deltas(forge, ATTENTION)),
        "`diffuser_layer_xl_transparent_attn`": file("a.safetensors", deltas(kohya_delta, ATTENTION)),
        "`ld_diffusers_sdxl_attn`": file("a.safetensors", {name: shapes("unet")[name] for name in ATTENTION}),
        "deltas with a projection missing": file("a.safetensors", deltas(forge, ATTENTION[1:])),
        "`layer_xl_transparent_conv`": file(
            "a.safetensors", {k: s for k, s in shapes("unet").items() if "embedding" not in k and "to_q" not in k}
        ),
        "`layer_xl_fg2ble`, `layer_xl_bg2ble`": file("a.safetensors", CONDITIONED | {"conv_in.weight": (320, 8, 3, 3)}),
        "for Stable Diffusion 1.5": file("a.safetensors", {"hookers.layers.0.to_q.weight": (320, 320)}),
        "a transparent decoder that is not published": file("vae.safetensors", shapes("transparent_decoder")),
        "a transparent encoder that is not published": file("vae.safetensors", shapes("transparent_encoder")),
    },
    "Others": {
        "textual inversion for SDXL": file("e.safetensors", {"clip_l": (4, 768), "clip_g": (4, 1280)}),
        "textual inversion for Stable Diffusion 1": file("e.safetensors", {"emb_params": (4, 768)}),
        "an IP-Adapter": file(
            "ip.safetensors", {"image_proj.norm.weight": (2048,), "ip_adapter.1.to_k_ip.weight": (1, 1)}
        ),
        "a text encoder alone": file("clip.safetensors", {"text_model.encoder.layers.0.mlp.fc1.weight": (3072, 768)}),
        "a pickle": raw("model.ckpt", b"PK\x03\x04" + bytes(600)),
        "GGUF": raw("model.gguf", b"GGUF" + bytes(600)),
        "a Git LFS pointer": raw("model.safetensors", b"version https://git-lfs.github.com/spec/v1\n"),
        "a web page in its place": raw("model.safetensors", b"<!DOCTYPE html><title>Sign in</title>" + bytes(600)),
        "a truncated download": raw(
            "model.safetensors", b'\x40\0\0\0\0\0\0\0{"a":{"dtype":"F16","shape":[9],"data_offsets":[0,18]}}'.ljust(72)
        ),
        "a damaged header": raw("model.safetensors", b"\x08\0\0\0\0\0\0\0{broken}"),
    },
}


def verdict(path: Path) -> tuple[str, str]:
    """What a file is, and what becomes of it, as the commands say it."""
    found = inspect_path(path)
    if found.identity is None:
        return "not read", _plain(found.problem, path)
    identity = found.identity
    reasons = [] if identity.use is None else faults(path, identity.use, ("vae",) if identity.lacks_vae else ())
    used = identity.use is not None and not reasons
    outcome = f"**used** as the {identity.use.value}" if used and identity.use else "refused"
    said = " ".join(text for text in (*reasons[:1], identity.remedy, identity.warning) if text)
    return _plain(identity.what, path), _plain(f"{outcome}{'. ' if said else ''}{said}", path)


def _plain(text: str, path: Path) -> str:
    """A message without the temporary folder, fit for a table."""
    text = text.replace(f"{path}/", "").replace(str(path), path.name).replace(f"{path.parent}/", "")
    return re.sub(r"\|", r"\\|", " ".join(text.split()))


def table() -> str:
    """Every case as a Markdown table."""
    lines = []
    for title, cases in CASES.items():
        lines += [f"### {title}", "", "| file | `models check` calls it | what happens |", "|---|---|---|"]
        for name, write in cases.items():
            with tempfile.TemporaryDirectory() as place:
                what, outcome = verdict(write(Path(place)))
            lines.append(f"| {name} | {what} | {outcome} |")
        lines.append("")
    return "\n".join(lines)


def page(text: str) -> str:
    """The page with the table made anew."""
    before, _, rest = text.partition(START)
    return f"{before}{START}\n\n{table()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
