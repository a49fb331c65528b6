"""The compared systems: LayerFusion, variants with one changed setting, and the baselines; all use the same code.

1. *pasted*: foreground and background are drawn separately (no coupling) and alpha-composited;
2. *sequential*: the foreground is drawn alone, then the blended picture is inpainted around it, then the background is
   inpainted where the object was. LayerDiffuse does this with a chain of models; here it is done without their special
   weights;
3. *frozen*: LayerFusion with `foreground_update` "none", so that the foreground gets no information from the scene;
4. *layerfusion*: the model's defaults.

All systems start from the item's noise, so that only their methods differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from layerfusion.engine.diffusion.layer_codec import decode_rgb, encode_over_grey
from layerfusion.engine.editing import harmonise, moved
from layerfusion.engine.evaluation import made_pictures
from layerfusion.engine.evaluation.inpainting import inpaint
from layerfusion.engine.evaluation.items import Item
from layerfusion.engine.evaluation.made_pictures import backdrop_prompt_of, made_picture
from layerfusion.engine.evaluation.measures import alpha_of, pasted
from layerfusion.engine.evaluation.regions import box_of, undisturbed
from layerfusion.engine.events import Finished
from layerfusion.engine.image.geometry import Framing, Size
from layerfusion.engine.image.layers import Layer, Pixels, Role
from layerfusion.engine.image.resampling import to_working
from layerfusion.engine.inspection.recorder import Recorder
from layerfusion.engine.inspection.records import MaskRecord
from layerfusion.engine.models.catalog.spec import ModelSpec
from layerfusion.engine.models.runtime.loading import ModelBundle, load_model
from layerfusion.engine.models.runtime.vae import to_latents
from layerfusion.engine.options.fusion import FusionSettings
from layerfusion.engine.options.research import ContentFrom, Mixture
from layerfusion.engine.pipeline import LayerFusionPipeline
from layerfusion.engine.request import Generated, GenerationRequest, Kept, Relit, Source
from layerfusion.engine.stack import LayerStack

Use = Literal["", "pasted", "made", "kept", "relit", "placed", "harmonised", "moved", "shifted"]
"""How a drawing is made, if not by drawing all layers together. "pasted": Blended is the composite of the layers.
"made": no model draws it. All others are what an artist does with the layers of another drawing. "kept", "relit": the
foreground is kept, or drawn anew over its pixels, and a background is drawn. The rest keep both layers and harmonise
them: "placed" after the object was scaled down and put to the left (`PLACED_SCALE`, `PLACED_AT`), "moved" after that
object was moved to the right (`MOVED_BY`), "harmonised" as they are, "shifted" after a made object was moved to the
right (`made_pictures.MOVED_BY`)."""


@dataclass(frozen=True)
class Variant:
    """One way to draw an item.

    Attributes:
        name: unique name, also used in file names.
        settings: options of `FusionSettings`, by their flat names, that differ from the model's defaults.
        preset: one of `engine.options.presets.PRESETS`; the model's own way if empty.
        other_scene, other_seed: whether the background has the item's other prompt, or other seed.
        apart: whether the foreground starts from noise that no background has.
        masks: whether the masks of every step are recorded.
        after: the variant from whose drawing this one starts; empty if it starts from none.
        use: how it is made, see `Use`; empty if all layers are drawn together.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    preset: str = ""
    other_scene: bool = False
    other_seed: bool = False
    apart: bool = False
    masks: bool = False
    after: str = ""
    use: Use = ""


BOUNDARIES = (1, 2, 5, 10, 20, 50)
"""Decision boundaries d of the paper's Fig. 5d."""

PASTED = Variant("pasted", {"blend_start": 0.0}, use="pasted")
SEQUENTIAL = Variant("sequential", after="pasted")
FROZEN = Variant("frozen", {"foreground_update": "none"})
LAYERFUSION = Variant("layerfusion", masks=True)
SYSTEMS = (PASTED, SEQUENTIAL, FROZEN, LAYERFUSION)
"""The table's columns."""

APART_BY = 500_000
"""Added to the seed of a foreground that is to share its noise with no background of the list (our choice)."""

PLACED_SCALE, PLACED_AT, MOVED_BY = 0.55, (0.28, 0.86), 0.36
"""The scale of the placed object, the position (x, y) of the middle of its lower edge, and its later shift to the
right; positions are fractions of the frame (our choice)."""

ROUND_TRIP = Variant("round_trip", after="layerfusion")
OTHER_SEED = Variant("other_seed", other_seed=True)
APART = Variant("apart", apart=True)
APART_OTHER_SEED = Variant("apart_other_seed", other_seed=True, apart=True)
APART_OTHER_SCENE = Variant("apart_other_scene", other_scene=True, apart=True)
FROZEN_OTHER_SCENE = Variant("frozen_other_scene", FROZEN.settings, other_scene=True)
KEPT = Variant("kept", other_scene=True, after="layerfusion", use="kept")
RELIT = Variant("relit", other_scene=True, after="layerfusion", use="relit")
STRUCTURE = Variant("structure", {"mask_parts": "structure"}, masks=True)
CONTENT = Variant("content", {"mask_parts": "content"}, masks=True)
PLACED = Variant("placed", after="layerfusion", use="placed")
MOVED = Variant("moved", after="placed", use="moved")
MADE = Variant("made", use="made")
MADE_KEPT = Variant("made_kept", after="made", use="kept")
MADE_RELIT = Variant("made_relit", after="made", use="relit")
MADE_HARMONISED = Variant("made_harmonised", after="made", use="harmonised")
MADE_MOVED = Variant("made_moved", after="made", use="shifted")
SWEEP = tuple(
    Variant(f"boundary{d}", {"hard_mode": "sigmoid", "decision_boundary": float(d)}, masks=True) for d in BOUNDARIES
)
"""The coefficient d of the hard mask; a model whose hard mask is a step gets the paper's for this comparison."""

MIXTURES = {
    (mixture, content): tuple(
        Variant(
            f"mixture_{mixture}_{content}{'_other_scene' if other else ''}",
            {"mixture": mixture, "content_from": content},
            other_scene=other,
            masks=not other,
        )
        for other in (False, True)
    )
    for mixture in get_args(Mixture)
    for content in get_args(ContentFrom)
}
"""The four readings of Fig. 2c, each in two scenes: (stream that the soft mask multiplies, stream whose cross-attention
gives the content confidence) -> (the item's scene, its other scene)."""


def same_as_own(variant: Variant, own: FusionSettings) -> bool:
    """Whether a variant's drawing is that of `LAYERFUSION`, because it changes nothing for a model with these settings.

    A preset always has its own drawing, for its time is measured.
    """
    only_settings = replace(variant, name="", settings={}, masks=True) == replace(LAYERFUSION, name="")
    return only_settings and own.changed(variant.settings) == own


def scene_of(item: Item, variant: Variant) -> str:
    """The prompt of the background in one variant of an item."""
    if item.made is not None and variant.use in ("harmonised", "shifted"):
        return backdrop_prompt_of(item.made)
    return item.other_scene if variant.other_scene else item.scene


@dataclass(frozen=True, eq=False)
class Maps:
    """The priors and masks of the coupling at every step, on the structure prior's token grid.

    Attributes:
        times: (S,), t / T of each step, decreasing.
        structure, content, soft, hard: (S, rows, columns), 0-1: structure prior, content confidence, soft mask and hard
            mask.
        trust: (S,), 0-1: the weight that the masks have in the blending.
    """

    times: NDArray[np.float32]
    structure: NDArray[np.float32]
    content: NDArray[np.float32]
    soft: NDArray[np.float32]
    hard: NDArray[np.float32]
    trust: NDArray[np.float32]

    def at(self, time: float) -> int:
        """The index of the first step with t <= `time` · T; the last step if there is none."""
        late = np.flatnonzero(self.times <= time + 1e-6)
        return int(late[0]) if len(late) else len(self.times) - 1


@dataclass(frozen=True, eq=False)
class Drawing:
    """The images of one item and variant: uint8 (H, W, 4), straight alpha; background and blended are opaque."""

    foreground: Pixels
    background: Pixels
    blended: Pixels
    maps: Maps | None = None


class ItemDrawer:
    """Draws items with one model, at its native size and with its defaults.

    Args:
        spec: the model.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self._pipeline = LayerFusionPipeline(spec)
        self._bundle: ModelBundle | None = None

    def draw(self, item: Item, variant: Variant, earlier: Mapping[str, Drawing]) -> Drawing:
        """Draw an item in one variant.

        Args:
            item: the item.
            variant: the variant.
            earlier: variant name -> drawing of this item; `variant.after` must be among them.
        """
        if variant.name == SEQUENTIAL.name:
            return self._in_sequence(item, earlier[variant.after].foreground)
        if variant.name == ROUND_TRIP.name:
            return self._round_trip(earlier[variant.after])
        if variant.use == "made":
            return self._made(item)
        if variant.use in ("placed", "moved", "harmonised", "shifted"):
            return self._harmonised(item, variant, earlier[variant.after])
        drawing = self._coupled(item, variant, earlier[variant.after] if variant.after else None)
        if variant.use == "pasted":
            return replace(drawing, blended=pasted(drawing.background, drawing.foreground))
        return drawing

    def _coupled(self, item: Item, variant: Variant, given: Drawing | None) -> Drawing:
        """Draw all layers together; the foreground of `given` is kept or relit."""
        seed = item.seed + APART_BY if variant.apart else item.seed
        foreground: Source = Generated(prompt=item.object, seed=seed)
        size = Size(self.spec.native_size, self.spec.native_size)
        if given is not None:
            layer = _layer(Role.FOREGROUND, given.foreground)
            relit = Relit(layer=layer, prompt=item.object, seed=item.other_seed) if variant.use == "relit" else None
            foreground, size = relit or Kept(layer=layer, prompt=item.object), layer.size
        fusion = self.spec.defaults.fusion
        if variant.preset:
            fusion = fusion.preset(variant.preset)
        request = GenerationRequest(
            size=size,
            background=Generated(
                prompt=scene_of(item, variant), seed=item.other_seed if variant.other_seed else item.seed
            ),
            foregrounds=(foreground,),
            seed=item.seed,
            fusion=fusion.changed(variant.settings),
            model=self.spec.name,
        )
        record = MaskRecord() if variant.masks else None
        *_, last = self._pipeline.generate(request, Recorder(record))
        assert isinstance(last, Finished)
        pictures = [last.stack.by_role(role)[0].pixels for role in (Role.FOREGROUND, Role.BACKGROUND, Role.BLENDED)]
        return Drawing(*pictures, maps=_maps(record) if record is not None else None)

    def _made(self, item: Item) -> Drawing:
        """The cut-out and the backdrop of a made item, on a canvas of twice the model's side, as an artist's layers are
        finer than what the model draws; Blended is their composite."""
        assert item.made is not None
        picture = made_picture(item.made, 2 * self.spec.native_size)
        return Drawing(picture.cutout, picture.backdrop, pasted(picture.backdrop, picture.cutout))

    def _harmonised(self, item: Item, variant: Variant, drawing: Drawing) -> Drawing:
        """Harmonise both layers after the foreground was put where the variant says."""
        use = variant.use
        background = _layer(Role.BACKGROUND, drawing.background)
        layer, size = _layer(Role.FOREGROUND, drawing.foreground), background.size
        side = size.width
        if use == "placed":
            box = box_of(alpha_of(drawing.foreground)) or (0, 0, side, side)
            middle, feet = ((edge - side / 2) * PLACED_SCALE + side / 2 for edge in ((box[1] + box[3]) / 2, box[2]))
            shift = (round(PLACED_AT[0] * side - middle), round(PLACED_AT[1] * side - feet))
            layer = moved(layer, shift, PLACED_SCALE)
        elif use != "harmonised":
            layer = moved(layer, (round((MOVED_BY if use == "moved" else made_pictures.MOVED_BY) * side), 0))
        stack = LayerStack(name="", size=size, layers=(background, layer))
        *_, last = self._pipeline.generate(
            harmonise(stack, layer, (item.object, scene_of(item, variant)), seed=item.seed)
        )
        assert isinstance(last, Finished)
        kept, below, blended = (
            last.stack.by_role(role)[0] for role in (Role.FOREGROUND, Role.BACKGROUND, Role.BLENDED)
        )
        return Drawing(to_working(kept.pixels, kept.offset, Framing(size, size)), below.pixels, blended.pixels)

    def _in_sequence(self, item: Item, foreground: Pixels) -> Drawing:
        """Inpaint the blended picture around the given foreground, then the background where the object was."""
        with torch.inference_mode():
            bundle = self._loaded()
            solid, alpha = encode_over_grey(bundle, foreground)
            inside = (-F.max_pool2d(-alpha, bundle.latent_factor) > 0.95).float()[0]
            whole = self.spec.blended_prompt([item.object], item.scene)
            blended = decode_rgb(bundle, inpaint(bundle, whole, item.seed, solid[0], inside))
            outside = torch.from_numpy(undisturbed(alpha_of(foreground))).float()[None, None].to(bundle.device)
            around = -F.max_pool2d(-outside, bundle.latent_factor)[0]
            given = self._encoded(bundle, blended)[0]
            background = decode_rgb(bundle, inpaint(bundle, item.scene, item.seed, given, around))
        return Drawing(foreground, background, blended)

    def _round_trip(self, drawing: Drawing) -> Drawing:
        """The same layers with the background encoded and decoded by the VAE. No two decoded images agree better."""
        with torch.inference_mode():
            bundle = self._loaded()
            background = decode_rgb(bundle, self._encoded(bundle, drawing.background))
        return replace(drawing, background=background, maps=None)

    def _encoded(self, bundle: ModelBundle, pixels: Pixels) -> torch.Tensor:
        rgb = torch.from_numpy(np.array(pixels[..., :3])).to(bundle.device, bundle.dtype).permute(2, 0, 1)
        return to_latents(bundle, rgb[None] / 127.5 - 1)

    def _loaded(self) -> ModelBundle:
        if self._bundle is None:
            self._bundle = load_model(self.spec)
        return self._bundle


def _layer(role: Role, pixels: Pixels) -> Layer:
    return Layer(name=role.value.capitalize(), role=role, pixels=pixels)


def _maps(record: MaskRecord) -> Maps:
    steps = [step for step in record.steps if step.foreground == 0]
    return Maps(
        times=np.array([step.timestep / record.train_timesteps for step in steps], np.float32),
        structure=np.stack([step.structure for step in steps]),
        content=np.stack([step.content for step in steps]),
        soft=np.stack([step.soft for step in steps]),
        hard=np.stack([step.hard for step in steps]),
        trust=np.array([step.trust for step in steps], np.float32),
    )
