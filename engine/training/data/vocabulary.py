"""What the embedded model learns to draw, in the words it learns: objects, scenes, and which pairs it never sees.

One list, used by the dataset builder, the classifier, the measurements and the model card.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Thing:
    """An object.

    Attributes:
        label: the sprite's name in emojibase's list; empty for the translucent things our own code draws.
        hues: the colours it is shown in, each a caption of its own; empty for its natural colour alone.
        held_out: a colour of `hues` that is never shown in a picture: what the model makes of it is measured.
        floats: whether it hangs in the air rather than stands on the ground.
    """

    label: str
    hues: tuple[str, ...] = ()
    held_out: str = ""
    floats: bool = False


THINGS: dict[str, Thing] = {
    # fruit and food
    "red apple": Thing("red apple"),
    "green apple": Thing("green apple"),
    "banana": Thing("banana"),
    "strawberry": Thing("strawberry"),
    "pineapple": Thing("pineapple"),
    "lemon": Thing("lemon"),
    "orange": Thing("tangerine"),
    "watermelon": Thing("watermelon"),
    "cherries": Thing("cherries"),
    "pear": Thing("pear"),
    "grapes": Thing("grapes"),
    "carrot": Thing("carrot"),
    "tomato": Thing("tomato"),
    "mushroom": Thing("mushroom"),
    "hamburger": Thing("hamburger"),
    "pizza": Thing("pizza"),
    "doughnut": Thing("doughnut"),
    "cupcake": Thing("cupcake"),
    "birthday cake": Thing("birthday cake"),
    "ice cream": Thing("soft ice cream"),
    # animals
    "dog": Thing("dog"),
    "cat": Thing("cat"),
    "black cat": Thing("black cat"),
    "rabbit": Thing("rabbit"),
    "elephant": Thing("elephant"),
    "pig": Thing("pig"),
    "panda": Thing("panda"),
    "fox": Thing("fox"),
    "penguin": Thing("penguin"),
    "owl": Thing("owl"),
    "duck": Thing("duck"),
    "chick": Thing("front-facing baby chick"),
    "flamingo": Thing("flamingo"),
    "frog": Thing("frog"),
    "turtle": Thing("turtle"),
    "fish": Thing("tropical fish"),
    "whale": Thing("spouting whale"),
    "crab": Thing("crab"),
    "butterfly": Thing("butterfly", floats=True),
    "ladybug": Thing("lady beetle"),
    "snail": Thing("snail"),
    "ghost": Thing("ghost", floats=True),
    # plants
    "sunflower": Thing("sunflower"),
    "tulip": Thing("tulip"),
    "cactus": Thing("cactus"),
    "palm tree": Thing("palm tree"),
    "pine tree": Thing("evergreen tree"),
    "tree": Thing("deciduous tree"),
    "pumpkin": Thing("jack-o-lantern"),
    # buildings and vehicles
    "house": Thing("house"),
    "castle": Thing("castle"),
    "tent": Thing("tent"),
    "rocket": Thing("rocket", floats=True),
    "helicopter": Thing("helicopter", floats=True),
    "sailboat": Thing("sailboat"),
    "bus": Thing("bus"),
    "tractor": Thing("tractor"),
    "car": Thing("automobile", hues=("red", "blue", "yellow", "purple", "green"), held_out="green"),
    # things
    "soccer ball": Thing("soccer ball"),
    "basketball": Thing("basketball"),
    "trophy": Thing("trophy"),
    "crown": Thing("crown"),
    "guitar": Thing("guitar"),
    "teddy bear": Thing("teddy bear"),
    "robot": Thing("robot"),
    "snowman": Thing("snowman without snow"),
    "teapot": Thing("teapot"),
    "gift box": Thing("wrapped gift"),
    "star": Thing("star", floats=True),
    "balloon": Thing("balloon", hues=("red", "blue", "yellow", "green", "purple"), held_out="purple", floats=True),
    "backpack": Thing("backpack", hues=("red", "blue", "green", "yellow"), held_out="yellow"),
    # translucent: drawn by our own code
    "glass of water": Thing(""),
    "bottle": Thing("", hues=("green", "blue")),
    "soap bubble": Thing("", floats=True),
    "smoke": Thing("", floats=True),
}

_MORE: dict[str, Thing] = {
    "dog": Thing("dog face"),
    "cat": Thing("cat face"),
    "lion": Thing("lion"),
    "tiger": Thing("tiger face"),
    "koala": Thing("koala"),
    "cow": Thing("cow face"),
    "unicorn": Thing("unicorn"),
    "giraffe": Thing("giraffe"),
    "zebra": Thing("zebra"),
    "octopus": Thing("octopus"),
    "dolphin": Thing("dolphin"),
    "lobster": Thing("lobster"),
    "bee": Thing("honeybee", floats=True),
    "parrot": Thing("parrot"),
    "swan": Thing("swan"),
    "rooster": Thing("rooster"),
    "avocado": Thing("avocado"),
    "eggplant": Thing("eggplant"),
    "broccoli": Thing("broccoli"),
    "peach": Thing("peach"),
    "croissant": Thing("croissant"),
    "pretzel": Thing("pretzel"),
    "cookie": Thing("cookie"),
    "popcorn": Thing("popcorn"),
    "rose": Thing("rose"),
    "bicycle": Thing("bicycle"),
    "scooter": Thing("motor scooter"),
    "steam train": Thing("locomotive"),
    "fire engine": Thing("fire engine"),
    "ambulance": Thing("ambulance"),
    "taxi": Thing("taxi"),
    "ship": Thing("ship"),
    "anchor": Thing("anchor"),
    "flying saucer": Thing("flying saucer", floats=True),
    "alarm clock": Thing("alarm clock"),
    "light bulb": Thing("light bulb"),
    "key": Thing("key"),
    "hammer": Thing("hammer"),
    "camera": Thing("camera"),
    "television": Thing("television"),
    "bell": Thing("bell"),
    "diamond": Thing("gem stone"),
    "top hat": Thing("top hat"),
    "chair": Thing("chair"),
    "bucket": Thing("bucket"),
    "globe": Thing("globe showing Europe-Africa"),
    "skull": Thing("skull"),
}

Things = Mapping[str, Thing]

TRANSLUCENT = ("glass of water", "green bottle", "blue bottle", "soap bubble", "smoke")

OUTDOOR = {
    "beach": "a beach",
    "ocean": "the ocean",
    "mountains": "snowy mountains",
    "meadow": "a green meadow",
    "flowers": "a flower field",
    "desert": "a desert",
    "forest": "a green forest",
    "autumn": "an autumn forest",
    "city": "a city street",
    "snow": "a snowy field",
    "lake": "a lake shore",
    "canyon": "a canyon",
}
"""Scene kind -> caption; each is drawn at every time of day."""

_SECOND_ONLY = ("lake", "canyon")

INDOOR = ("table", "room", "studio", "space", "moon", "seafloor")
"""Scene kinds that know no time of day."""

TIMES = {
    "sunny": ("on a sunny day", "under a blue sky"),
    "sunset": ("at sunset",),
    "sunrise": ("at sunrise",),
    "night": ("at night",),
    "cloudy": ("on a cloudy day",),
    "foggy": ("in the fog",),
}

WALLS = ("white", "blue", "green", "pink", "yellow")
STUDIOS = ("white", "gray", "black", "red", "orange", "yellow", "green", "blue", "purple", "pink")
SINGLE = {
    "table": ("a wooden table",),
    "space": ("a starry night sky", "outer space with stars"),
    "moon": ("the moon",),
    "seafloor": ("the sea floor",),
}

NAMELESS = ("object", "thing", "shape")
"""What captions call things of any outline and material, see `arbitrary`: nothing is said about them."""

_NAMELESS = Thing("")


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """What an edition knows.

    Attributes:
        name: the edition's, which its model card says too.
        things: its objects.
        outdoor: its kinds of scene under the sky, of `OUTDOOR`.
    """

    name: str
    things: Things
    outdoor: tuple[str, ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """Every kind of scene."""
        return (*self.outdoor, *INDOOR)

    def names(self, *, held_out: bool) -> tuple[str, ...]:
        """Every object in every colour, without articles.

        Args:
            held_out: whether colours that are never shown in training belong to it.
        """
        return names(held_out=held_out, things=self.things)

    @property
    def places(self) -> tuple[str, ...]:
        """The captions of its outdoor scenes, without the time of day."""
        return tuple(OUTDOOR[kind] for kind in self.outdoor)

    @property
    def backgrounds(self) -> tuple[str, ...]:
        """Every scene caption."""
        outdoor = [f"{scene} {time}" for scene in self.places for times in TIMES.values() for time in times]
        rooms = [f"a room with a {wall} wall" for wall in WALLS]
        studios = [with_article(f"{hue} studio background") for hue in STUDIOS]
        return (*outdoor, *rooms, *studios, *(caption for captions in SINGLE.values() for caption in captions))


_PLURAL = {"cherries", "grapes", "smoke", "ice cream"}


def with_article(name: str) -> str:
    """`owl` -> `an owl`, as captions say it."""
    if name in _PLURAL:
        return name
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


def names(*, held_out: bool, things: Things = THINGS) -> tuple[str, ...]:
    """Every object in every colour, without articles.

    Args:
        held_out: whether colours that are never shown in training belong to it.
        things: the edition's objects.
    """
    found: list[str] = []
    for name, thing in things.items():
        hues = [hue for hue in thing.hues if held_out or hue != thing.held_out]
        found += [f"{hue} {name}" for hue in hues] or [name]
    return tuple(found)


def thing_of(name: str, things: Things = THINGS) -> tuple[str, Thing, str]:
    """`blue car` -> ("car", its Thing, "blue"); a name without hues has hue ""."""
    if name in NAMELESS:
        return name, _NAMELESS, ""
    if name in things:
        return name, things[name], ""
    hue, noun = name.split(" ", 1)
    return noun, things[noun], hue


def is_held_out(name: str, kind: str) -> bool:
    """Whether this object is never shown before this kind of scene: one pair in ten, fixed by its name."""
    return hashlib.sha256(f"{name}/{kind}".encode()).digest()[0] < 26


FIRST = Vocabulary("first", THINGS, tuple(kind for kind in OUTDOOR if kind not in _SECOND_ONLY))
SECOND = Vocabulary("second", THINGS | _MORE, tuple(OUTDOOR))
"""In the second edition, dog and cat are faces, which can be told apart at a glance."""

VOCABULARIES: dict[str, Vocabulary] = {known.name: known for known in (FIRST, SECOND)}
