"""How a picture is made, apart from what it shows: the switches of LayerFusion, and its presets.

`FusionSettings` is the reference: every switch carries its range and two explanations, and `docs/fusion-settings.md`
is made of them. Where the paper (Dalva et al., arXiv 2412.04460) is silent, both readings are here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass, fields, replace
from typing import Any, Literal, get_args

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.options.checks import check_choice
from layerfusion.engine.options.field import check_value, contradiction, from_words, in_words, option_field

Prior = Literal["per_step", "lagged", "once"]
ContentSource = Literal["prior", "live"]
ContentLayers = Literal["block", "same_grid", "all"]
ContentNorm = Literal["minmax", "max", "none"]
EndOfText = Literal["first", "with_padding", "last_word"]
Heads = Literal["stat_mean", "map_mean", "stat_harmonic"]
Resampling = Literal["area", "bilinear", "nearest"]
MaskParts = Literal["product", "structure", "content"]
MaskMode = Literal["fixed", "otsu"]
Normalise = Literal["several", "always", "never"]
ForegroundUpdate = Literal["hard", "hard_raw", "soft", "none"]
UpdateOrder = Literal["blended_first", "foreground_first"]
BlendPoint = Literal["post_out", "pre_out"]
Sharing = Literal["masked", "all", "copy"]
ShareDirection = Literal["both", "to_blended", "to_background"]
InitNoise = Literal["shared", "independent"]
Preset = Literal["paper", "exact", "balanced", "fast"]

_PRIORS, _MASKS, _BLENDING, _SHARING, _COURSE = (
    "Where the masks come from",
    "From priors to masks",
    "Blending",
    "One background for both pictures",
    "When and where",
)


@dataclass(frozen=True, kw_only=True)
class FusionSettings:
    """How the streams are coupled: the switches of LayerFusion. `switches()` says what each does and may be.

    Notation: F foreground, X blended, B background; a_F, a_X, a_B their activations after an attention module; s the
    structure prior, c the content confidence, u = minmax(s c), m the soft mask, h the hard mask, d the decision
    boundary; T the number of training timesteps.

    Raises:
        InvalidRequest: a value outside its range, or two that contradict each other.
    """

    prior: Prior = option_field(
        _PRIORS,
        "per_step",
        "How often the program looks where the object is. Once per step is the most faithful and the slowest.",
        "`per_step`: an uncoupled pass of the foreground rows before every step (Fig. 2). `lagged`: the maps of the "
        "previous joint pass, a pass of their own only before the first coupled step. `once`: that first pass only.",
        choices=get_args(Prior),
    )
    structure_layers: int = option_field(
        _PRIORS,
        1,
        "Leave it: how many of the model's layers are asked for the object's outline.",
        "s is the mean over this many of the last executed self-attentions; the paper says the final layers.",
        whole=(1, 8),
    )
    heads: Heads = option_field(
        _PRIORS,
        "stat_mean",
        "Leave it: how the model's opinions on the outline are counted together.",
        "Participation ratio 1 / Σ p² per head, then the mean (`stat_mean`) or the harmonic mean (`stat_harmonic`); or "
        "of the head-averaged map (`map_mean`), which is the paper's single M x M map read literally.",
        choices=get_args(Heads),
    )
    content_source: ContentSource = option_field(
        _PRIORS,
        "live",
        "Leave it: whether the object's place is read while drawing or just before.",
        "`live`: attn2 uses its own c, attn1 that of the attn2 which ran last. `prior`: each block's own c as the pass "
        "that gives the priors recorded it.",
        choices=get_args(ContentSource),
    )
    content_layers: ContentLayers = option_field(
        _PRIORS,
        "block",
        "Leave it: whether every layer of the model trusts its own eyes or all of them together.",
        "`block`: layer-wise, as Fig. 2 has it. `same_grid`, `all`: the mean over the blocks of the same token grid, "
        "or over all, each min-max normalised. The latter two need `content_source` = `prior`.",
        choices=get_args(ContentLayers),
    )
    content_norm: ContentNorm = option_field(
        _PRIORS,
        "minmax",
        "Leave it: how the object's place is scaled.",
        "What is done to c before s c: min-max, division by its maximum, or nothing.",
        choices=get_args(ContentNorm),
    )
    end_of_text: EndOfText = option_field(
        _PRIORS,
        "first",
        "Leave it: which word of the prompt is looked for in the picture.",
        "The column of the cross-attention: the first end-of-text token, that and all padding after it (summed), or "
        "the last word before it.",
        choices=get_args(EndOfText),
    )
    resampling: Resampling = option_field(
        _PRIORS,
        "area",
        "Leave it: how a mask is made smaller and larger.",
        "Between token grids: area means down and bilinear up (`area`), bilinear both ways, or nearest neighbour.",
        choices=get_args(Resampling),
    )
    contrast_gate: float = option_field(
        _PRIORS,
        0.5,
        "How clearly the object must show before the program believes its mask. 0 believes anything.",
        "ρ of κ = clip((max - min) / (ρ mean), 0, 1) of the raw maps: min-max makes a mask of noise too. m is drawn to "
        "that of u = 0 by 1 - κ, h is 0 where κ <= 1/2, nothing is shared. Our choice.",
        number=(0, 100),
    )
    mask_smoothing: float = option_field(
        _PRIORS,
        0.0,
        "Steadies masks that flicker from step to step. 0 is off.",
        "β of an exponential mean over the steps: s, c <- β (last) + (1 - β) (now).",
        number=(0, 0.99),
    )

    mask_parts: MaskParts = option_field(
        _MASKS,
        "product",
        "Leave it: which of the two clues to the object are used.",
        "u = minmax(s c), or of s or c alone: the comparison of Fig. 5c.",
        choices=get_args(MaskParts),
    )
    content_weight: float = option_field(
        _MASKS,
        1.0,
        "Lower it if only a spot in the middle of the object is taken for the object.",
        "γ of u = minmax(s c^γ). 1 is the paper; where c is a sharp peak, s c is one too, and less than 1 gives the "
        "object its width back. Our choice.",
        number=(0, 4),
    )
    decision_boundary: float = option_field(
        _MASKS,
        10.0,
        "Low: object and backdrop grow into each other, the edge is soft and colours leak. High: crisp alpha.",
        "d of m = σ(d (u - 1/2)), Fig. 5d.",
        number=(0.01, 1000),
    )
    foreground_boundary: float | None = option_field(
        _MASKS,
        None,
        "The same for what the object takes from the scene. Lower it to let weather and light reach into the object.",
        "d of the m in a_F' = h (m a_F + (1 - m) a_X) + (1 - h) a_F; none takes `decision_boundary`.",
        number=(0.01, 1000),
    )
    soft_mode: MaskMode = option_field(
        _MASKS,
        "fixed",
        "Leave it: where the line between object and backdrop is drawn.",
        "m = σ(d (u - 1/2)), or about Otsu's threshold τ of u: m = σ(d (u - τ)). The latter is our choice.",
        choices=get_args(MaskMode),
    )
    hard_mode: MaskMode = option_field(
        _MASKS,
        "fixed",
        "Leave it: how the object's inside is told from its outside.",
        "h = 1 where u > `hard_threshold`, or > Otsu's threshold of u.",
        choices=get_args(MaskMode),
    )
    hard_threshold: float = option_field(
        _MASKS,
        0.5,
        "Higher: only the object's core takes light from the scene. Lower: its rim too.",
        "Of u; at 1/2 the tokens are those of m > 1/2, whatever d.",
        number=(0, 1),
    )
    normalise: Normalise = option_field(
        _MASKS,
        "several",
        "Leave it: keeps the backdrop of many objects from washing out.",
        "m̂ = (m - m(u=0)) / (m(u=1) - m(u=0)): for more than one foreground, always or never. Without it six "
        "foregrounds leave X 62 % of its own background at d = 5. Our choice.",
        choices=get_args(Normalise),
    )

    foreground_update: ForegroundUpdate = option_field(
        _BLENDING,
        "hard",
        "“none” draws every object as if it stood alone: no light from the scene, the same object before any backdrop.",
        "What a_F becomes where h is set: m a_F + (1 - m) a_X (`hard`), a_X (`hard_raw`); by m instead of h (`soft`); "
        "nothing (`none`, the frozen-foreground baseline).",
        choices=get_args(ForegroundUpdate),
    )
    update_order: UpdateOrder = option_field(
        _BLENDING,
        "blended_first",
        "Leave it: who looks at whom first.",
        "`blended_first`: X from the raw a_F. `foreground_first`: a_F' = h a_X + (1 - h) a_F, then X from a_F'.",
        choices=get_args(UpdateOrder),
    )
    amodal: bool = option_field(
        _BLENDING,
        True,
        "On: the parts of an object behind another one are drawn whole, so that the upper one can be moved away.",
        "h̃_k = h_k Π (1 - h_j) over the foregrounds j above k; off: h̃_k = h_k.",
        switch=True,
    )
    blend_self: bool = option_field(
        _BLENDING, True, "Leave it on.", "Whether self-attention outputs are blended.", switch=True
    )
    blend_cross: bool = option_field(
        _BLENDING, True, "Leave it on.", "Whether cross-attention outputs are blended.", switch=True
    )
    blend_unconditional: bool = option_field(
        _BLENDING,
        True,
        "Leave it on.",
        "Whether the unconditional half is blended too, with its own a_F and the conditional half's masks.",
        switch=True,
    )
    blend_point: BlendPoint = option_field(
        _BLENDING,
        "post_out",
        "Leave it.",
        "After the output projection, or before it. They differ by the foreground's change to that projection only.",
        choices=get_args(BlendPoint),
    )

    share_strength: float = option_field(
        _SHARING,
        1.0,
        "How much background and blended picture agree outside the object. 0 lets them differ.",
        "λ of attention sharing; a token present in both streams weighs 1 - λ/2 and λ/2. The weights are our choice: "
        "plain concatenation starves the object of attention.",
        number=(0, 1),
    )
    sharing: Sharing = option_field(
        _SHARING,
        "masked",
        "Leave it: what the two pictures show each other.",
        "`masked`: keys and values surely outside every object (u, holes filled, > 1/4, dilated by 6 % of the grid). "
        "`all`: every token. `copy`: a_B' = (1 - λ) a_B + λ a_X outside the objects, no attention; "
        "`to_blended`: a_X from a_B.",
        choices=get_args(Sharing),
    )
    share_direction: ShareDirection = option_field(
        _SHARING,
        "both",
        "Leave it: a kept background stays as it is anyhow.",
        "Who attends to the other's tokens. A kept background's row is pinned: `to_background` then changes nothing, "
        "and `both` lets X attend to a background that has listened.",
        choices=get_args(ShareDirection),
    )
    backdrop_until: float = option_field(
        _SHARING,
        1.0,
        "Below 1 the blended picture keeps the very backdrop of the background layer, and only shade and light around "
        "the object are its own; at 1 it draws a backdrop of its own that is much like it.",
        "While t > this · T, X's estimate of z0 is B's outside the objects (as `masked` has it) and the ground about "
        "their lower halves where shadows fall; and beyond 20 % of the frame to the end, after blended latent "
        "diffusion (Avrahami et al. 2206.02779). 1 never: the paper. Layers the artist gave are held whatever this is. "
        "Our choice.",
        number=(0, 1),
    )

    blend_start: float = option_field(
        _COURSE,
        1.0,
        "When the layers begin to see each other: 1 from the start, 0.8 once the rough shapes stand, 0 never.",
        "Coupling begins at the first step with t <= this · T.",
        number=(0, 1),
    )
    blend_end: float = option_field(
        _COURSE,
        0.0,
        "When they stop. Above 0 the last details are drawn by each layer for itself: Blended is freer to light the "
        "object and to draw its shadow, and less bound to its details. Also a little faster.",
        "Coupling ends before the first step with t <= this · T; 0 never. Where a foreground's place is the artist's "
        "(kept, relit or in a box), at most 0.15 counts.",
        number=(0, 1),
    )
    blend_blocks: str = option_field(
        _COURSE,
        "",
        "Leave it empty.",
        "Parts of transformer blocks' names, separated by commas, for example `up_blocks, mid_block`; empty is all.",
        text=200,
    )
    smallest_grid: int = option_field(
        _COURSE, 8, "Leave it.", "Token grids with a side below this are not coupled.", whole=(1, 512)
    )
    init_noise: InitNoise = option_field(
        _COURSE,
        "shared",
        "“shared” starts the first object from the scene's noise, which helps them to agree.",
        "The first foreground's initial noise: the background's, or its own. X always starts from B's.",
        choices=get_args(InitNoise),
    )
    guidance_start: float = option_field(
        _COURSE,
        1.0,
        "Leave it: below 1 the first steps follow the prompts less and cost half.",
        "Classifier-free guidance from the first step with t <= this · T (Kynkäänniemi et al. 2404.07724); outside its "
        "interval the conditional half runs alone.",
        number=(0, 1),
    )
    guidance_end: float = option_field(
        _COURSE,
        0.0,
        "Leave it: above 0 the last steps follow the prompts less and cost half.",
        "Guidance until the first step with t <= this · T; 0 to the end.",
        number=(0, 1),
    )

    def __post_init__(self) -> None:
        for switch in fields(self):
            check_value(switch, getattr(self, switch.name))
        for stage in ("blend", "guidance"):
            start, end = getattr(self, f"{stage}_start"), getattr(self, f"{stage}_end")
            if 0 < start <= end:
                raise InvalidRequest(
                    f"The {stage} start is {start:g} and the {stage} end {end:g}.",
                    "Time runs from 1 down to 0: the start must be above the end.",
                )
        if self.content_layers != "block" and self.content_source == "live":
            raise contradiction(self, "content_layers", "content_source")
        if self.hard_threshold != 0.5 and self.hard_mode == "otsu":
            raise contradiction(self, "hard_threshold", "hard_mode")
        soft_inside = self.foreground_update in ("hard", "soft") and self.update_order == "blended_first"
        if self.foreground_boundary is not None and not soft_inside:
            raise contradiction(self, "foreground_boundary", "foreground_update")
        if self.mask_smoothing > 0 and self.prior == "once" and self.content_source == "prior":
            raise contradiction(self, "mask_smoothing", "prior")

    @classmethod
    def switches(cls) -> tuple[Field[Any], ...]:
        """Every switch: its name, its default and, in `metadata`, what `engine.options.field` says."""
        return fields(cls)

    def changed(self, changes: Mapping[str, Any]) -> FusionSettings:
        """The same settings with some of them replaced.

        Raises:
            InvalidRequest: a name no switch has, or a value it cannot take.
        """
        names = [switch.name for switch in fields(self)]
        for name in changes:
            if name not in names:
                raise InvalidRequest(
                    f"There is no switch {name!r:.60}.", f"The switches are: {', '.join(sorted(names))}."
                )
        return replace(self, **changes)

    def adjusted(self, preset: str | None, switches: Mapping[str, str]) -> FusionSettings:
        """The same settings with a preset, and then single switches, as people and other programs write them.

        Args:
            preset: a name of `PRESETS`; None is none.
            switches: name -> value in words: a number, `true`, `false`, `none`, or one of the names a switch takes.

        Raises:
            InvalidRequest: a preset or switch there is not, or a value it cannot take.
        """
        settings = self if preset is None else self.preset(preset)
        known = {switch.name: switch for switch in fields(self)}
        read = {name: from_words(known[name], text) if name in known else text for name, text in switches.items()}
        return settings.changed(read)

    def words(self) -> dict[str, str]:
        """Every switch and its value in words, as `adjusted` reads them."""
        return {switch.name: in_words(getattr(self, switch.name)) for switch in fields(self)}

    def preset(self, name: str) -> FusionSettings:
        """The same settings, run in one of four ways; see `PRESETS`.

        Raises:
            InvalidRequest: no preset of that name.
        """
        check_choice("preset", name, get_args(Preset))
        changes = next(changes for preset, changes in PRESETS.items() if preset == name)
        return self.changed({**changes, "blend_end": max(self.blend_end, changes.get("blend_end", 0.0))})


PRESETS: dict[Preset, dict[str, Any]] = {
    "paper": {"prior": "per_step"},
    "exact": {"prior": "lagged"},
    "balanced": {"prior": "lagged", "guidance_end": 0.2},
    "fast": {"prior": "lagged", "guidance_start": 0.9, "guidance_end": 0.4, "blend_end": 0.2},
}
"""What each preset changes. All else stays the model's own: what a model was tuned to is no matter of speed.

paper: the priors by a pass of their own before every step. exact: nothing is left out, but the priors come from the
step before. balanced and fast leave work out where it is least missed; coupling that a model ends earlier ends there.
"""
