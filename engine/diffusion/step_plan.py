"""Which forwards every step of the loop runs: of which streams, coupled or not, guided or not, with which blocks."""

from __future__ import annotations

from dataclasses import dataclass

from layerfusion.engine.diffusion.constraints import PLACED_UNTIL, Constraints
from layerfusion.engine.diffusion.sampling import Sampler, coupling_step
from layerfusion.engine.fusion.coupling import Coupling, Pass

RENEWALS = 5
"""How often what serves several steps is computed at least in a job (our choice): with few steps, every step counts."""


@dataclass(frozen=True, kw_only=True)
class StepWork:
    """The work of one step.

    Attributes:
        measures: whether a prior pass runs before it.
        running: the kind of its forward: coupled or not.
        rows: the streams that run, ascending; none if constraints replace every prediction.
        guided: whether their predictions are guided.
        unconditional: whether the unconditional half runs. If it does not and the step is guided, the last difference
            between the halves is taken again.
        deep: whether the deep blocks run; see `fusion.block_cache`.
    """

    measures: bool
    running: Pass
    rows: tuple[int, ...]
    guided: bool
    unconditional: bool
    deep: bool


class StepPlan:
    """Decides the work of one step after the other.

    Args:
        sampler: the steps.
        coupling: the job's state; its settings say when streams are coupled and guided, and what is taken again.
        guided: whether the job has guidance at all.
        constraints: what is known of the streams.
    """

    def __init__(self, sampler: Sampler, coupling: Coupling, guided: bool, constraints: Constraints) -> None:
        settings = coupling.settings
        self._sampler, self._coupling, self._constraints = sampler, coupling, constraints
        blend_end = min(settings.blend_end, PLACED_UNTIL) if coupling.shapes else settings.blend_end
        self._coupled = self._steps(settings.blend_start, blend_end)
        self._guided = self._steps(settings.guidance_start, settings.guidance_end) if guided else range(0)
        most = max(1, len(sampler.timesteps) // RENEWALS)
        self._unconditional = _Renewed(min(most, settings.guidance_every))
        self._deep = _Renewed(min(most, settings.deep_every))
        self._before: tuple[int, ...] = ()

    def time(self, index: int) -> float:
        """t / T."""
        return float(self._sampler.times[index])

    def work(self, index: int) -> StepWork:
        """The work of a step. Ask for every step once, in order."""
        rows = self._rows(index)
        running = Pass.COUPLED if index in self._coupled and rows else Pass.JOINT
        often = self._coupling.settings.prior == "per_step" or self._first_needs_priors(index)
        self._before = rows
        guided = index in self._guided and bool(rows)
        conditional = {(True, row) for row in rows}
        unconditional = guided and self._unconditional.is_due(conditional)
        wanted = conditional | {(False, row) for row in rows} if unconditional else conditional
        return StepWork(
            measures=running is Pass.COUPLED and self._coupling.needs_priors and often,
            running=running,
            rows=rows,
            guided=guided,
            unconditional=unconditional,
            deep=bool(rows) and self._deep.is_due(wanted),
        )

    def _first_needs_priors(self, index: int) -> bool:
        """Whether a prior pass runs before the first coupled step, if priors come from the step before.

        If the deep blocks run in some steps only, it does not: the step before has measured them. The very first step,
        whose latents are noise alone, measures them then and is not coupled.
        """
        if index != self._coupled.start:
            return False
        foregrounds = set(range(self._coupling.streams.foregrounds))
        return self._deep.every == 1 or not (index == 0 or foregrounds <= set(self._before))

    def _rows(self, index: int) -> tuple[int, ...]:
        """The streams whose predictions are needed.

        A stream whose whole prediction is replaced runs for what the others take from it; with `known_layers` =
        `skipped` it does not. If all are replaced, none runs, unless priors are needed.
        """
        everyone = tuple(range(self._coupling.streams.count))
        held = self._constraints.held_streams(self.time(index))
        free = tuple(row for row in everyone if row not in held)
        if not free:
            return everyone if self._coupling.needs_priors else ()
        return free if self._coupling.settings.known_layers == "skipped" else everyone

    def _steps(self, start: float, end: float) -> range:
        """The steps from the first with t <= start · T to the last before t <= end · T.

        A start of 0 gives no steps; an end of 0 includes the last step, even if its timestep is 0.
        """

        def step_at(part: float) -> int:
            reached = coupling_step(self._sampler.times, part)
            return reached if part > 0 else len(self._sampler.timesteps)

        return range(step_at(start), step_at(end))


class _Renewed:
    """Counts when a result that serves several steps must be renewed: every n-th time, or if it lacks a row."""

    def __init__(self, every: int) -> None:
        self.every = every
        self._age = every
        self._has: set[tuple[bool, int]] = set()

    def is_due(self, wanted: set[tuple[bool, int]]) -> bool:
        """Whether the result is renewed now, for the rows `wanted`."""
        if self._age < self.every and wanted <= self._has:
            self._age += 1
            return False
        self._age, self._has = 1, wanted
        return True
