"""The loop: all streams from noise to picture, coupled in the UNet, one step at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from layerfusion.engine.diffusion.conditioning import Conditioning
from layerfusion.engine.diffusion.guidance import guide
from layerfusion.engine.diffusion.sampling import Sampler, coupling_step
from layerfusion.engine.fusion.coupling import Coupling, Half, Pass
from layerfusion.engine.models.runtime.loading import ModelBundle
from layerfusion.engine.models.runtime.offloading import Component


@dataclass(frozen=True)
class LatentConstraint:
    """Part of a stream whose course is known: its predictions are replaced by the exact ones.

    The solver then walks the one path from noise to `clean` by itself, multistep history included, which overwriting
    latents would break.

    Attributes:
        stream: which row.
        clean: z0, (4, h, w).
        mask: (1, h, w) or (1, 1, 1), 0-1, where it is known.
        until: pinned while t > until · T; 0 is to the end.
    """

    stream: int
    clean: Tensor
    mask: Tensor
    until: float = 0.0


@dataclass(frozen=True)
class BackdropConstraint:
    """A stream that shows a known picture wherever nothing lies before it, as the masks stand at every step.

    Attributes:
        stream: which row.
        clean: z0, (4, h, w); None is the background's, as it is being drawn.
        mask: (1, h, w) or (1, 1, 1), 0-1, where z0 is known at all.
        behind: the foregrounds that may lie before it.
        margin: left free around them, as a part of the picture's longer side.
        ground: the same about their lower halves, for their shadows.
        in_doubt: how far it is held (0-1) while their masks cannot be trusted.
        block: the transformer block whose content confidence tells where they are.
        until: anchored while t > until · T.
    """

    stream: int
    clean: Tensor | None
    mask: Tensor
    behind: tuple[int, ...]
    margin: float
    ground: float
    in_doubt: float
    block: str
    until: float


PLACED_UNTIL = 0.15
"""A foreground whose place is the artist's is coupled until t <= 0.15 T at least (our choice): where the model would
not put it, in the middle of the sky, it is painted over once nothing tells the blended stream of it."""


@dataclass(frozen=True)
class Step:
    """One step is done.

    Attributes:
        index: 0 … steps - 1.
        timestep: the training timestep it started from.
        estimate: (streams, 4, h, w), the clean latents as the model sees them now.
        latents: (streams, 4, h, w), after the last step the result.
    """

    index: int
    timestep: float
    estimate: Tensor
    latents: Tensor


def denoise(
    bundle: ModelBundle,
    sampler: Sampler,
    coupling: Coupling,
    *,
    noise: Tensor,
    negative: Conditioning,
    positive: Conditioning,
    time_ids: Tensor,
    guidance_scale: float,
    guidance_rescale: float,
    pins: tuple[LatentConstraint, ...] = (),
    anchors: tuple[BackdropConstraint, ...] = (),
) -> Iterator[Step]:
    """Run all streams from noise, yielding after every step. The UNet must be `attached` to `coupling`.

    Args:
        noise: (streams, 4, h, w), unit variance.
        negative, positive: one row a stream, in the order of `Streams`.
        time_ids: (1, 6), SDXL's size conditioning, the same for all rows.
    """
    settings, streams = coupling.settings, coupling.streams
    state = sampler.start(noise)
    for pin in pins:
        state[pin.stream] = torch.lerp(state[pin.stream], sampler.state(pin.clean, noise[pin.stream], 0), pin.mask)
    blend_end = min(settings.blend_end, PLACED_UNTIL) if coupling.shapes else settings.blend_end
    first_coupled, last_coupled = _window(sampler, settings.blend_start, blend_end)
    first_guided, last_guided = _window(sampler, settings.guidance_start, settings.guidance_end)
    both = _stack(negative, positive)
    forward = partial(_forward, bundle, time_ids)

    def predict(rows: Tensor, timestep: Tensor, running: Pass, time: float, guided: bool) -> Tensor:
        """All streams' predictions, (streams or 2 x streams, 4, h, w): the unconditional half first, if it is asked."""
        if guided and bundle.memory.halves_apart:
            coupling.begin(running, time, Half.CONDITIONAL)
            conditional = forward(rows, positive, timestep)
            coupling.begin(running, time, Half.UNCONDITIONAL)
            return torch.cat([forward(rows, negative, timestep), conditional])
        coupling.begin(running, time)
        if guided:
            return forward(torch.cat([rows] * 2), both, timestep)
        return forward(rows, positive, timestep)

    for index, timestep in enumerate(sampler.timesteps):
        model_input = sampler.model_input(state, index)
        time = float(timestep) / sampler.train_timesteps
        idle = _all_known(pins, time, streams.count) and not coupling.needs_priors()
        couple = not idle and first_coupled <= index < last_coupled
        guided = not idle and guidance_scale != 1.0 and first_guided <= index < last_guided

        if couple and coupling.needs_priors() and (settings.prior == "per_step" or index == first_coupled):
            foregrounds = slice(0, streams.foregrounds)
            coupling.begin(Pass.PRIOR, time)
            alone = partial(forward, model_input[foregrounds], positive[foregrounds], timestep)
            bundle.memory.run(alone, Component.UNET)
            coupling.end()

        running = Pass.COUPLED if couple else Pass.JOINT
        if idle:
            output = torch.zeros_like(model_input)  # nothing of it is used: every row's course is known
        else:
            output = bundle.memory.run(partial(predict, model_input, timestep, running, time, guided), Component.UNET)
        if settings.prior == "lagged":
            coupling.end()

        if guided:
            output = guide(*output.chunk(2), scale=guidance_scale, rescale=guidance_rescale)
        held = [pin for pin in pins if time > pin.until]
        for pin in held:
            exact = sampler.exact_prediction(pin.clean, noise[pin.stream], index)
            output[pin.stream] = torch.lerp(output[pin.stream], exact, pin.mask)
        for anchor in anchors:
            if time > anchor.until:
                clean = anchor.clean
                if clean is None:
                    clean = sampler.clean_estimate(model_input, output, index)[streams.background]
                implied = sampler.implied_prediction(model_input[anchor.stream], clean, index)
                where = anchor.mask * coupling.outside(
                    anchor.block, anchor.behind, anchor.in_doubt, anchor.margin, anchor.ground
                )
                output[anchor.stream] = torch.lerp(output[anchor.stream], implied, where)

        estimate = sampler.clean_estimate(model_input, output, index)
        state = sampler.step(output, index, state)
        if sampler.stochastic:  # the noise it added has left the one path
            for pin in held:
                exact = sampler.state(pin.clean, noise[pin.stream], index + 1)
                state[pin.stream] = torch.lerp(state[pin.stream], exact, pin.mask)
        yield Step(index, float(timestep), estimate, state)


def _all_known(pins: tuple[LatentConstraint, ...], time: float, streams: int) -> bool:
    """Whether every stream is held everywhere at t = time · T."""
    return len({pin.stream for pin in pins if time > pin.until and pin.mask.shape == (1, 1, 1)}) == streams


def _window(sampler: Sampler, start: float, end: float) -> tuple[int, int]:
    """The steps from t <= start · T until t <= end · T, as (first, one past the last).

    A start of 0 is never, an end of 0 is the end, also where the last timestep is 0.
    """

    def step_at(part: float) -> int:
        reached = coupling_step(sampler.timesteps, sampler.train_timesteps, part)
        return reached if part > 0 else len(sampler.timesteps)

    return step_at(start), step_at(end)


def _forward(
    bundle: ModelBundle, time_ids: Tensor, rows: Tensor, conditioning: Conditioning, timestep: Tensor
) -> Tensor:
    return bundle.unet(
        rows.to(bundle.dtype),
        timestep.to(bundle.device),
        encoder_hidden_states=conditioning.embeddings,
        added_cond_kwargs={"text_embeds": conditioning.pooled, "time_ids": time_ids.expand(len(rows), -1)},
        return_dict=False,
    )[0].to(rows.dtype)


def _stack(negative: Conditioning, positive: Conditioning) -> Conditioning:
    return Conditioning(
        torch.cat([negative.embeddings, positive.embeddings]),
        torch.cat([negative.pooled, positive.pooled]),
        torch.cat([negative.end_of_text, positive.end_of_text]),
    )
