from dataclasses import replace
from typing import ClassVar, get_args

import numpy as np
import pytest

from drawing import finished, pixels_equal
from layerfusion.engine import pipeline as job
from layerfusion.engine.diffusion.observer import Observer
from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.evaluation.measures import auc
from layerfusion.engine.events import LayerReady, Notice, Preview, Progress, Stage
from layerfusion.engine.image.compositing import flatten
from layerfusion.engine.image.filters import gaussian_blur
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import BlendMode, Layer, Role
from layerfusion.engine.inspection.recorder import Recorder
from layerfusion.engine.inspection.records import MaskRecord, StreamRecord
from layerfusion.engine.models.runtime.offloading import MemoryPolicy
from layerfusion.engine.notices import sentence
from layerfusion.engine.options.fusion import FusionSettings
from layerfusion.engine.options.harmony import HarmonySettings
from layerfusion.engine.pipeline import LayerFusionPipeline
from layerfusion.engine.request import HARMONISE_STRENGTH
from layerfusion.engine.sources import Generated, Kept


@pytest.fixture(scope="module")
def drawn(watched_job, apple_on_beach):
    """One job at the model's own size and steps, with previews: (events, stack)."""
    return watched_job[0], apple_on_beach


@pytest.fixture(scope="module")
def plain(small_pipeline, small_request):
    """The stack of `small_request()`, without previews."""
    return finished(small_pipeline.generate(small_request()))


def test_the_stack_has_the_expected_layers(drawn):
    _, stack = drawn
    assert [(layer.name, layer.role, layer.blend, layer.visible) for layer in stack] == [
        ("Background", Role.BACKGROUND, BlendMode.NORMAL, True),
        ("Foreground", Role.FOREGROUND, BlendMode.NORMAL, True),
        ("Shadow", Role.SHADOW, BlendMode.MULTIPLY, True),
        ("Light", Role.LIGHT, BlendMode.ADD, True),
        ("Blended", Role.BLENDED, BlendMode.NORMAL, False),
    ]
    assert stack.name == "a red apple + a beach at sunset"
    assert all(layer.size == stack.size for layer in stack)


@pytest.fixture(scope="module")
def quickly_drawn(pipeline, request_for):
    """The same with the preset `fast`, in the few steps of its adapter."""
    fusion = pipeline.spec.defaults.fusion.preset("fast")
    return finished(pipeline.generate(request_for(steps=None, fusion=fusion)))


@pytest.mark.parametrize("preset", [None, "fast"])
def test_a_red_apple_lies_on_a_beach(drawn, quickly_drawn, preset):
    stack = quickly_drawn if preset else drawn[1]
    background, foreground, *_, blended = stack
    alpha = foreground.pixels[..., 3] > 127
    assert 0.05 < alpha.mean() < 0.7
    assert (background.pixels[..., 3] == 255).all()
    red, green, blue, _ = foreground.pixels[alpha].mean(axis=0)
    assert red > 150
    assert red > 2 * max(green, blue)
    outside = ~(foreground.pixels[..., 3] > 2)
    assert abs(blended.pixels[..., :3].astype(int) - background.pixels[..., :3])[outside].mean() < 16
    apple = blended.pixels[alpha].mean(axis=0)
    assert apple[0] > 1.8 * apple[2]


def test_events_come_in_order_and_every_layer_once(pipeline, drawn):
    events, stack = drawn
    steps = pipeline.spec.usual.steps
    drawing = [event for event in events if isinstance(event, Progress) and event.stage == "drawing"]
    assert [event.step for event in drawing] == list(range(steps + 1))
    assert all(event.total == steps for event in drawing)
    assert drawing[-1].eta == 0
    ready = {event.index: event.layer for event in events if isinstance(event, LayerReady)}
    assert all(ready[index].pixels is layer.pixels for index, layer in enumerate(stack))
    first_layer = next(i for i, event in enumerate(events) if isinstance(event, LayerReady))
    previews = [event for event in events if isinstance(event, Preview)]
    assert {(preview.role, preview.index) for preview in previews} == {
        (Role.BACKGROUND, 0),
        (Role.FOREGROUND, 0),
        (Role.BLENDED, 0),
    }
    assert all(max(preview.pixels.shape[:2]) <= 256 for preview in previews)
    assert all(events.index(preview) < first_layer for preview in previews)


@pytest.mark.usefixtures("with_previews")
def test_the_same_request_gives_the_same_bytes_with_previews_or_without(small_pipeline, small_request, plain):
    events = list(small_pipeline.generate(small_request()))
    assert any(isinstance(event, Preview) for event in events)
    assert pixels_equal(finished(events), plain)


def test_each_layer_has_its_own_seed(small_pipeline, small_request, plain):
    other = finished(small_pipeline.generate(small_request(foregrounds=(Generated(prompt="a red apple", seed=99),))))
    assert not np.array_equal(plain.layers[1].pixels, other.layers[1].pixels)
    assert small_request(foregrounds=(Generated(prompt="a red apple", seed=99),)).background_seed == 3


def test_recording_changes_nothing(small_pipeline, small_request, plain):
    record, streams = MaskRecord(), StreamRecord(columns=2)
    with_record = finished(small_pipeline.generate(small_request(), Recorder(record, streams)))
    assert pixels_equal(with_record, plain)
    assert len(record.steps) == 5, "the model's own coupling ends at 0.3 T"
    assert record.figure_step().timestep <= 800
    assert all(0 <= values.min() <= values.max() <= 1 for step in record.steps for values in step.maps)
    sheet = record.contact_sheet()
    assert sheet.width > 5 * 96
    with pytest.raises(LookupError):
        MaskRecord().contact_sheet()
    assert len(streams.timesteps) == 6
    assert streams.timesteps[:5] == [step.timestep for step in record.steps]
    assert sorted(streams.pictures) == [0, 2, 5]
    assert streams.timesteps[2] <= 800 < streams.timesteps[1]
    last = streams.arrays()["pictures_background"][-1]
    assert abs(last.astype(int) - with_record.layers[0].pixels).max() <= 1, "the last estimate is the layer"


def test_masks_are_recorded_of_coupled_steps_with_every_memory_policy(small_pipeline, small_request):
    """If memory is short, the guidance halves run as two forwards. Uncoupled steps make no masks."""
    spec, request = small_pipeline.spec, small_request(steps=2, fusion=FusionSettings(blend_end=0.5))
    timesteps = []
    for policy in (MemoryPolicy.RESIDENT, MemoryPolicy.SEQUENTIAL):
        record = MaskRecord()
        finished(LayerFusionPipeline(spec, memory=policy).generate(request, Recorder(record)))
        timesteps.append([step.timestep for step in record.steps])
    assert timesteps == [[999.0], [999.0]]


def test_the_masks_find_the_object(watched_job):
    events, seen = watched_job
    alpha = finished(events).layers[1].pixels[..., 3].reshape(16, 8, 16, 8).mean(axis=(1, 3)) / 255
    soft = np.mean([step.maps[2] for step in seen.steps], axis=0)
    assert auc(soft, alpha) > 0.9


def test_exact_harmony_recomposes_the_blended_picture(small_pipeline, request_for):
    stack = finished(small_pipeline.generate(request_for(size=Size(150, 101), harmony=HarmonySettings(mode="exact"))))
    blended = stack.by_role(Role.BLENDED)[0]
    assert abs(flatten(stack).astype(int) - blended.pixels).max() <= 1
    assert "exact" in stack.by_role(Role.SHADOW)[0].name


@pytest.mark.parametrize("size", [Size(64, 64), Size(65, 255), Size(513, 333), Size(1024, 256)])
def test_any_canvas_gets_layers_of_its_size(small_pipeline, request_for, size):
    stack = finished(small_pipeline.generate(request_for(size=size, steps=2)))
    assert stack.size == size
    assert all(layer.size == size for layer in stack)


@pytest.mark.parametrize("sampler", ["euler", "ddim", "dpmpp_2m", "unipc"])
def test_every_sampler_draws_a_clean_foreground(pipeline, request_for, sampler):
    alpha = finished(pipeline.generate(request_for(sampler=sampler, steps=6))).layers[1].pixels[..., 3]
    assert 0.05 < (alpha > 127).mean() < 0.7
    assert np.concatenate([alpha[0], alpha[:, 0], alpha[:, -1]]).mean() < 5


def test_a_sampler_the_model_lacks_is_refused(pipeline, request_for):
    with pytest.raises(InvalidRequest, match="heun"):
        list(pipeline.generate(request_for(sampler="heun")))


def test_the_first_coupled_step_is_the_same_with_a_lagged_prior(small_pipeline, small_request):
    """With a lagged prior, too, a prior pass runs before the first coupled step."""
    stacks = [
        finished(small_pipeline.generate(small_request(steps=1, fusion=FusionSettings(prior=prior))))
        for prior in ("per_step", "lagged")
    ]
    assert pixels_equal(*stacks)


def test_uncoupled_streams_draw_alone(small_pipeline, small_request):
    """Without coupling, the foreground does not depend on the background."""
    alone = FusionSettings(blend_start=0.0)
    one = finished(small_pipeline.generate(small_request(fusion=alone)))
    other = finished(
        small_pipeline.generate(small_request(fusion=alone, background=Generated(prompt="snowy mountains at night")))
    )
    assert abs(one.layers[1].pixels.astype(int) - other.layers[1].pixels).max() <= 1
    coupled = finished(small_pipeline.generate(small_request(background=Generated(prompt="snowy mountains at night"))))
    assert abs(one.layers[1].pixels.astype(int) - coupled.layers[1].pixels).max() > 8


def test_a_prompt_longer_than_the_model_reads_gives_a_notice(small_pipeline, small_request):
    long = Generated(prompt="a red apple " * 20)
    events = list(small_pipeline.generate(small_request(foregrounds=(long,), steps=1)))
    told = [event.text for event in events if isinstance(event, Notice) and event.code == "prompt_truncated"]
    assert told[0].startswith("The model reads only the beginning of “a red apple a red apple")
    assert "…”" in told[0]
    assert {event.stage for event in events if isinstance(event, Progress)} <= set(get_args(Stage))


def test_notices_about_the_model_come_before_it_is_loaded(pipeline, request_for):
    """They also come for a job that fails or is cancelled while its weights are read."""
    strange, own = Generated(prompt="a xylophone"), pipeline.spec.native_size
    events = pipeline.generate(request_for(foregrounds=(strange,), steps=1))
    first, second = next(events), next(events)
    events.close()
    assert first == Notice(code="demo_model", sentences=(sentence("demo_size", size=f"{own}x{own}"),))
    assert second.code == "unknown_words"
    assert "“xylophone”" in second.text


def test_closing_the_iterator_stops_and_the_next_job_is_unharmed(small_pipeline, small_request, plain):
    events = small_pipeline.generate(small_request())
    for event in events:
        if isinstance(event, Progress) and event.stage == "drawing" and event.step == 2:
            break
    events.close()
    assert pixels_equal(finished(small_pipeline.generate(small_request())), plain)


def test_several_foregrounds_are_layers_of_their_own(pipeline, request_for):
    stack = finished(
        pipeline.generate(
            request_for(foregrounds=(Generated(prompt="a red apple"), Generated(prompt="a blue car")), steps=6)
        )
    )
    assert [layer.name for layer in stack][:3] == ["Background", "Foreground 1", "Foreground 2"]
    apple, car = (layer.pixels[layer.pixels[..., 3] > 127].mean(axis=0) for layer in stack.by_role(Role.FOREGROUND))
    assert apple[0] > apple[2]
    assert car[2] > car[0]


class TestKept:
    @pytest.fixture
    def cut_out(self, drawn):
        """An artist's layer: painted over, with colour under alpha 0, smaller than the canvas, and moved."""
        pixels = drawn[1].layers[1].pixels.copy()
        pixels[pixels[..., 3] == 0] = (7, 77, 177, 0)
        pixels[60:64, 50:70, :3] = (255, 255, 0)
        return Layer(name="mein Apfel", role=Role.FOREGROUND, pixels=pixels[10:120, 8:], offset=(8, 10))

    def kept(self, cut_out):
        return (Kept(layer=cut_out, prompt="a red apple"),)

    def test_it_comes_back_byte_for_byte(self, small_pipeline, request_for, cut_out):
        stack = finished(small_pipeline.generate(request_for(foregrounds=self.kept(cut_out))))
        back = stack.by_role(Role.FOREGROUND)[0]
        assert back.pixels.tobytes() == cut_out.pixels.tobytes()
        assert (back.name, back.offset) == ("mein Apfel", (8, 10))

    @pytest.mark.parametrize(
        ("background", "seed"),
        [("a snowy field at sunrise", 5), ("a green meadow on a sunny day", 6), ("the ocean at night", 7)],
    )
    def test_the_blended_picture_shows_it_where_it_is(self, pipeline, request_for, cut_out, background, seed):
        stack = finished(
            pipeline.generate(
                request_for(
                    background=Generated(prompt=background), foregrounds=self.kept(cut_out), steps=12, seed=seed
                )
            )
        )
        alpha = np.zeros((128, 128), bool)
        alpha[10:120, 8:] = cut_out.pixels[..., 3] > 127
        blended, behind = (
            stack.by_role(role)[0].pixels[..., :3].astype(int) for role in (Role.BLENDED, Role.BACKGROUND)
        )
        differs = abs(blended - behind).max(axis=-1) > 48
        assert (differs & alpha).sum() / (differs | alpha).sum() >= 0.8

    def outline(self, stack, alpha, threshold=48):
        """Intersection over union of `alpha` with the pixels in which Blended differs from Background."""
        blended, behind = (
            stack.by_role(role)[0].pixels[..., :3].astype(int) for role in (Role.BLENDED, Role.BACKGROUND)
        )
        differs = abs(blended - behind).max(axis=-1) > threshold
        return (differs & alpha).sum() / (differs | alpha).sum()

    def blob(self, across=64, down=80, radius=24):
        """A thing that no prompt describes: a disc with magenta and cyan stripes."""
        rows, columns = np.mgrid[:128, :128]
        pixels = np.zeros((128, 128, 4), np.uint8)
        pixels[...] = np.where(((rows + columns) // 8 % 2)[..., None], (255, 0, 255, 255), (0, 255, 255, 255))
        pixels[..., 3] *= np.hypot(rows - down, columns - across) < radius
        return Layer(name="blob", role=Role.FOREGROUND, pixels=pixels)

    @pytest.mark.parametrize("sampler", ["euler", "ddim", "dpmpp_2m", "unipc"])
    def test_the_blended_picture_shows_what_no_prompt_describes(self, pipeline, request_for, sampler):
        kept = Kept(layer=self.blob(), prompt="a red apple")
        stack = finished(pipeline.generate(request_for(foregrounds=(kept,), steps=8, sampler=sampler)))
        assert self.outline(stack, self.blob().pixels[..., 3] > 127) > 0.9

    def test_above_a_foreground_without_a_place_the_latents_alone_hold_it(self, pipeline, request_for, monkeypatch):
        """Blended then comes from the model as a whole, and no pixel of the layer is put into it."""
        monkeypatch.setattr(job, "arranged", lambda request: request)
        blob = self.blob(across=34, down=90, radius=20)
        sources = (Generated(prompt="a red apple"), Kept(layer=blob, prompt="a ball"))
        stack = finished(pipeline.generate(request_for(foregrounds=sources, steps=8)))
        below = replace(stack, layers=(stack.background, stack.foregrounds[0]))
        blended, own, other = (  # blurred, because the small model's VAE does not hold the stripes exactly
            gaussian_blur(pixels[..., :3].astype(np.float32), 0.04)
            for pixels in (stack["Blended"].pixels, blob.pixels, flatten(below))
        )
        nearer = abs(blended - own).sum(axis=-1) < abs(blended - other).sum(axis=-1)
        inside = self.blob(across=34, down=90, radius=15).pixels[..., 3] > 127  # beyond, the blur mixes the two
        assert nearer[inside].mean() > 0.9

    def test_harmonised_layers_keep_the_backdrop_to_the_byte(self, pipeline, request_for):
        backdrop = np.full((128, 128, 4), 255, np.uint8)
        backdrop[..., :3] = np.random.default_rng(4).integers(0, 256, (128, 128, 3))
        below = Kept(layer=Layer(name="paper", role=Role.BACKGROUND, pixels=backdrop), prompt="a beach at sunset")
        above = Kept(layer=self.blob(), prompt="a ball")
        stack = finished(pipeline.generate(request_for(background=below, foregrounds=(above,), steps=8)))
        assert np.array_equal(stack.by_role(Role.BLENDED)[0].pixels[:40], backdrop[:40])

    def test_harmonising_runs_the_network_only_while_the_light_is_open(self, pipeline, request_for):
        """Before and after, every stream's path is known."""

        class Forwards(Observer):
            times: ClassVar[set[float]] = set()

            def forward(self, now, rows):
                self.times.add(now.time)

        below = Layer(name="paper", role=Role.BACKGROUND, pixels=np.full((128, 128, 4), 255, np.uint8))
        sources = {"background": Kept(below, "a beach"), "foregrounds": (Kept(self.blob(), "a ball"),)}
        finished(pipeline.generate(request_for(**sources, steps=20), Forwards()))
        assert Forwards.times
        assert all(0.45 < time <= HARMONISE_STRENGTH for time in Forwards.times)

    def test_a_layer_half_beside_the_canvas_comes_back_whole(self, small_pipeline, request_for, cut_out):
        aside = Layer(name="aside", role=Role.FOREGROUND, pixels=cut_out.pixels, offset=(-60, 70))
        stack = finished(small_pipeline.generate(request_for(foregrounds=self.kept(aside), steps=3)))
        (kept,) = stack.by_role(Role.FOREGROUND)
        assert kept.pixels is aside.pixels
        assert (kept.name, kept.offset) == (aside.name, aside.offset)
