"""Stand-ins for the docker, the link and the documents around the plugin's controller, and messages for tests."""

from dataclasses import dataclass, field, replace

WIDTH, HEIGHT = 64, 48
OLD = "2f1e8a52-0f5b-4b0e-9d6c-3f0a51c7d9ff"
ROLES = [("background", "normal"), ("foreground", "normal"), ("shadow", "multiply")]
LAST = 1 + 1 + len(ROLES) + 1
"""`seq` of the last event of `finish`, after started, a notice and the layers."""


class FakeView:
    """Records what it is told to show,"""

    def __init__(self):
        self.told, self.notes, self.pictures = [], [], []
        self.busy, self.remedy, self.picks, self.history = False, None, None, ()

    def show_server(self, welcome, words, startable=False):
        self.online, self.server, self.startable = welcome is not None, words, startable

    def show_job(self, words, step, total):
        self.busy, self.job, self.bar = True, words, (step, total)

    def show_idle(self):
        self.busy = False

    def show_queue(self, waiting):
        self.queue = waiting

    def show_preview(self, picture):
        self.pictures.append(picture)

    def show_picks(self, picks):
        self.picks = picks

    def show_history(self, entries):
        self.history = entries

    def show_stored(self, pictures, more):
        self.stored = pictures, more

    def show_variants(self, index, count):
        self.variants = index, count

    def show_styles(self, styles):
        self.styles = styles

    def show_live(self, on):
        self.live = on

    def note(self, text):
        self.notes.append(text)

    def say(self, message, hint="", remedy=None):
        self.told.append(("say", message, hint))
        self.remedy = remedy

    def warn(self, message, hint="", remedy=None):
        self.told.append(("warn", message, hint))
        self.remedy = remedy

    def clear(self):
        self.told, self.notes, self.remedy = [], [], None


class FakeServerLink:
    """Records what would be sent to the server."""

    def __init__(self):
        self.sent, self.submitted = [], []

    def send(self, message):
        self.sent.append(message)

    def submit(self, submit, pictures):
        self.submitted.append((submit, pictures))


@dataclass
class FakeDocument:
    """A Krita document with the methods that the controller needs."""

    id: str = "{doc}"
    name: str = "Sketch"
    size: tuple = (WIDTH, HEIGHT)
    warning: str = ""
    saved: bool = False
    keep: object = None
    keep_behind: object = None
    keep_beside: tuple = ()
    selected: tuple | None = None
    active: str = "{paper}"
    folder: object = None
    closed: bool = False
    saved_settings: dict | None = None
    choice: object = None
    inserted: list = field(default_factory=list)
    exported: list = field(default_factory=list)
    pictures: list = field(default_factory=list)
    shown: list = field(default_factory=list)
    set: tuple | None = None
    scratch: object = None

    def about_colours(self):
        return self.warning

    def settings(self):
        return self.saved_settings

    def save_settings(self, values):
        self.saved_settings = values

    def placement(self):
        from krita_layerfusion.jobs import Placement

        return Placement(self.id, self.name, "{root}", "{paper}", self.saved)

    def looked_at(self):
        return self.active

    def picks(self, choice):
        return (self.active, choice)

    def candidates(self, role):
        return [role]

    def foregrounds_to_keep(self, choice, size):
        self.choice = choice
        return (self.keep, *self.keep_beside)

    def background_to_keep(self, choice, size):
        self.choice = choice
        return self.keep_behind

    def background_outside_selection(self, choice, size):
        return self.keep_behind

    def both_to_keep(self, choice, size):
        self.choice = choice
        return (self.keep, *self.keep_beside), self.keep_behind

    def selected_region(self, size):
        return self.selected

    def history(self):
        return list(self.pictures)

    def selected_picture(self):
        return self.pictures[0].key if self.pictures else None

    def show_picture(self, key):
        self.shown.append(key)

    def unlist_picture(self, key):
        self.pictures = [entry for entry in self.pictures if entry.key != key]

    def thumbnail(self, group):
        return f"thumbnail of {group}"

    def preview(self):
        return self.scratch

    def variants(self):
        return self.set

    def step_variant(self, by):
        assert self.set is not None, "there are variants"
        index, count = self.set
        self.set = (index + by) % count, count

    def keep_variant(self):
        self.set = None

    def insert(self, job, waits):
        from krita_layerfusion.jobs import DocumentClosed, Inserted

        if self.closed:
            raise DocumentClosed
        self.inserted.append((job.placement, job.title, job.stack(), job.record))
        yield
        return Inserted(active="{new foreground}")

    def name_to_export(self):
        return "an apple: red/green?"

    def export_psd(self, path):
        yield
        self.exported.append(path)
        return ("“Haze” is left out.",)


class FakeDocuments:
    def __init__(self, document):
        self.document, self.open = document, True

    def active(self):
        return self.document if self.open else None

    def new(self):
        self.open = True

    def create(self, name, size):
        self.created = FakeDocument(id="{new}", name=name, size=size)
        return self.created

    def find(self, placement):
        found = self.open and placement.document == self.document.id
        return self.document if found else None


class FakeJobStore:
    def __init__(self):
        self.saved, self.left = {}, []

    def save(self, job):
        self.saved[job.id] = job

    def forget(self, job):
        self.saved.pop(job, None)

    def take_left(self):
        left, self.left = self.left, []
        return left


def greeting(wire, instance="one", protocol=(1, 4)):
    from krita_layerfusion.server_link import Online

    model = {
        "name": "tiny",
        "title": "Embedded demo model",
        "steps": 20,
        "guidance_scale": 4.0,
        "guidance_rescale": 0.0,
        "sampler": "ddim",
        "samplers": ("ddim",),
        "examples": (),
        "notice": "",
    }
    limits = {
        "frame_bytes": 2**20,
        "chunk_bytes": 2**18,
        "layer_bytes": 2**26,
        "min_side": 64,
        "max_side": 4096,
        "max_aspect": 4.0,
        "prompt_characters": 2000,
        "foregrounds": 6,
        "steps": 150,
        "waiting_jobs": 8,
    }
    return Online(
        wire.Welcome(
            protocol=protocol,
            version="0.1.0",
            instance=instance,
            models=(wire.ModelInfo(**model),),
            limits=wire.Limits(**limits),
            codecs=("raw",),
        )
    )


def params(**changes):
    from krita_layerfusion.interfaces import GenerationParams

    return GenerationParams(**{"foreground": "a red apple", "background": "a beach", "seed": 7, **changes})


def offline(**values):
    from krita_layerfusion.server_link import Offline

    return Offline(**values)


def arrived(wire, job, index, seq, data=None):
    from krita_layerfusion.images import Picture
    from krita_layerfusion.jobs import ArrivedLayer

    role, blend = ROLES[index]
    data = bytes([index]) * (4 * WIDTH * HEIGHT) if data is None else data
    picture = Picture(0, 0, WIDTH, HEIGHT, data)
    begin = wire.LayerBegin(
        job=job,
        seq=seq,
        transfer=seq,
        index=index,
        name=role.title(),
        role=role,
        x=0,
        y=0,
        width=WIDTH,
        height=HEIGHT,
        blend=blend,
        opacity=1.0,
        visible=True,
        bytes=len(data),
        sha256=picture.sha256,
    )
    return ArrivedLayer(begin, picture)


def finish(harness, wire, job, pixels=(None, None, None)):
    """Deliver all messages of a finished job, with the layers in another order than in the stack."""
    harness.controller.receive(wire.Accepted(job=job, position=0, notice="embedded demo model, drawn at 128x96 px"))
    harness.controller.receive(wire.Started(job=job, seq=1))
    harness.controller.receive(wire.Notice(job=job, seq=2, code="demo_model", text="A demo model draws it."))
    for seq, index in enumerate((2, 0, 1), 3):
        harness.controller.receive(arrived(wire, job, index, seq, pixels[index]))
    harness.controller.receive(wire.Done(job=job, seq=LAST, layers=3))


def generate(harness, **changes):
    harness.controller.generate(params(**changes))
    submit, _ = harness.link.submitted[-1]
    return submit


def kept_layer(notes=(), prompt="a pear", **look):
    from krita_layerfusion.images import Picture
    from krita_layerfusion.jobs import KeptLayer, Placement

    picture = Picture(-2, 3, WIDTH, HEIGHT, bytes(range(256)) * (WIDTH * HEIGHT // 64))
    return KeptLayer("My pear", picture, prompt, notes, Placement("{doc}", "Sketch", "{root}", "{old group}"), **look)


def interrupted(wire, job, seq):
    return wire.Failed(job=job, seq=seq, code="interrupted", message="The server stopped.", hint="")


def kept_background(**changes):
    from krita_layerfusion.images import Picture

    layer = kept_layer(**{"prompt": "a lake", **changes})
    return replace(layer, name="My lake", picture=Picture(0, 0, WIDTH, HEIGHT, bytes([9]) * (4 * WIDTH * HEIGHT)))
