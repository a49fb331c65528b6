"""How the streams are coupled: the options an artist may meet, with the research set beside them.

Every option carries its range and two explanations, and `docs/fusion-settings.md` is made of them. To other programs
the two sets are one flat list of names: `FusionSettings.options`, `from_values`, `values` and `words`.
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

_EDGE, _EXCHANGE, _WHEN, _SPEED = (
    "The object's edge",
    "What the layers take from each other",
    "When they see each other",
    "Speed against faithfulness",
)


@dataclass(frozen=True, kw_only=True)
class FusionSettings:
    """How the streams are coupled. `options()` says what each option does and may be.

    Notation: F foreground, X blended, B background; a_F, a_X, a_B their activations after an attention module; s the
    structure prior, c the content confidence, u = minmax(s c), m the soft mask, h the hard mask, d the decision
    boundary; T the number of training timesteps.

    Attributes:
        research: what only a researcher changes.

    Raises:
        InvalidRequest: a value outside its range, or two that contradict each other.
    """

    decision_boundary: float = option_field(
        _EDGE,
        10.0,
        "Low: object and backdrop grow into each other, the edge is soft and colours leak. High: crisp alpha.",
        "d of m = σ(d (u - 1/2)), Fig. 5d.",
        number=(0.01, 1000),
    )
    foreground_boundary: float | None = option_field(
        _EDGE,
        None,
        "The same for what the object takes from the scene. Lower it to let weather and light reach into the object.",
        "d of the m in a_F' = h (m a_F + (1 - m) a_X) + (1 - h) a_F; none takes `decision_boundary`.",
        number=(0.01, 1000),
    )
    foreground_update: ForegroundUpdate = option_field(
        _EXCHANGE,
        "hard",
        "“none” draws every object as if it stood alone: no light from the scene, the same object before any backdrop.",
        "What a_F becomes where h is set: m a_F + (1 - m) a_X (`hard`), a_X (`hard_raw`); by m instead of h (`soft`); "
        "nothing (`none`, the frozen-foreground baseline).",
        choices=get_args(ForegroundUpdate),
    )
    amodal: bool = option_field(
        _EXCHANGE,
        True,
        "On: the parts of an object behind another one are drawn whole, so that the upper one can be moved away.",
        "h̃_k = h_k Π (1 - h_j) over the foregrounds j above k; off: h̃_k = h_k.",
        flag=True,
    )
    share_strength: float = option_field(
        _EXCHANGE,
        1.0,
        "How much background and blended picture agree outside the object. 0 lets them differ.",
        "λ of attention sharing; a token present in both streams weighs 1 - λ/2 and λ/2. The weights are our choice: "
        "plain concatenation starves the object of attention.",
        number=(0, 1),
    )
    backdrop_until: float = option_field(
        _EXCHANGE,
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
        _WHEN,
        1.0,
        "When the layers begin to see each other: 1 from the start, 0.8 once the rough shapes stand, 0 never.",
        "Coupling begins at the first step with t <= this · T.",
        number=(0, 1),
    )
    blend_end: float = option_field(
        _WHEN,
        0.0,
        "When they stop. Above 0 the last details are drawn by each layer for itself: Blended is freer to light the "
        "object and to draw its shadow, and less bound to its details. Also a little faster.",
        "Coupling ends before the first step with t <= this · T; 0 never. Where a foreground's place is the artist's "
        "(kept, relit or in a box), at most 0.15 counts.",
        number=(0, 1),
    )
    init_noise: InitNoise = option_field(
        _WHEN,
        "shared",
        "“shared” starts the first object from the scene's noise, which helps them to agree.",
        "The first foreground's initial noise: the background's, or its own. X always starts from B's.",
        choices=get_args(InitNoise),
    )
    prior: Prior = option_field(
        _SPEED,
        "per_step",
        "How often the program looks where the object is. Once per step is the most faithful and the slowest.",
        "`per_step`: an uncoupled pass of the foreground rows before every step (Fig. 2). `lagged`: the maps of the "
        "previous joint pass, a pass of their own only before the first coupled step. `once`: that first pass only.",
        choices=get_args(Prior),
    )
    guidance_start: float = option_field(
        _SPEED,
        1.0,
        "Below 1 the first steps follow the prompts less and cost half; the preset `fast` uses it.",
        "Classifier-free guidance from the first step with t <= this · T (Kynkäänniemi et al. 2404.07724); outside its "
        "interval the conditional half runs alone.",
        number=(0, 1),
    )
    guidance_end: float = option_field(
        _SPEED,
        0.0,
        "Above 0 the last steps follow the prompts less and cost half; the presets `balanced` and `fast` use it.",
        "Guidance until the first step with t <= this · T; 0 to the end.",
        number=(0, 1),
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
        if research.mask_smoothing > 0 and self.prior == "once" and research.content_source == "prior":
            raise contradiction(values, "mask_smoothing", "prior")

    @classmethod
    def options(cls) -> tuple[Field[Any], ...]:
        """Every option, the artist's first: name, default and, in `metadata`, what `engine.options.field` describes."""
        return (*(option for option in fields(cls) if option.name != "research"), *fields(ResearchSettings))

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> FusionSettings:
        """Settings of a flat mapping, option name -> value; what is left out has its default.

        Raises:
            InvalidRequest: a name no option has, or a value it cannot take.
        """
        known = {option.name for option in cls.options()}
        for name in values:
            if name not in known:
                raise InvalidRequest(
                    f"There is no option {name!r:.60}.", f"The options are: {', '.join(sorted(known))}."
                )
        deeper = {option.name for option in fields(ResearchSettings)}
        research = ResearchSettings(**{name: value for name, value in values.items() if name in deeper})
        return cls(**{name: value for name, value in values.items() if name not in deeper}, research=research)

    def values(self) -> dict[str, Any]:
        """Every option and its value, as `from_values` reads them."""
        return {**{option.name: getattr(self, option.name) for option in _ARTIST}, **vars(self.research)}

    def words(self) -> dict[str, str]:
        """Every option and its value in words, as `adjusted` reads them."""
        return {name: in_words(value) for name, value in self.values().items()}

    def changed(self, changes: Mapping[str, Any]) -> FusionSettings:
        """The same settings with some of them replaced, by flat names.

        Raises:
            InvalidRequest: a name no option has, or a value it cannot take.
        """
        return self.from_values({**self.values(), **changes})

    def adjusted(self, preset: str | None, options: Mapping[str, str]) -> FusionSettings:
        """The same settings with a preset, and then single options, as people and other programs write them.

        Args:
            preset: a name of `PRESETS`; None is none.
            options: name -> value in words: a number, `true`, `false`, `none`, or one of the names an option takes.

        Raises:
            InvalidRequest: a preset or option there is not, or a value it cannot take.
        """
        settings = self if preset is None else self.preset(preset)
        known = {option.name: option for option in self.options()}
        read = {name: from_words(known[name], text) if name in known else text for name, text in options.items()}
        return settings.changed(read)

    def preset(self, name: str) -> FusionSettings:
        """The same settings, run in one of four ways; see `PRESETS`.

        Raises:
            InvalidRequest: no preset of that name.
        """
        check_choice("preset", name, get_args(Preset))
        changes = next(changes for preset, changes in PRESETS.items() if preset == name)
        return self.changed({**changes, "blend_end": max(self.blend_end, changes.get("blend_end", 0.0))})


_ARTIST = tuple(option for option in fields(FusionSettings) if option.name != "research")
