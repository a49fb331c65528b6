"""The options for researchers: where masks come from, and how streams are mixed.

They cover details that the paper (Dalva et al., arXiv 2412.04460) leaves open, with every interpretation as a choice.
`engine.options.fusion` holds the options for artists.
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
SoftMode = Literal["scaled", "sigmoid", "otsu"]
HardMode = Literal["sigmoid", "step", "otsu"]
Mixture = Literal["foreground", "blended"]
ContentFrom = Literal["foreground", "blended"]
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
    """The options for researchers. The symbols are those of `FusionSettings`.

    Raises:
        InvalidRequest: a value is outside its range, or two values contradict each other.
    """

    structure_layers: int = option_field(
        _PRIORS,
        1,
        "From how many of the model's layers the object's outline is measured.",
        "s is the mean over this many self-attentions, the last ones in order of execution. The last one alone is the "
        "cleanest in the paper's figure of maps by layer; for SDXL it is `up_blocks.1.attentions.2."
        "transformer_blocks.1`.",
        whole=(1, 8),
    )
    structure_block: str = option_field(
        _PRIORS,
        "",
        "The one layer of the model from which the object's outline is measured. Empty takes the last ones.",
        "The name of the transformer block whose self-attention gives s. Empty: `structure_layers` decides. The "
        "paper's `up.1.attns.2.block.1` is `up_blocks.1.attentions.2.transformer_blocks.1`.",
        text=200,
    )
    heads: Heads = option_field(
        _PRIORS,
        "stat_mean",
        "How several estimates of the object's outline inside the model are averaged.",
        "The participation ratio 1 / Σ p² is computed per head and then averaged (`stat_mean`, or `stat_harmonic` with "
        "the harmonic mean); or it is computed once from the map averaged over heads (`map_mean`), which is the "
        "paper's single M x M map taken literally.",
        choices=get_args(Heads),
    )
    content_source: ContentSource = option_field(
        _PRIORS,
        "live",
        "Whether the object's place is measured while drawing or before it.",
        "`live`: a cross-attention (attn2) uses its own c, a self-attention (attn1) that of the attn2 that ran last. "
        "`prior`: each block uses its own c from the forward that set the priors.",
        choices=get_args(ContentSource),
    )
    content_from: ContentFrom = option_field(
        _PRIORS,
        "foreground",
        "Whether the object's place is looked up in the picture of the object or in the blended picture.",
        "Whose cross-attention gives c: the foreground's or the blended stream's, of which one map serves all "
        "foregrounds. Figure 2c can be read either way; reviewers of the paper say that both priors are the "
        "foreground's. A prior pass has no blended stream: before its first forward, the foreground's c is taken, and "
        "with `content_source` = `prior` it is the c of the step before.",
        choices=get_args(ContentFrom),
    )
    content_layers: ContentLayers = option_field(
        _PRIORS,
        "block",
        "Whether every layer of the model uses its own measurement of the object's place or an average over layers.",
        "`block`: each block uses its own, as in Fig. 2. `same_grid`, `all`: the mean over the blocks with the same "
        "token grid, or over all blocks, each normalised by min-max first. Both need `content_source` = `prior`.",
        choices=get_args(ContentLayers),
    )
    content_norm: ContentNorm = option_field(
        _PRIORS,
        "minmax",
        "How the measurement of the object's place is scaled.",
        "How c is normalised before the product s c: by min-max, by its maximum, or not at all.",
        choices=get_args(ContentNorm),
    )
    end_of_text: EndOfText = option_field(
        _PRIORS,
        "first",
        "To which part of the prompt the object's pixels must attend.",
        "The column of the cross-attention that is c: the first end-of-text token (`first`), the sum over it and all "
        "padding after it (`with_padding`), or the last token before it (`last_word`).",
        choices=get_args(EndOfText),
    )
    resampling: Resampling = option_field(
        _PRIORS,
        "area",
        "How a mask is reduced and enlarged.",
        "Resampling between token grids: `area` takes area means when reducing and is bilinear when enlarging; "
        "`bilinear` and `nearest` do the same in both directions.",
        choices=get_args(Resampling),
    )
    contrast_gate: float = option_field(
        _PRIORS,
        0.5,
        "How clearly the object must show before the program trusts its mask. 0 trusts every mask.",
        "ρ of κ = clip((max - min) / (ρ mean), 0, 1), computed from the raw maps, because min-max makes a mask even of "
        "noise. m becomes κ m + (1 - κ) m(u=0). If κ <= 1/2, h is 0 and no attention is shared. Our choice.",
        number=(0, 100),
    )
    border_margin: float = option_field(
        _PRIORS,
        0.03,
        "Keeps the picture's border from being taken for a part of the object. 0 treats it like all the rest.",
        "The width of the border as a fraction of the grid's longer side, in whole tokens (2 of 64, 1 of 32, none of "
        "16). Border tokens do not count in min-max and in scaling, and their u is at most the highest u of the inner "
        "tokens within the same distance. In the paper's figure, s lights up along the border. Our choice.",
        number=(0, 0.25),
    )
    mask_smoothing: float = option_field(
        _PRIORS,
        0.0,
        "Smooths masks that flicker from step to step. 0 is off.",
        "β of an exponential average over the steps: s, c <- β (last) + (1 - β) (now).",
        number=(0, 0.99),
    )
    mask_parts: MaskParts = option_field(
        _MASKS,
        "product",
        "Which of the two measurements of the object, outline and place, are used.",
        "u is s c, s or c, scaled to the maximum 1: the comparison of Fig. 5c.",
        choices=get_args(MaskParts),
    )
    content_weight: float = option_field(
        _MASKS,
        1.0,
        "Lower it if the mask covers only a spot in the middle of the object.",
        "γ of u = s c^γ, scaled to the maximum 1. The paper's is 1. If c has a sharp peak, s c has one, too; a value "
        "below 1 widens the mask again. Our choice.",
        number=(0, 4),
    )
    soft_mode: SoftMode = option_field(
        _MASKS,
        "scaled",
        "How the boundary between object and backdrop is found.",
        "`scaled`: m = u, as the paper prints its soft mask. `sigmoid`: m = σ(d (u - 1/2)). `otsu`: m = σ(d (u - τ)), "
        "where τ is Otsu's threshold of u. The last two are our choice.",
        choices=get_args(SoftMode),
    )
    hard_mode: HardMode = option_field(
        _MASKS,
        "sigmoid",
        "How the object's inside is distinguished from its outside.",
        "`sigmoid`: h = σ(d (u - `hard_threshold`)), as the paper prints its hard mask. `step`: h = 1 where u > "
        "`hard_threshold`, else 0. `otsu`: h = 1 where u is above Otsu's threshold of u, else 0. The last two are our "
        "choice.",
        choices=get_args(HardMode),
    )
    hard_threshold: float = option_field(
        _MASKS,
        0.5,
        "Higher: only the object's core takes light from the scene. Lower: its rim does, too.",
        "The centre of h in u; the paper's is 1/2.",
        number=(0, 1),
    )
    normalise: Normalise = option_field(
        _MASKS,
        "several",
        "Keeps the backdrop of many objects from washing out.",
        "Whether a mask that is a sigmoid is stretched to m̂ = (m - m(u=0)) / (m(u=1) - m(u=0)), and h likewise: if "
        "there are several foregrounds, always or never. m = u has no such floor and stays. Without it, at d = 5, six "
        "sigmoid masks leave X only 62 % of its own background. Our choice.",
        choices=get_args(Normalise),
    )
    mixture: Mixture = option_field(
        _BLENDING,
        "foreground",
        "Whether the object keeps its own look where its mask is strong, or takes that of the blended picture.",
        "The stream that the soft mask multiplies, two readings of Fig. 2c. `foreground`: the mixture is m a_F + (1 - "
        "m) a_X; X takes it everywhere, F by h. `blended`: it is m a_X + (1 - m) a_F, and X and F both take it by h.",
        choices=get_args(Mixture),
    )
    update_order: UpdateOrder = option_field(
        _BLENDING,
        "blended_first",
        "Whether the blended picture or the objects are updated first.",
        "`blended_first`: X is computed from the original a_F. `foreground_first`: first a_F' = h a_X + (1 - h) a_F, "
        "then X from a_F'.",
        choices=get_args(UpdateOrder),
    )
    blend_self: bool = option_field(
        _BLENDING,
        True,
        "Whether the layers exchange where the model compares the parts of one picture.",
        "Whether self-attention outputs are blended.",
        flag=True,
    )
    blend_cross: bool = option_field(
        _BLENDING,
        True,
        "Whether the layers exchange where the model reads the prompt.",
        "Whether cross-attention outputs are blended.",
        flag=True,
    )
    blend_unconditional: bool = option_field(
        _BLENDING,
        True,
        "Whether the layers also exchange in the half of the work that uses the negative prompt.",
        "Whether the unconditional half is blended, too, with its own a_F and the conditional half's masks.",
        flag=True,
    )
    blend_point: BlendPoint = option_field(
        _BLENDING,
        "post_out",
        "At which point inside the model the layers are mixed.",
        "After the output projection (`post_out`) or before it (`pre_out`). The results differ only by the foreground "
        "deltas of that projection.",
        choices=get_args(BlendPoint),
    )
    sharing: Sharing = option_field(
        _SHARING,
        "masked",
        "Which parts of background and blended picture adapt to each other.",
        "`masked`: the keys and values of tokens clearly outside every object are shared (an object is where u > 1/4, "
        "with its holes filled and dilated by 6 % of the grid's longer side). `all`: those of every token. `copy`: "
        "instead of attention, the activations are mixed outside the objects: a_B' = (1 - λ) a_B + λ a_X, or, with "
        "`share_direction` = `to_blended`, a_X' = (1 - λ) a_X + λ a_B.",
        choices=get_args(Sharing),
    )
    share_direction: ShareDirection = option_field(
        _SHARING,
        "both",
        "Whether the background adapts to the blended picture, the reverse, or both. A kept background never changes.",
        "Which of the two streams attends to the other's tokens, too. The stream of a kept background is held to its "
        "pixels, so that `to_background` does not change the background layer.",
        choices=get_args(ShareDirection),
    )
    blend_blocks: str = option_field(
        _COURSE,
        "",
        "In which parts of the model the layers exchange. Empty means in all parts.",
        "Parts of the names of transformer blocks, separated by commas, for example `up_blocks, mid_block`. Empty "
        "means all blocks.",
        text=200,
    )
    smallest_grid: int = option_field(
        _COURSE,
        8,
        "How coarse a layer of the model may be for the pictures to exchange in it, in tokens a side.",
        "Token grids with a side shorter than this are not coupled.",
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
        if self.structure_layers != 1 and self.structure_block:
            raise contradiction(values, "structure_layers", "structure_block")
