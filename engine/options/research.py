"""The points the paper leaves open that only a researcher turns: where masks come from, and how streams are mixed.

Where the paper (Dalva et al., arXiv 2412.04460) is silent, both readings are here. `engine.options.fusion` holds the
options an artist may meet, and this set beside them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, get_args

from layerfusion.engine.options.field import check_value, contradiction, option_field

ContentSource = Literal["prior", "live"]
ContentLayers = Literal["block", "same_grid", "all"]
ContentNorm = Literal["minmax", "max", "none"]
EndOfText = Literal["first", "with_padding", "last_word"]
Heads = Literal["stat_mean", "map_mean", "stat_harmonic"]
Resampling = Literal["area", "bilinear", "nearest"]
MaskParts = Literal["product", "structure", "content"]
MaskMode = Literal["fixed", "otsu"]
Normalise = Literal["several", "always", "never"]
UpdateOrder = Literal["blended_first", "foreground_first"]
BlendPoint = Literal["post_out", "pre_out"]
Sharing = Literal["masked", "all", "copy"]
ShareDirection = Literal["both", "to_blended", "to_background"]

_PRIORS, _MASKS, _BLENDING, _SHARING, _COURSE = (
    "Where the masks come from",
    "From priors to masks",
    "Blending",
    "One background for both pictures",
    "Where in the network",
)


@dataclass(frozen=True, kw_only=True)
class ResearchSettings:
    """What only a researcher changes. Symbols are those of `FusionSettings`.

    Raises:
        InvalidRequest: a value outside its range, or two that contradict each other.
    """

    structure_layers: int = option_field(
        _PRIORS,
        1,
        "How many of the model's layers are asked for the object's outline.",
        "s is the mean over this many of the last executed self-attentions; the paper says the final layers.",
        whole=(1, 8),
    )
    heads: Heads = option_field(
        _PRIORS,
        "stat_mean",
        "How the model's opinions on the outline are counted together.",
        "Participation ratio 1 / Σ p² per head, then the mean (`stat_mean`) or the harmonic mean (`stat_harmonic`); or "
        "of the head-averaged map (`map_mean`), which is the paper's single M x M map read literally.",
        choices=get_args(Heads),
    )
    content_source: ContentSource = option_field(
        _PRIORS,
        "live",
        "Whether the object's place is read while drawing or just before.",
        "`live`: attn2 uses its own c, attn1 that of the attn2 which ran last. `prior`: each block's own c as the pass "
        "that gives the priors recorded it.",
        choices=get_args(ContentSource),
    )
    content_layers: ContentLayers = option_field(
        _PRIORS,
        "block",
        "Whether every layer of the model trusts its own eyes or all of them together.",
        "`block`: layer-wise, as Fig. 2 has it. `same_grid`, `all`: the mean over the blocks of the same token grid, "
        "or over all, each min-max normalised. The latter two need `content_source` = `prior`.",
        choices=get_args(ContentLayers),
    )
    content_norm: ContentNorm = option_field(
        _PRIORS,
        "minmax",
        "How the object's place is scaled.",
        "What is done to c before s c: min-max, division by its maximum, or nothing.",
        choices=get_args(ContentNorm),
    )
    end_of_text: EndOfText = option_field(
        _PRIORS,
        "first",
        "Which word of the prompt is looked for in the picture.",
        "The column of the cross-attention: the first end-of-text token, that and all padding after it (summed), or "
        "the last word before it.",
        choices=get_args(EndOfText),
    )
    resampling: Resampling = option_field(
        _PRIORS,
        "area",
        "How a mask is made smaller and larger.",
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
        "Which of the two clues to the object are used.",
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
    soft_mode: MaskMode = option_field(
        _MASKS,
        "fixed",
        "Where the line between object and backdrop is drawn.",
        "m = σ(d (u - 1/2)), or about Otsu's threshold τ of u: m = σ(d (u - τ)). The latter is our choice.",
        choices=get_args(MaskMode),
    )
    hard_mode: MaskMode = option_field(
        _MASKS,
        "fixed",
        "How the object's inside is told from its outside.",
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
        "Keeps the backdrop of many objects from washing out.",
        "m̂ = (m - m(u=0)) / (m(u=1) - m(u=0)): for more than one foreground, always or never. Without it six "
        "foregrounds leave X 62 % of its own background at d = 5. Our choice.",
        choices=get_args(Normalise),
    )
    update_order: UpdateOrder = option_field(
        _BLENDING,
        "blended_first",
        "Who looks at whom first.",
        "`blended_first`: X from the raw a_F. `foreground_first`: a_F' = h a_X + (1 - h) a_F, then X from a_F'.",
        choices=get_args(UpdateOrder),
    )
    blend_self: bool = option_field(
        _BLENDING,
        True,
        "Whether the layers see each other where the model compares parts of one picture.",
        "Whether self-attention outputs are blended.",
        flag=True,
    )
    blend_cross: bool = option_field(
        _BLENDING,
        True,
        "Whether the layers see each other where the model reads the prompt.",
        "Whether cross-attention outputs are blended.",
        flag=True,
    )
    blend_unconditional: bool = option_field(
        _BLENDING,
        True,
        "Whether the layers also see each other in the half of the work that draws against the prompt.",
        "Whether the unconditional half is blended too, with its own a_F and the conditional half's masks.",
        flag=True,
    )
    blend_point: BlendPoint = option_field(
        _BLENDING,
        "post_out",
        "At which point inside the model the layers are mixed.",
        "After the output projection, or before it. They differ by the foreground's change to that projection only.",
        choices=get_args(BlendPoint),
    )
    sharing: Sharing = option_field(
        _SHARING,
        "masked",
        "What the two pictures show each other.",
        "`masked`: keys and values surely outside every object (u, holes filled, > 1/4, dilated by 6 % of the grid). "
        "`all`: every token. `copy`: a_B' = (1 - λ) a_B + λ a_X outside the objects, no attention; "
        "`to_blended`: a_X from a_B.",
        choices=get_args(Sharing),
    )
    share_direction: ShareDirection = option_field(
        _SHARING,
        "both",
        "A kept background stays as it is anyhow.",
        "Who attends to the other's tokens. A kept background's row is held: `to_background` then changes nothing, "
        "and `both` lets X attend to a background that has listened.",
        choices=get_args(ShareDirection),
    )
    blend_blocks: str = option_field(
        _COURSE,
        "",
        "In which parts of the model the layers see each other; empty is everywhere.",
        "Parts of transformer blocks' names, separated by commas, for example `up_blocks, mid_block`; empty is all.",
        text=200,
    )
    smallest_grid: int = option_field(
        _COURSE,
        8,
        "How coarse a layer of the model may be and still mix the pictures.",
        "Token grids with a side below this are not coupled.",
        whole=(1, 512),
    )

    def __post_init__(self) -> None:
        for option in fields(self):
            check_value(option, getattr(self, option.name))
        values = vars(self)
        if self.content_layers != "block" and self.content_source == "live":
            raise contradiction(values, "content_layers", "content_source")
        if self.hard_threshold != 0.5 and self.hard_mode == "otsu":
            raise contradiction(values, "hard_threshold", "hard_mode")
