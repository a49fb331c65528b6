"""How the streams are coupled: the options for artists. Those for researchers are in `engine.options.research`.

Every option carries its range and two explanations, from which `docs/fusion-settings.md` is generated. For other
programs the two sets are one flat list of names: `FusionSettings.options`, `from_values`, `values` and `words`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass, fields
from typing import Any, Literal, get_args

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.options.checks import check_choice
from layerfusion.engine.options.field import check_value, contradiction, from_words, in_words, option_field
from layerfusion.engine.options.presets import PRESETS, Preset
from layerfusion.engine.options.research import ResearchSettings

Prior = Literal["per_step", "lagged", "once"]
ForegroundUpdate = Literal["hard", "hard_raw", "soft", "none"]
InitNoise = Literal["shared", "independent"]
KnownLayers = Literal["drawn", "skipped"]

_EDGE, _EXCHANGE, _WHEN, _SPEED = (
    "The object's edge",
    "What the layers take from each other",
    "When the layers exchange",
    "Speed against fidelity",
)


@dataclass(frozen=True, kw_only=True)
class FusionSettings:
    """How the streams are coupled. `options()` gives the range and the explanations of each option.

    Notation: F foreground, X blended, B background; a_F, a_X, a_B their activations after an attention module; s the
    structure prior, c the content confidence, u = s c scaled to the maximum 1, m the soft mask, h the hard mask, d the
    decision boundary; T the number of training timesteps.

    Attributes:
        research: the options for researchers.

    Raises:
        InvalidRequest: a value is outside its range, or two values contradict each other.
    """

    decision_boundary: float = option_field(
        _EDGE,
        10.0,
        "How sharp the object's edge is. Low: the edge is soft, and colours of object and backdrop mix. High: the "
        "alpha is crisp.",
        "The coefficient d of the hard mask h = σ(d (u - 1/2)), Fig. 5d; also that of a soft mask that is a sigmoid "
        "(`soft_mode`).",
        number=(0.01, 1000),
    )
    foreground_boundary: float | None = option_field(
        _EDGE,
        None,
        "The same coefficient for what the object takes from the scene. Lower it to let weather and light reach into "
        "the object.",
        "Replaces the m in a_F' = h (m a_F + (1 - m) a_X) + (1 - h) a_F by σ(this (u - 1/2)); none keeps m.",
        number=(0.01, 1000),
    )
    foreground_update: ForegroundUpdate = option_field(
        _EXCHANGE,
        "hard",
        "How the object takes on the light of the scene. “none” draws every object as if it stood alone: without light "
        "from the scene, and the same before any backdrop.",
        "How a_F is updated. `hard`: a_F' = h (m a_F + (1 - m) a_X) + (1 - h) a_F. `hard_raw`: a_F' = h a_X + (1 - h) "
        "a_F. `soft`: as `hard`, weighted by m instead of h. `none`: a_F is unchanged (frozen-foreground baseline).",
        choices=get_args(ForegroundUpdate),
    )
    amodal: bool = option_field(
        _EXCHANGE,
        True,
        "true: the parts of an object that lie behind another object are drawn complete, so that the upper object can "
        "be moved away.",
        "true: h̃_k = h_k Π (1 - h_j) over the foregrounds j above k. false: h̃_k = h_k.",
        flag=True,
    )
    share_strength: float = option_field(
        _EXCHANGE,
        1.0,
        "How closely background and blended picture agree outside the object. 0 lets them differ.",
        "λ of attention sharing: of a token that is present in both streams, the own copy has the weight 1 - λ/2 and "
        "the other copy λ/2. The weights are our choice: plain concatenation takes too much attention from the object.",
        number=(0, 1),
    )
    backdrop_until: float = option_field(
        _EXCHANGE,
        1.0,
        "Below 1 the blended picture shows exactly the backdrop of the background layer; only the shadow and light "
        "around the object are its own. At 1 it draws a backdrop of its own that is similar.",
        "While t > this · T, X's estimate of z0 is replaced by B's outside the objects (the tokens of `sharing` = "
        "`masked`), except for the ground about their lower halves, where shadows fall. Farther than 20 % of the frame "
        "from every object it is replaced in all steps. This follows blended latent diffusion (Avrahami et al. "
        "2206.02779). 1 replaces nothing, as in the paper. Kept and relit layers are held whatever this value is. Our "
        "choice.",
        number=(0, 1),
    )
    blend_start: float = option_field(
        _WHEN,
        1.0,
        "When the layers begin to exchange: 1 from the start, 0.8 when the rough shapes are there, 0 never.",
        "Coupling begins at the first step with t <= this · T.",
        number=(0, 1),
    )
    blend_end: float = option_field(
        _WHEN,
        0.0,
        "When the layers stop exchanging. Above 0 each layer draws the last details for itself: Blended is freer to "
        "light the object and to draw its shadow, but follows the object's details less closely. It is also a little "
        "faster.",
        "Coupling ends before the first step with t <= this · T; 0 couples to the end. If the artist has chosen a "
        "foreground's place (kept, relit or in a box), values above 0.15 count as 0.15.",
        number=(0, 1),
    )
    init_noise: InitNoise = option_field(
        _WHEN,
        "shared",
        "“shared” starts the first object from the same noise as the background, which helps them to agree.",
        "The first foreground's initial noise: that of B, or its own. X always starts from the noise of B.",
        choices=get_args(InitNoise),
    )
    prior: Prior = option_field(
        _SPEED,
        "per_step",
        "How often the program measures where the object is. “per_step” is the closest to the paper and the slowest.",
        "`per_step`: a prior pass, that is, an uncoupled forward of the foreground rows, before every step (Fig. 2). "
        "`lagged`: the maps of the previous step's forward; a prior pass runs only before the first coupled step. "
        "`once`: only the maps of that first prior pass.",
        choices=get_args(Prior),
    )
    guidance_start: float = option_field(
        _SPEED,
        1.0,
        "Below 1 the first steps follow the prompts less closely and take half the time.",
        "Classifier-free guidance begins at the first step with t <= this · T (Kynkäänniemi et al. 2404.07724). "
        "Outside the guidance interval only the conditional half runs.",
        number=(0, 1),
    )
    guidance_end: float = option_field(
        _SPEED,
        0.0,
        "Above 0 the last steps follow the prompts less closely and take half the time; details get softer.",
        "Guidance ends before the first step with t <= this · T; 0 guides to the end.",
        number=(0, 1),
    )
    few_steps: bool = option_field(
        _SPEED,
        False,
        "true: draw in a few steps with the adapter that the model has for it, in a fraction of the time. A model "
        "without one draws as usual. The preset `fast` uses it, and so does the embedded model by itself.",
        "Adds the model's few-step adapter (LCM-LoRA, Luo et al. 2311.05556, or another distillation) to the weights "
        "for all streams, and takes steps, sampler and guidance from it where the request leaves them out.",
        flag=True,
    )
    guidance_every: int = option_field(
        _SPEED,
        1,
        "Above 1 the pictures without prompt, from which guidance leads away, are computed in every n-th step only.",
        "The unconditional half runs in every n-th guided step; in between, the last difference of the two halves is "
        "taken again (as FasterCache does, Lv et al. 2410.19355). It is renewed earlier for a stream that joins, and "
        "so often that there are five renewals in all the steps.",
        whole=(1, 10),
    )
    deep_every: int = option_field(
        _SPEED,
        1,
        "Above 1 the coarse parts of the model, which decide what is where, are computed in every n-th step only. "
        "Details and masks are computed in all.",
        "The blocks below the finest token grid run in every n-th forward; in between, their last output is taken "
        "again (after DeepCache, Ma et al. 2312.00858). They run earlier for rows of which they have none, and so "
        "often that they run in a fifth of the steps: take the same value as for `guidance_every`, or 1 there.",
        whole=(1, 10),
    )
    known_layers: KnownLayers = option_field(
        _SPEED,
        "drawn",
        "“skipped” does not compute what is known already, such as a kept foreground. The pictures that are drawn see "
        "it in the latents, but take nothing from it inside the model.",
        "`drawn`: streams whose whole prediction is replaced by a known one run nevertheless, for their attention. "
        "`skipped`: they do not run; X keeps its own activations where a skipped foreground lies, and shares with no "
        "skipped stream. Drawings without kept or relit layers are the same.",
        choices=get_args(KnownLayers),
    )
    research: ResearchSettings = ResearchSettings()

    def __post_init__(self) -> None:
        if not isinstance(self.research, ResearchSettings):
            raise InvalidRequest(
                f"The research settings are a {type(self.research).__name__}.",
                "Give ResearchSettings, or make all of them with FusionSettings.from_values.",
            )
        for option in _ARTIST:
            check_value(option, getattr(self, option.name))
        for stage in ("blend", "guidance"):
            start, end = getattr(self, f"{stage}_start"), getattr(self, f"{stage}_end")
            if 0 < start <= end:
                raise InvalidRequest(
                    f"The {stage} start is {start:g} and the {stage} end {end:g}.",
                    "Time runs from 1 down to 0: the start must be above the end.",
                )
        research, values = self.research, self.values()
        soft_inside = self.foreground_update in ("hard", "soft") and research.update_order == "blended_first"
        if self.foreground_boundary is not None and not soft_inside:
            raise contradiction(values, "foreground_boundary", "foreground_update")
        only_once = self.prior == "once" and research.content_source == "prior"
        if research.mask_smoothing > 0 and only_once:
            raise contradiction(values, "mask_smoothing", "prior")
        if research.content_from == "blended" and only_once:
            raise contradiction(values, "content_from", "prior")

    @classmethod
    def options(cls) -> tuple[Field[Any], ...]:
        """All options, those for artists first. `engine.options.field` describes their `metadata`."""
        return (*(option for option in fields(cls) if option.name != "research"), *fields(ResearchSettings))

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> FusionSettings:
        """Make settings from a flat mapping, option name -> value. Options that are not in it get their defaults.

        Raises:
            InvalidRequest: there is no option of a name, or a value is not valid for its option.
        """
        known = {option.name for option in cls.options()}
        for name in values:
            if name not in known:
                raise InvalidRequest(
                    f"There is no option {name!r:.60}.", f"The options are: {', '.join(sorted(known))}."
                )
        names = {option.name for option in fields(ResearchSettings)}
        research = ResearchSettings(**{name: value for name, value in values.items() if name in names})
        return cls(**{name: value for name, value in values.items() if name not in names}, research=research)

    def values(self) -> dict[str, Any]:
        """Option name -> value, for all options, as `from_values` reads it."""
        return {**{option.name: getattr(self, option.name) for option in _ARTIST}, **vars(self.research)}

    def words(self) -> dict[str, str]:
        """Option name -> value as text, for all options, as `adjusted` reads it."""
        return {name: in_words(value) for name, value in self.values().items()}

    def changed(self, changes: Mapping[str, Any]) -> FusionSettings:
        """A copy with some options replaced, given as a flat mapping, option name -> value.

        Raises:
            InvalidRequest: there is no option of a name, or a value is not valid for its option.
        """
        return self.from_values({**self.values(), **changes})

    def adjusted(self, preset: str | None, options: Mapping[str, str]) -> FusionSettings:
        """A copy with a preset applied, and then single options, given as people and other programs write them.

        Args:
            preset: a name of `PRESETS`; None applies no preset.
            options: option name -> value as text: a number, `true`, `false`, `none`, or a name that the option accepts.

        Raises:
            InvalidRequest: there is no such preset or option, or a value is not valid for its option.
        """
        settings = self if preset is None else self.preset(preset)
        known = {option.name: option for option in self.options()}
        read = {name: from_words(known[name], text) if name in known else text for name, text in options.items()}
        return settings.changed(read)

    def preset(self, name: str) -> FusionSettings:
        """A copy with a preset applied; see `PRESETS`.

        Raises:
            InvalidRequest: there is no preset of that name.
        """
        check_choice("preset", name, get_args(Preset))
        changes = next(changes for preset, changes in PRESETS.items() if preset == name)
        return self.changed({**changes, "blend_end": max(self.blend_end, changes.get("blend_end", 0.0))})


_ARTIST = tuple(option for option in fields(FusionSettings) if option.name != "research")
