"""Conversion between the protocol's messages and the engine's types. No other module knows both."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from layerfusion.engine import events
from layerfusion.engine.errors import InvalidLayer
from layerfusion.engine.image.geometry import MAX_ASPECT, MAX_SIDE, MIN_SIDE, Box, Size
from layerfusion.engine.image.layers import BlendMode, Layer, LayeredImage, Pixels, Role
from layerfusion.engine.image.record import LayerRecord, PictureRecord, from_words, to_words
from layerfusion.engine.image.resampling import resize
from layerfusion.engine.image.shape import Shape
from layerfusion.engine.models.catalog.registry import available_models, find_model
from layerfusion.engine.models.catalog.spec import ModelSpec
from layerfusion.engine.notices import Notice, Sentence
from layerfusion.engine.options.fusion import FusionSettings
from layerfusion.engine.options.harmony import HarmonySettings
from layerfusion.engine.options.presets import PRESETS
from layerfusion.engine.request import MAX_FOREGROUNDS, MAX_STEPS, GenerationRequest
from layerfusion.engine.sources import MAX_PROMPT, Generated, Kept, Relit, Source
from layerfusion.engine.stack import LayerStack
from layerfusion.server.config import ServerConfig
from layerfusion.server.protocol import frames, messages
from layerfusion.server.protocol.errors import UnknownLayer
from layerfusion.server.protocol.schema import Record, shared_fields

if TYPE_CHECKING:
    from layerfusion.engine.inspection.records import MaskStep

_SWAPPED = (2, 1, 0, 3)
"""Order of channels that turns RGBA into BGRA, and back."""


class Store(Protocol):
    """Where the pixels of layers are, by their SHA-256: usually `storage.layer_store.LayerStore`."""

    def read(self, digest: str) -> bytes:
        """The pixels of a layer; FileNotFoundError if it is not there."""
        ...

    def put(self, pixels: bytes | memoryview) -> str:
        """Store pixels and return their SHA-256."""
        ...


def to_request(submit: messages.Submit, store: Store) -> GenerationRequest:
    """The engine's request for a submission.

    Raises:
        InvalidRequest: a value that the engine does not accept.
        InvalidLayer: a kept or relit layer has more or fewer bytes than its size needs.
        UnknownModel: there is no model of that name.
        UnknownLayer: a kept or relit layer is not in the store.
    """
    spec = find_model(submit.model)
    return GenerationRequest(
        **{
            **shared_fields(submit, GenerationRequest),
            "size": Size(submit.width, submit.height),
            "background": _to_source(submit.background, Role.BACKGROUND, store),
            "foregrounds": tuple(_to_source(source, Role.FOREGROUND, store) for source in submit.foregrounds),
            "fusion": _to_fusion(submit, spec),
            "harmony": HarmonySettings(mode=submit.harmony),
            "sampler": submit.sampler and spec.check_sampler(submit.sampler),  # now, before it waits in the queue
            "model": spec.name,
        }
    )


def _to_fusion(submit: messages.Submit, spec: ModelSpec) -> FusionSettings | None:
    """The model's default options with the job's changes; None if the job changes nothing."""
    if submit.preset is None and not submit.switches:
        return None
    return spec.defaults.fusion.adjusted(submit.preset, {switch.name: switch.value for switch in submit.switches})


def _to_source(source: messages.Source, role: Role, store: Store) -> Source:
    if isinstance(source, messages.Generated):
        box = source.box and Box(**shared_fields(source.box, Box))
        shape = None if source.shape is None else Shape.from_text(source.shape)
        return Generated(**{**shared_fields(source, Generated), "box": box, "shape": shape})
    kind = Kept if isinstance(source, messages.Kept) else Relit
    return kind(**{**shared_fields(source, kind), "layer": _layer(source, role, _read_pixels(source, store))})


def _read_pixels(source: messages.Existing | messages.Placed | messages.ScaleLayer, store: Store) -> Pixels:
    name = getattr(source, "name", "to be scaled")
    try:
        data = store.read(source.layer)
    except FileNotFoundError:
        raise UnknownLayer(f"The layer “{name}” is not on the server.", "Upload it before the job.") from None
    if len(data) != 4 * source.width * source.height:
        raise InvalidLayer(
            f"The layer “{name}” has {len(data)} bytes, which do not fit {source.width}x{source.height} pixels.",
            "Send 4 bytes per pixel.",
        )
    return _to_rgba(data, source.width, source.height)


def to_submit(request: GenerationRequest, job: str) -> messages.Submit:
    """The submission for a request, the inverse of `to_request`. The layers of `uploads` must be uploaded first."""
    return messages.Submit(
        job=job,
        **{
            **shared_fields(request, messages.Submit),
            **shared_fields(request.size, messages.Submit),
            "background": _from_source(request.background),
            "foregrounds": tuple(_from_source(source) for source in request.foregrounds),
            "switches": _from_fusion(request.fusion),
            "harmony": request.harmony.mode,
        },
    )


def _from_fusion(fusion: FusionSettings | None) -> tuple[messages.Switch, ...]:
    words = {} if fusion is None else fusion.words()
    return tuple(messages.Switch(name=name, value=value) for name, value in words.items())


def _from_source(source: Source) -> messages.Source:
    if isinstance(source, Generated):
        box = source.box and messages.Box(**shared_fields(source.box, messages.Box))
        shape = None if source.shape is None else source.shape.text
        return messages.Generated(**{**shared_fields(source, messages.Generated), "box": box, "shape": shape})
    kind = messages.Kept if isinstance(source, Kept) else messages.Relit
    digest = hashlib.sha256(to_bgra(source.layer.pixels)).hexdigest()
    return kind(**{**_outline(source.layer, kind), **shared_fields(source, kind), "layer": digest})


def uploads(request: GenerationRequest) -> Iterator[bytes]:
    """The BGRA pixels of each layer that a request keeps or relights."""
    for source in request.sources:
        if not isinstance(source, Generated):
            yield to_bgra(source.layer.pixels)


def from_event(job: str, event: events.Event, store: Store) -> messages.Message:
    """The message for an event of the engine. The pixels of a finished layer are written to the store.

    `seq` and `transfer` are placeholders: the scheduler numbers events, and the outbox numbers transfers.

    Raises:
        UnwritableFile: the store's disk is full or read-only.
    """
    match event:
        case events.Progress():
            return messages.Progress(job=job, **shared_fields(event, messages.Progress))
        case Notice():
            return messages.Notice(
                job=job, seq=1, code=event.code, text=event.text[:4000], sentences=_from_sentences(event)
            )
        case events.Preview():
            height, width, _ = event.pixels.shape
            return messages.Preview(
                job=job,
                role=event.role.value,
                index=event.index,
                width=width,
                height=height,
                pixels=to_bgra(event.pixels),
            )
        case events.LayerReady():
            return _from_layer(job, event.layer, event.index, store)
        case events.Finished():
            return messages.Done(job=job, seq=1, layers=len(event.stack), record=record_text(event.stack))


def from_masks(job: str, step: MaskStep, train_timesteps: int) -> messages.Masks:
    """The message for the maps of a step, which `train_timesteps` = T puts on the scale of t / T. Maps larger than a
    preview are thinned."""
    part = -(-max(step.structure.shape) // messages.PREVIEW_SIDE)
    maps = np.stack(step.maps)[:, ::part, ::part]
    whole = np.rint(np.clip(maps, 0, 1) * 255).astype(np.uint8)
    return messages.Masks(
        job=job,
        seq=1,
        foreground=step.foreground,
        time=min(1.0, max(0.0, step.timestep / train_timesteps)),
        trust=min(1.0, max(0.0, step.trust)),
        width=whole.shape[2],
        height=whole.shape[1],
        maps=zlib.compress(whole.tobytes()),
    )


def to_event(message: messages.Progress | messages.Notice) -> events.Progress | Notice:
    """The engine's event for a message. Its code may be unknown here if the server is newer."""
    if isinstance(message, messages.Progress):
        return events.Progress(**shared_fields(message, events.Progress))
    sentences = tuple(Sentence(s.name, tuple((v.name, v.value) for v in s.values)) for s in message.sentences)
    return Notice(**{**shared_fields(message, Notice), "sentences": sentences})


def _from_sentences(*notices: Notice) -> tuple[messages.Sentence, ...]:
    """The sentences of notices; their values are cut at 4000 characters."""

    def of(told: Sentence) -> messages.Sentence:
        values = (messages.SentenceValue(name=name, value=value[:4000]) for name, value in told.values)
        return messages.Sentence(name=told.name, values=tuple(values))

    return tuple(of(told) for notice in notices for told in notice.sentences)


def _from_layer(job: str, layer: Layer, index: int, store: Store) -> messages.LayerBegin:
    pixels = _bgra(layer.pixels)
    return messages.LayerBegin(
        job=job,
        seq=1,
        transfer=0,
        index=index,
        **{**_outline(layer, messages.LayerBegin), "role": layer.role.value},
        bytes=pixels.nbytes,
        sha256=store.put(pixels.data),
    )


def to_placed(layer: Layer, store: Store) -> messages.Placed:
    """The message about a layer of a file, whose pixels are written to the store."""
    outline = {**_outline(layer, messages.Placed), "role": layer.role.value}
    prompt = "" if layer.record is None else layer.record.prompt
    return messages.Placed(**outline, layer=store.put(_bgra(layer.pixels).data), prompt=prompt)


def arranged(
    stack: LayerStack, begins: Iterable[messages.LayerBegin], placed: Iterable[messages.Placed], store: Store
) -> LayerStack:
    """A finished job's stack with the layers as an editor has arranged them.

    A layer that is one of the job's keeps its record; of others, the record says that the artist's pixels were kept.

    Args:
        stack: the job's stack, with its records.
        begins: the messages about its layers.
        placed: the layers of the result, bottom first.
        store: the layer store.

    Raises:
        InvalidLayer: a layer has more or fewer bytes than its size needs.
        UnknownLayer: a layer is not in the store.
    """
    records = {begin.sha256: stack.layers[at].record for at, begin in enumerate(sorted(begins, key=lambda b: b.index))}
    layers: list[Layer] = []
    for each in placed:
        layer = _layer(each, Role(each.role), _read_pixels(each, store))
        record = records.get(each.layer)
        if record is None and stack.record is not None:
            digest = hashlib.sha256(layer.pixels.tobytes()).hexdigest()
            record = LayerRecord(source="kept", prompt=each.prompt, sha256=digest)
        layers.append(replace(layer, record=record))
    return replace(stack, layers=tuple(layers))


def scaled(request: messages.ScaleLayer, store: Store) -> str:
    """Make a copy of a layer of another size, and return the SHA-256 of its pixels in the store.

    Raises:
        InvalidLayer: the layer has more or fewer bytes than its size needs.
        UnknownLayer: it is not in the store.
        UnwritableFile: the store's disk is full or read-only.
    """
    pixels = _read_pixels(request, store)
    return store.put(_bgra(resize(pixels, Size(request.to_width, request.to_height))).data)


def _to_rgba(data: bytes | memoryview, width: int, height: int) -> Pixels:
    return np.frombuffer(data, np.uint8).reshape(height, width, 4)[..., _SWAPPED]


def to_bgra(pixels: Pixels) -> bytes:
    """The pixels in the order of the wire: RGBA, uint8 (H, W, 4), to BGRA."""
    return _bgra(pixels).tobytes()


def _bgra(pixels: Pixels) -> Pixels:
    """A contiguous copy with the channels B, G, R, A. (Copying all and then two channels is the fastest in NumPy.)"""
    swapped = np.array(pixels, order="C")
    swapped[..., 0], swapped[..., 2] = pixels[..., 2], pixels[..., 0]
    return swapped


def to_stack(submit: messages.Submit, begins: Iterable[messages.LayerBegin], store: Store) -> LayerStack:
    """The stack of a finished job.

    Args:
        submit: the job's submission.
        begins: the messages about its layers, in any order.
        store: the layer store.

    Raises:
        OSError: a layer is missing in the store, or has another size than when it was written.
    """
    ordered = sorted(begins, key=lambda begin: begin.index)
    return LayerStack(
        name=submit.title,
        size=Size(submit.width, submit.height),
        layers=tuple(to_layer(begin, store.read(begin.sha256)) for begin in ordered),
    )


def record_text(stack: LayeredImage) -> str:
    """What a stack records of itself as JSON, see `Done.record`; empty if it records nothing."""
    if stack.record is None:
        return ""
    layers = [{} if layer.record is None else to_words(layer.record) for layer in stack]
    return json.dumps({"picture": to_words(stack.record), "layers": layers}, ensure_ascii=False)


def with_stated_records(stack: LayerStack, text: str) -> LayerStack:
    """The stack with the records that its server has sent, see `Done.record`; without if they do not fit."""
    try:
        values = json.loads(text)
        picture, layers = values["picture"], values["layers"]
        records = [from_words(LayerRecord, words) if words else None for words in layers]
        recorded = zip(stack, records, strict=True)
        whole = tuple(replace(layer, record=record) for layer, record in recorded)
        return replace(stack, layers=whole, record=from_words(PictureRecord, picture))
    except (ValueError, KeyError, TypeError, RecursionError):
        return stack


def to_layer(begin: messages.LayerBegin, data: bytes | memoryview) -> Layer:
    """The engine's layer for a message about a finished layer and its BGRA pixels.

    Raises:
        OSError: `data` has another size than the message says.
    """
    if len(data) != begin.bytes:
        raise OSError(f"the layer has {len(data)} bytes, but {begin.bytes} were written")
    return _layer(begin, Role(begin.role), _to_rgba(data, begin.width, begin.height))


def _outline(layer: Layer, kind: type[Record]) -> dict[str, Any]:
    """The fields of a message about a layer, except for its role and its pixels."""
    (x, y), size = layer.offset, layer.size
    return {**shared_fields(layer, kind), **shared_fields(size, kind), "x": x, "y": y, "blend": layer.blend.value}


def _layer(message: messages.LayerBegin | messages.Existing | messages.Placed, role: Role, pixels: Pixels) -> Layer:
    """The engine's layer that a message describes."""
    own = {"role": role, "pixels": pixels, "offset": (message.x, message.y), "blend": BlendMode(message.blend)}
    return Layer(**{**shared_fields(message, Layer), **own})


def model_notice(submit: messages.Submit) -> str:
    """Limitations of the model at the job's size and with its prompts, for the artist; empty if there are none."""
    prompts = [source.prompt for source in submit.sources]
    notices = find_model(submit.model).notices(Size(submit.width, submit.height), prompts)
    return " ".join(notice.text for notice in notices)


def model_infos() -> tuple[messages.ModelInfo, ...]:
    """The models from which a client may choose; the first is the default."""
    return tuple(_model_info(spec) for spec in available_models())


def _model_info(spec: ModelSpec) -> messages.ModelInfo:
    notices = spec.notices(Size(spec.native_size, spec.native_size))
    return messages.ModelInfo(
        name=spec.name,
        title=spec.title,
        steps=spec.usual.steps,
        guidance_scale=spec.usual.guidance_scale,
        guidance_rescale=spec.usual.guidance_rescale,
        sampler=spec.usual.sampler,
        samplers=spec.samplers,
        examples=tuple(messages.Example(foreground=front, background=behind) for front, behind in spec.examples),
        notice=" ".join(notice.text for notice in notices),
        notice_sentences=_from_sentences(*notices),
        vocabulary=tuple(messages.Phrases(kind=kind, phrases=words) for kind, words in spec.vocabulary.items()),
        preset_steps=tuple(
            messages.PresetSteps(preset=name, steps=spec.defaults_with(spec.defaults.fusion.preset(name)).steps)
            for name in PRESETS
        ),
    )


def limits(config: ServerConfig) -> messages.Limits:
    """The server's limits, as in `Welcome`."""
    return messages.Limits(
        frame_bytes=frames.MAX_FRAME,
        chunk_bytes=frames.CHUNK_BYTES,
        layer_bytes=config.layer_bytes,
        min_side=MIN_SIDE,
        max_side=MAX_SIDE,
        max_aspect=MAX_ASPECT,
        prompt_characters=MAX_PROMPT,
        foregrounds=MAX_FOREGROUNDS,
        steps=MAX_STEPS,
        waiting_jobs=config.waiting_jobs,
        file_bytes=config.file_bytes,
    )
