"""The controller between a docker, a server and a Krita that are none: what goes in, what comes out."""

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import get_args

import pytest

from engine.settings import Preset

WIDTH, HEIGHT = 64, 48
OLD = "2f1e8a52-0f5b-4b0e-9d6c-3f0a51c7d9ff"
ROLES = [("background", "normal"), ("foreground", "normal"), ("shadow", "multiply")]


class FakeView:
    """Writes down what it is told to show, and answers questions as prepared."""

    def __init__(self):
        self.told, self.pictures, self.questions = [], [], []
        self.busy, self.answer = False, True

    def show_server(self, welcome, words, startable=False):
        self.online, self.server, self.startable = welcome is not None, words, startable

    def show_job(self, words, step, total):
        self.busy, self.job, self.bar = True, words, (step, total)

    def show_idle(self):
        self.busy = False

    def show_preview(self, picture):
        self.pictures.append(picture)

    def say(self, message, hint=""):
        self.told.append(("say", message, hint))

    def warn(self, message, hint=""):
        self.told.append(("warn", message, hint))

    def ask(self, question, accept):
        self.questions.append(question)
        return self.answer


class FakeLink:
    """Keeps what would go to the server."""

    def __init__(self):
        self.sent, self.submitted = [], []

    def send(self, message):
        self.sent.append(message)

    def submit(self, submit, pictures):
        self.submitted.append((submit, pictures))


@dataclass
class FakeDocument:
    """A document of Krita's, as far as the controller sees it."""

    id: str = "{doc}"
    name: str = "Sketch"
    size: tuple = (WIDTH, HEIGHT)
    warning: str = ""
    saved: bool = False
    keep: object = None
    keep_behind: object = None
    selected: tuple | None = None
    refusal: Exception | None = None
    inserted: list = field(default_factory=list)
    exported: list = field(default_factory=list)

    def check_colours(self):
        if self.refusal is not None:
            raise self.refusal
        return self.warning

    def placement(self):
        from layerfusion.jobs import Placement

        return Placement(self.id, self.name, "{root}", "{paper}", self.saved)

    def foreground_to_keep(self):
        return self.keep

    def background_to_keep(self):
        return self.keep_behind

    def both_to_keep(self):
        return self.keep, self.keep_behind

    def selected_box(self):
        return self.selected

    def insert(self, placement, name, layers, record):
        self.check_colours()
        self.inserted.append((placement, name, layers, record))

    def name_to_export(self):
        return "an apple: red/green?"

    def export_psd(self, path):
        self.exported.append(path)


class FakeDocuments:
    def __init__(self, document):
        self.document, self.open = document, True

    def active(self):
        return self.document if self.open else None

    def find(self, placement, size):
        found = self.open and (placement.document, size) == (self.document.id, self.document.size)
        return self.document if found else None


class FakeMemory:
    def __init__(self):
        self.saved, self.left = {}, []

    def save(self, job):
        self.saved[job.id] = job

    def forget(self, job):
        self.saved.pop(job, None)

    def take_left(self):
        left, self.left = self.left, []
        return left


@pytest.fixture
def wire(plugin):
    from layerfusion.protocol import messages

    return messages


@pytest.fixture
def desk(plugin):
    """A controller with all that is around it, and no server yet."""
    from layerfusion.controller import Controller

    view, link, documents, posted, memory = FakeView(), FakeLink(), FakeDocuments(FakeDocument()), [], FakeMemory()
    controller = Controller(view, documents, link, posted.append, memory)
    return SimpleNamespace(
        controller=controller,
        view=view,
        link=link,
        documents=documents,
        document=documents.document,
        posted=posted,
        memory=memory,
    )


@pytest.fixture
def online(desk, wire):
    desk.controller.receive(greeting(wire))
    return desk


def greeting(wire, instance="one", protocol=(1, 2)):
    from layerfusion.link import Online

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


def wishes(**changes):
    from layerfusion.interfaces import Wishes

    return Wishes(**{"foreground": "a red apple", "background": "a beach", "seed": 7, **changes})


def offline(**values):
    from layerfusion.link import Offline

    return Offline(**values)


def arrived(wire, job, index, seq, data=None):
    from layerfusion.images import Picture
    from layerfusion.jobs import ArrivedLayer

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


def finish(desk, wire, job, pixels=(None, None, None)):
    """All that a server sends for a job, the layers in an order of its own."""
    desk.controller.receive(wire.Accepted(job=job, position=0, notice="embedded demo model, drawn at 128x96 px"))
    desk.controller.receive(wire.Started(job=job, seq=1))
    for seq, index in enumerate((2, 0, 1), 2):
        desk.controller.receive(arrived(wire, job, index, seq, pixels[index]))
    desk.controller.receive(wire.Done(job=job, seq=5, layers=3))


def generate(desk, **changes):
    desk.controller.generate(wishes(**changes))
    submit, _ = desk.link.submitted[-1]
    return submit


def kept_layer(losses=(), prompt="a pear"):
    from layerfusion.images import Picture
    from layerfusion.jobs import KeptLayer, Placement

    picture = Picture(-2, 3, WIDTH, HEIGHT, bytes(range(256)) * (WIDTH * HEIGHT // 64))
    return KeptLayer("My pear", picture, prompt, losses, Placement("{doc}", "Sketch", "{root}", "{old group}"))


# ---- generate --------------------------------------------------------------------------------------------------------


def test_generate_asks_for_what_the_docker_says(online, wire):
    submit = generate(online, negative="people", blended="an apple on a beach", steps=12, preset="fast")
    assert (submit.width, submit.height) == (WIDTH, HEIGHT)
    assert submit.foregrounds == (wire.Generated(prompt="a red apple", negative_prompt="people"),)
    assert submit.background == wire.Generated(prompt="a beach", negative_prompt="people")
    assert (submit.blended_prompt, submit.seed, submit.steps) == ("an apple on a beach", 7, 12)
    assert submit.preset == "fast"
    assert submit.model == "tiny", "the first one the server offers"
    assert online.view.busy


def test_the_presets_are_the_engines_and_the_models_own_comes_first(plugin):
    from layerfusion.words import PRESETS

    assert [name for _, name, _ in PRESETS] == [None, *get_args(Preset)]


def test_every_job_has_an_id_of_its_own(online, wire):
    first = generate(online)
    finish(online, wire, first.job)
    assert generate(online).job != first.job


def test_the_layers_go_into_the_document_bottom_first_once_all_are_there(online, wire):
    job = generate(online).job
    finish(online, wire, job)
    ((placement, name, layers, record),) = online.document.inserted
    assert placement == online.document.placement()
    assert name == "a red apple + a beach"
    assert [layer.begin.role for layer in layers] == ["background", "foreground", "shadow"]
    assert [layer.picture.data[0] for layer in layers] == [0, 1, 2]
    assert record["foreground"] == "a red apple"
    assert (record["seed"], record["model"]) == (7, "tiny")
    assert online.view.told == [("say", "Drawn into “Sketch”.", "Embedded demo model, drawn at 128x96 px.")]
    assert not online.view.busy


def test_long_prompts_make_short_group_names(online, wire):
    job = generate(online, foreground="an apple\n that is   red " + "and round " * 20).job
    finish(online, wire, job)
    name = online.document.inserted[0][1]
    assert name == "an apple that is red and round and roun… + a beach"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"foreground": " "}, "The foreground prompt is empty."),
        ({"background": ""}, "The background prompt is empty."),
        ({"foreground": "x" * 200_001}, "200001"),
        ({"seed": 2**53}, "seed"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_in_words(online, changes, words):
    online.controller.generate(wishes(**changes))
    ((kind, message, _),) = online.view.told
    assert kind == "warn"
    assert words in message
    assert not online.link.submitted
    assert not online.view.busy


def test_without_a_server_or_a_document_nothing_begins(desk, wire):
    desk.controller.generate(wishes())
    assert desk.view.told[-1] == ("warn", "No server is running.", "Press Start server.")
    desk.controller.receive(greeting(wire))
    desk.documents.open = False
    desk.controller.generate(wishes())
    assert desk.view.told[-1][1] == "No document is open."
    assert not desk.link.submitted


def test_one_job_at_a_time(online):
    generate(online)
    online.controller.generate(wishes())
    assert len(online.link.submitted) == 1
    assert online.view.told[-1][1] == "The last picture is still being drawn."


def test_a_document_of_other_colours_is_refused_before_anything_is_sent(online):
    from layerfusion.jobs import Refusal

    online.document.refusal = Refusal("“Sketch” is 16-bit RGB.", "Convert it.")
    online.controller.generate(wishes())
    online.controller.new_background(wishes())
    assert online.view.told == [("warn", "“Sketch” is 16-bit RGB.", "Convert it.")] * 2
    assert not online.link.submitted


def test_a_profile_that_is_not_srgb_is_named_with_the_result(online, wire):
    online.document.warning = "The document's profile is “Rec2020”"
    finish(online, wire, generate(online).job)
    assert online.view.told[-1][2].startswith("The document's profile is “Rec2020”. ")


def test_a_document_closed_meanwhile_is_a_message(online, wire):
    job = generate(online).job
    online.documents.open = False
    finish(online, wire, job)
    assert not online.document.inserted
    assert online.view.told[-1][1] == "“Sketch” was closed before its layers came."
    assert not online.view.busy


def test_a_document_converted_meanwhile_is_a_message(online, wire):
    from layerfusion.jobs import Refusal

    job = generate(online).job
    online.document.refusal = Refusal("“Sketch” is CMYK.", "")
    finish(online, wire, job)
    assert online.view.told[-1][:2] == ("warn", "“Sketch” is CMYK.")
    assert not online.view.busy


def test_layers_that_did_not_all_come_are_not_put_anywhere(online, wire):
    job = generate(online).job
    online.controller.receive(arrived(wire, job, 0, 2))
    online.controller.receive(wire.Done(job=job, seq=3, layers=3))
    assert not online.document.inserted
    assert online.view.told[-1][0] == "warn"


# ---- while it draws --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("eta", "words"),
    [
        (None, "Drawing 3 of 20"),
        (0.4, "Drawing 3 of 20"),
        (12.4, "Drawing 3 of 20 · 12 s left"),
        (130, "Drawing 3 of 20 · 2 min 10 s left"),
    ],
)
def test_progress_is_told_in_steps_and_time(online, wire, eta, words):
    job = generate(online).job
    online.controller.receive(wire.Progress(job=job, stage="drawing", step=3, total=20, eta=eta))
    assert (online.view.job, online.view.bar) == (words, (3, 20))


def test_the_place_in_the_queue_is_told(online, wire):
    job = generate(online).job
    online.controller.receive(wire.Accepted(job=job, position=2))
    assert online.view.job == "Waiting for 2 before it"
    online.controller.receive(wire.Queued(job=job, position=1, starts_in=75.2))
    assert online.view.job == "Waiting for 1 before it · starts in about 1 min 15 s"
    online.controller.receive(wire.Queued(job=job, position=0, starts_in=0.3))
    assert online.view.job == "Next in line"


def test_previews_show_the_whole_as_soon_as_there_is_one(online, wire):
    job = generate(online).job
    for role, value in (("foreground", 1), ("blended", 2), ("foreground", 3), ("background", 4), ("blended", 5)):
        online.controller.receive(
            wire.Preview(job=job, role=role, index=0, width=2, height=1, pixels=bytes([value]) * 8)
        )
    assert [picture.data[0] for picture in online.view.pictures] == [1, 2, 5]


def test_a_failed_job_tells_why_and_what_to_do(online, wire):
    job = generate(online).job
    online.controller.receive(
        wire.Failed(job=job, seq=2, code="out_of_memory", message="It does not fit.", hint="Smaller.")
    )
    assert online.view.told == [("warn", "It does not fit.", "Smaller.")]
    assert not online.view.busy


def test_after_cancel_nothing_of_the_job_is_let_in(online, wire):
    job = generate(online).job
    online.controller.cancel()
    assert online.link.sent == [wire.Cancel(job=job)]
    assert not online.view.busy
    finish(online, wire, job)
    online.controller.receive(wire.Cancelled(job=job, seq=6))
    assert not online.document.inserted
    assert online.view.told == [("say", "Cancelled.", "")]
    assert not online.view.busy


def test_cancel_without_a_job_does_nothing(online):
    online.controller.cancel()
    assert not online.link.sent
    assert not online.view.told


def test_messages_about_other_jobs_are_ignored(online, wire):
    generate(online)
    finish(online, wire, "01234567-89ab-cdef-0123-456789abcdef")
    assert online.view.busy
    assert not online.document.inserted


# ---- the server comes and goes ---------------------------------------------------------------------------------------


def test_a_job_waits_for_a_server_that_is_gone(online, wire):
    submit = generate(online)
    online.controller.receive(wire.Accepted(job=submit.job, position=0))
    online.controller.receive(offline(resumable=False))
    assert (online.view.online, online.view.startable, online.view.busy) == (False, True, True)
    assert online.view.job == "Waiting for the server"
    online.controller.receive(greeting(wire, instance="two"))
    assert online.link.sent == [wire.Resume(job=submit.job, after=0)]


def test_a_lost_connection_is_resumed_after_the_last_event(online, wire):
    job = generate(online).job
    online.controller.receive(wire.Accepted(job=job, position=0))
    online.controller.receive(wire.Started(job=job, seq=1))
    online.controller.receive(arrived(wire, job, 2, 2))
    online.controller.receive(offline(resumable=True, message="The connection was lost.", hint=""))
    assert online.view.busy
    online.controller.receive(greeting(wire))
    assert online.link.sent == [wire.Resume(job=job, after=2)]
    for seq, index in ((3, 0), (4, 1)):
        online.controller.receive(arrived(wire, job, index, seq))
    online.controller.receive(wire.Done(job=job, seq=5, layers=3))
    assert len(online.document.inserted) == 1


def test_a_job_the_server_may_not_have_is_sent_again(online, wire):
    submit = generate(online)
    online.controller.receive(offline(resumable=True, message="The connection was lost.", hint=""))
    online.controller.receive(greeting(wire))
    assert [again for again, _ in online.link.submitted] == [submit, submit]
    assert not online.link.sent


def test_a_server_that_does_not_know_the_job_says_so(online, wire):
    submit = generate(online)
    online.controller.receive(wire.Accepted(job=submit.job, position=0))
    online.controller.receive(greeting(wire, instance="two"))
    online.controller.receive(
        wire.Failed(job=submit.job, seq=0, code="unknown_job", message="There is no job.", hint="Submit it again.")
    )
    assert online.view.told[-1] == ("warn", "There is no job.", "Submit it again.")
    assert not online.view.busy
    assert not online.memory.saved


def interrupted(wire, job, seq):
    return wire.Failed(job=job, seq=seq, code="interrupted", message="The server stopped.", hint="")


def test_an_interrupted_job_is_drawn_again_once(online, wire):
    old = generate(online)
    online.controller.receive(wire.Accepted(job=old.job, position=0))
    online.controller.receive(wire.Started(job=old.job, seq=1))
    online.controller.receive(arrived(wire, old.job, 0, 2))
    online.controller.receive(interrupted(wire, old.job, 3))
    (again,) = online.link.sent
    assert (type(again).__name__, again.of) == ("Resubmit", old.job)
    assert online.view.busy
    assert list(online.memory.saved) == [again.job]
    online.controller.receive(wire.Accepted(job=again.job, position=0))
    finish(online, wire, again.job)
    assert len(online.document.inserted) == 1
    assert len(online.document.inserted[0][2]) == len(ROLES)


def test_a_job_that_is_interrupted_twice_is_not_drawn_a_third_time(online, wire):
    old = generate(online)
    online.controller.receive(interrupted(wire, old.job, 2))
    (again,) = online.link.sent
    online.controller.receive(interrupted(wire, again.job, 2))
    assert online.view.told[-1][1] == "The server stopped."
    assert online.link.sent[1:] == [wire.Ack(job=again.job, seq=2)]
    assert not online.view.busy


def test_a_job_that_a_stopping_server_does_not_take_is_sent_to_the_next(online, wire):
    submit = generate(online)
    online.controller.receive(wire.Failed(job=submit.job, seq=0, code="server_stopping", message="Stopping.", hint=""))
    assert not online.view.told
    online.controller.receive(offline(resumable=False))
    online.controller.receive(greeting(wire, instance="two"))
    assert [sent for sent, _ in online.link.submitted] == [submit, submit]


def test_layers_are_acknowledged_once_they_are_in_the_document(online, wire):
    job = generate(online).job
    assert list(online.memory.saved) == [job]
    finish(online, wire, job)
    assert online.link.sent == [wire.Ack(job=job, seq=len(ROLES) + 2)]
    assert not online.memory.saved


def test_layers_whose_document_was_never_saved_stay_with_the_server(online, wire):
    job = generate(online).job
    online.documents.open = False
    finish(online, wire, job)
    assert online.view.told[-1][1] == "“Sketch” was closed before its layers came."
    assert "jobs export" in online.view.told[-1][2]
    assert not online.link.sent
    assert not online.memory.saved


def test_layers_whose_document_was_closed_wait_for_it(online, wire):
    online.document.saved = True
    job = generate(online).job
    online.documents.open = False
    finish(online, wire, job)
    assert "when you open it again" in online.view.told[-1][2]
    assert not online.link.sent
    assert list(online.memory.saved) == [job]
    online.controller.document_shown()
    assert not online.document.inserted
    online.documents.open = True
    online.controller.document_shown()
    online.controller.document_shown()
    assert len(online.document.inserted) == 1
    assert online.link.sent == [wire.Ack(job=job, seq=len(ROLES) + 2)]
    assert not online.memory.saved


def test_jobs_of_a_krita_that_has_ended_come_into_their_documents(desk, wire):
    from layerfusion.jobs import PendingJob

    left = PendingJob(
        submit=wire.Submit(
            job=OLD,
            width=WIDTH,
            height=HEIGHT,
            background=wire.Generated(prompt="b"),
            foregrounds=(wire.Generated(prompt="a"),),
            model="tiny",
        ),
        placement=desk.document.placement(),
        title="a + b",
        record={},
        pictures=(),
        warning="",
        accepted=True,
    )
    desk.memory.left.append(left)
    desk.controller.receive(greeting(wire))
    assert desk.link.sent == [wire.Resume(job=OLD, after=0)]
    assert not desk.view.busy
    submit = generate(desk)
    finish(desk, wire, OLD)
    assert [title for _, title, _, _ in desk.document.inserted] == ["a + b"]
    assert desk.link.sent[1:] == [wire.Ack(job=OLD, seq=len(ROLES) + 2)]
    assert desk.view.busy
    finish(desk, wire, submit.job)
    assert len(desk.document.inserted) == 2
    assert not desk.view.busy


def test_what_an_earlier_krita_left_and_the_server_forgot_is_forgotten(desk, wire):
    from layerfusion.jobs import PendingJob

    submit = wire.Submit(
        job=OLD,
        width=WIDTH,
        height=HEIGHT,
        background=wire.Generated(prompt="b"),
        foregrounds=(wire.Generated(prompt="a"),),
        model="tiny",
    )
    left = PendingJob(submit, desk.document.placement(), "a + b", {}, (), "", accepted=True)
    desk.memory.left.append(left)
    desk.memory.save(left)
    desk.controller.receive(greeting(wire))
    desk.controller.receive(wire.Failed(job=OLD, seq=0, code="unknown_job", message="There is no job.", hint=""))
    assert not desk.view.told
    assert not desk.memory.saved


def test_start_server_starts_it_once_and_tells_if_it_ends(desk, monkeypatch):
    from layerfusion import launcher

    started = []
    monkeypatch.setattr(launcher, "start", lambda arguments, deliver: started.append((arguments, deliver)))
    desk.controller.start_server()
    assert started == [(launcher.command(), desk.posted.append)]
    assert (desk.view.server, desk.view.startable) == ("Starting the server…", False)
    desk.controller.receive(offline(resumable=False))
    assert desk.view.server == "Starting the server…"
    desk.controller.receive(launcher.ServerExited(1, "the port is taken"))
    assert desk.view.told[-1][1] == "The server stopped while starting: the port is taken"
    assert (desk.view.server, desk.view.startable) == ("No server is running", True)


def test_a_server_that_ends_after_it_was_ready_is_the_links_to_tell(desk, wire, monkeypatch):
    from layerfusion import launcher

    monkeypatch.setattr(launcher, "start", lambda *_: None)
    desk.controller.start_server()
    desk.controller.receive(greeting(wire))
    desk.controller.receive(launcher.ServerExited(0, "stopped"))
    assert not desk.view.told
    assert desk.view.online


def test_a_program_that_cannot_be_started_is_named(desk, monkeypatch, tmp_path):
    from layerfusion import launcher

    monkeypatch.setattr(launcher, "command", lambda: [str(tmp_path / "layerfusion"), "serve"])
    desk.controller.start_server()
    ((kind, message, hint),) = desk.view.told
    assert kind == "warn"
    assert str(tmp_path / "layerfusion") in message
    assert "layerfusion plugin install" in hint


# ---- new background --------------------------------------------------------------------------------------------------


def test_a_new_background_keeps_the_layer_as_it_is(online, wire):
    online.document.keep = kept_layer()
    online.controller.new_background(wishes())
    ((submit, (picture,)),) = online.link.submitted
    assert picture == online.document.keep.picture
    (kept,) = submit.foregrounds
    assert kept == wire.Kept(
        layer=picture.sha256, width=WIDTH, height=HEIGHT, x=-2, y=3, name="My pear", prompt="a pear"
    )
    assert not online.view.questions


def test_a_layer_of_the_artists_own_takes_the_prompt_from_the_docker(online):
    online.document.keep = kept_layer(prompt="")
    online.controller.new_background(wishes(foreground="a plum"))
    assert online.link.submitted[0][0].foregrounds[0].prompt == "a plum"


def test_what_would_be_lost_is_asked_about_first(online):
    online.document.keep = kept_layer(losses=("its masks", "its opacity of 50 %", "its layer style"))
    online.view.answer = False
    online.controller.new_background(wishes())
    (question,) = online.view.questions
    assert "“My pear”" in question
    assert "its masks, its opacity of 50 % and its layer style" in question
    assert not online.link.submitted
    online.view.answer = True
    online.controller.new_background(wishes())
    assert len(online.link.submitted) == 1


def test_the_result_goes_above_the_old_group_if_the_foreground_came_back_unchanged(online, wire):
    online.document.keep = kept_layer()
    online.controller.new_background(wishes())
    job = online.link.submitted[0][0].job
    picture = online.document.keep.picture
    wrong = bytes(len(picture.data))
    finish(online, wire, job, (None, wrong, None))
    assert not online.document.inserted
    assert online.view.told[-1][0] == "warn"


def test_a_kept_foreground_that_came_back_is_put_above_the_old_group(online, wire):
    from layerfusion.jobs import ArrivedLayer

    online.document.keep = kept_layer()
    online.controller.new_background(wishes())
    job = online.link.submitted[0][0].job
    picture = online.document.keep.picture
    online.controller.receive(wire.Started(job=job, seq=1))
    online.controller.receive(arrived(wire, job, 0, 2))
    begin = arrived(wire, job, 1, 3, picture.data).begin
    online.controller.receive(ArrivedLayer(begin, picture))
    online.controller.receive(wire.Done(job=job, seq=4, layers=2))
    ((placement, name, layers, _),) = online.document.inserted
    assert placement.above == "{old group}"
    assert name == "a pear + a beach"
    assert layers[1].picture == picture


# ---- new foreground --------------------------------------------------------------------------------------------------


def test_a_new_foreground_keeps_the_background_as_it_is(online, wire):
    online.document.keep_behind = kept_layer(prompt="a lake")
    online.controller.new_foreground(wishes(negative="people"))
    ((submit, (picture,)),) = online.link.submitted
    assert picture == online.document.keep_behind.picture
    assert submit.foregrounds == (wire.Generated(prompt="a red apple", negative_prompt="people"),)
    assert submit.background == wire.Kept(
        layer=picture.sha256, width=WIDTH, height=HEIGHT, x=-2, y=3, name="My pear", prompt="a lake"
    )


@pytest.mark.parametrize("role", [0, 1])
def test_a_kept_background_has_to_come_back_as_the_background(online, wire, role):
    online.document.keep_behind = kept_layer(prompt="a lake")
    online.controller.new_foreground(wishes())
    ((submit, (picture,)),) = online.link.submitted
    pixels = [None, None, None]
    pixels[role] = picture.data
    finish(online, wire, submit.job, pixels)
    assert len(online.document.inserted) == (role == 0)


@pytest.mark.parametrize(
    ("prompts", "words"),
    [
        ({"background": ""}, ("The background prompt is empty.", "Say in a few words what “My pear” shows.")),
        ({"foreground": ""}, ("The foreground prompt is empty.", "Say in a few words what to draw there.")),
    ],
)
def test_a_layer_without_words_is_asked_about(online, prompts, words):
    online.document.keep_behind = kept_layer(prompt="")
    online.controller.new_foreground(wishes(**prompts))
    assert online.view.told == [("warn", *words)]
    assert not online.link.submitted


# ---- in the selection ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("intent", ["generate", "new_foreground"])
def test_a_foreground_is_drawn_in_the_selection_if_that_is_ticked(online, wire, intent):
    online.document.selected, online.document.keep_behind = (10, 8, 30, 20), kept_background()
    getattr(online.controller, intent)(wishes(in_selection=True))
    ((submit, _),) = online.link.submitted
    assert submit.foregrounds == (wire.Generated(prompt="a red apple", box=wire.Box(x=10, y=8, width=30, height=20)),)
    assert getattr(submit.background, "box", None) is None


def test_a_selection_alone_says_nothing_about_the_foreground(online):
    online.document.selected = (10, 8, 30, 20)
    assert generate(online).foregrounds[0].box is None


def test_ticked_without_a_selection_it_says_what_to_do(online):
    online.controller.generate(wishes(in_selection=True))
    assert online.view.told == [
        (
            "warn",
            "Nothing is selected on the canvas.",
            "Select where the foreground is to stand, or untick “Draw the foreground in the selection”.",
        )
    ]
    assert not online.link.submitted


def test_a_kept_foreground_needs_no_selection(online):
    online.document.keep = kept_layer()
    online.controller.new_background(wishes(in_selection=True))
    assert len(online.link.submitted) == 1


# ---- harmonise -------------------------------------------------------------------------------------------------------


def kept_background(**changes):
    from layerfusion.images import Picture

    layer = kept_layer(**{"prompt": "a lake", **changes})
    return replace(layer, name="My lake", picture=Picture(0, 0, WIDTH, HEIGHT, bytes([9]) * (4 * WIDTH * HEIGHT)))


def test_harmonising_keeps_both(online, wire):
    online.document.keep, online.document.keep_behind = kept_layer(), kept_background()
    online.controller.harmonise(wishes(foreground="", background=""))
    ((submit, pictures),) = online.link.submitted
    assert pictures == (online.document.keep.picture, online.document.keep_behind.picture)
    (front,) = submit.foregrounds
    assert (front.kind, front.name, front.prompt, front.layer) == ("kept", "My pear", "a pear", pictures[0].sha256)
    behind = submit.background
    assert (behind.kind, behind.name, behind.prompt, behind.layer) == ("kept", "My lake", "a lake", pictures[1].sha256)
    finish(online, wire, submit.job, (pictures[1].data, pictures[0].data, None))
    ((placement, name, layers, record),) = online.document.inserted
    assert (placement.above, name) == ("{old group}", "a pear + a lake")
    assert [layer.picture.data for layer in layers[:2]] == [pictures[1].data, pictures[0].data]
    assert (record["foreground"], record["background"]) == ("a pear", "a lake")


def test_what_either_layer_loses_is_asked_about_in_one_question(online):
    online.document.keep = kept_layer(losses=("its masks",))
    online.document.keep_behind = kept_background(losses=("its opacity of 50 %",))
    online.view.answer = False
    online.controller.harmonise(wishes())
    (question,) = online.view.questions
    assert "“My pear” in the new group will not have its masks." in question
    assert "“My lake” in the new group will not have its opacity of 50 %." in question
    assert not online.link.submitted


# ---- relight ---------------------------------------------------------------------------------------------------------


def test_relighting_draws_the_foreground_over_itself_and_keeps_the_background(online, wire):
    online.document.keep, online.document.keep_behind = kept_layer(), kept_background()
    online.controller.relight(wishes(negative="people", strength=0.45))
    ((submit, pictures),) = online.link.submitted
    assert pictures == (online.document.keep.picture, online.document.keep_behind.picture)
    assert submit.foregrounds == (
        wire.Relit(
            layer=pictures[0].sha256,
            width=WIDTH,
            height=HEIGHT,
            x=-2,
            y=3,
            name="My pear",
            prompt="a pear",
            negative_prompt="people",
            strength=0.45,
        ),
    )
    assert submit.background.kind == "kept"
    finish(online, wire, submit.job, (pictures[1].data, None, None))
    assert len(online.document.inserted) == 1


# ---- several pictures ------------------------------------------------------------------------------------------------


@pytest.fixture
def three(online, wire):
    """The jobs of an order for three pictures, all accepted; the background of all is the artist's."""
    online.document.keep_behind = kept_background()
    online.controller.new_foreground(wishes(seed=2**53 - 2, pictures=3))
    ((submit, pictures),) = online.link.submitted
    assert pictures == (online.document.keep_behind.picture,)
    return [submit.job, *(variant.job for variant in submit.variants)]


def accept(desk, wire, jobs):
    for position, job in enumerate(jobs):
        desk.controller.receive(wire.Accepted(job=job, position=position))


def came_back(desk):
    return desk.document.keep_behind.picture.data, None, None


def test_each_of_several_pictures_has_a_seed_and_a_group_of_its_own(online, wire, three):
    assert list(online.memory.saved) == three
    accept(online, wire, three)
    assert online.view.job == "Next in line · 2 more"
    for job in three:
        assert online.view.busy
        finish(online, wire, job, came_back(online))
    assert not online.view.busy
    assert [record["seed"] for *_, record in online.document.inserted] == [2**53 - 2, 2**53 - 1, 0]
    assert [message.job for message in online.link.sent] == three, "each is acknowledged"
    assert not online.memory.saved


def test_cancel_ends_all_of_them(online, wire, three):
    accept(online, wire, three)
    finish(online, wire, three[0], came_back(online))
    online.controller.cancel()
    assert online.link.sent[1:] == [wire.Cancel(job=three[1]), wire.Cancel(job=three[2])]
    assert not online.view.busy
    assert online.view.told[-1] == ("say", "Cancelled.", "")
    finish(online, wire, three[1], came_back(online))
    assert len(online.document.inserted) == 1


def test_a_refused_order_is_refused_whole(online, wire, three):
    online.controller.receive(wire.Failed(job=three[0], seq=0, code="queue_full", message="Too many.", hint=""))
    assert online.view.told == [("warn", "Too many.", "")]
    assert not online.view.busy
    assert not online.memory.saved


def test_one_that_fails_leaves_the_others(online, wire, three):
    accept(online, wire, three)
    online.controller.receive(wire.Failed(job=three[0], seq=1, code="out_of_memory", message="No.", hint=""))
    assert online.view.busy
    for job in three[1:]:
        finish(online, wire, job, came_back(online))
    assert len(online.document.inserted) == 2
    assert not online.view.busy


def test_a_broken_connection_asks_once_for_what_was_not_accepted_and_resumes_the_rest(online, wire, three):
    online.controller.receive(offline(resumable=True))
    online.controller.receive(greeting(wire))
    assert [submit.job for submit, _ in online.link.submitted] == [three[0]] * 2
    accept(online, wire, three)
    online.controller.receive(offline(resumable=True))
    online.controller.receive(greeting(wire))
    assert online.link.sent == [wire.Resume(job=job, after=0) for job in three]


def test_an_interrupted_one_of_them_is_drawn_again_after_the_others(online, wire, three):
    accept(online, wire, three)
    online.controller.receive(interrupted(wire, three[0], 1))
    (again,) = online.link.sent
    assert (type(again).__name__, again.of) == ("Resubmit", three[0])
    online.controller.receive(offline(resumable=True))
    online.controller.receive(greeting(wire))
    ((submit, pictures),) = online.link.submitted[1:]
    assert (submit.job, submit.variants, len(pictures)) == (again.job, (), 1)
    for job in (*three[1:], again.job):
        assert online.view.busy
        finish(online, wire, job, came_back(online))
    assert [record["seed"] for *_, record in online.document.inserted] == [2**53 - 1, 0, 2**53 - 2]
    assert not online.view.busy


# ---- an older server -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("intent", ["new_foreground", "harmonise", "relight"])
def test_an_older_server_is_not_asked_for_what_it_does_not_know(desk, wire, intent):
    desk.controller.receive(greeting(wire, protocol=(1, 1)))
    desk.document.keep, desk.document.keep_behind = kept_layer(), kept_background()
    getattr(desk.controller, intent)(wishes())
    assert "older than this plugin" in desk.view.told[-1][1]
    desk.document.selected = (10, 8, 30, 20)
    desk.controller.generate(wishes(in_selection=True))
    desk.controller.generate(wishes(preset="fast"))
    assert len(desk.view.told) == 3
    assert not desk.link.submitted
    assert not desk.view.busy
    desk.controller.new_background(wishes())
    assert len(desk.link.submitted) == 1


# ---- export ----------------------------------------------------------------------------------------------------------


def test_export_offers_a_name_that_every_disk_takes(desk, tmp_path):
    offered = []

    def choose(name):
        offered.append(name)
        return str(tmp_path / "picture")

    desk.controller.export_psd(choose)
    assert offered == ["an apple_ red_green_.psd"]
    assert desk.document.exported == [tmp_path / "picture.psd"]
    assert desk.view.told[-1][0] == "say"


def test_export_can_be_thought_better_of(desk):
    desk.controller.export_psd(lambda name: "")
    assert not desk.document.exported
    assert not desk.view.told
