"""Who is who in the batch: every stream is a row of one forward, twice for classifier-free guidance.

    [ uncond: fg 0 … fg K-1, background, blended | cond: fg 0 … fg K-1, background, blended ]

K = 1 is the paper: foreground, background and blended picture.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Streams:
    """The rows of one half of the batch.

    Attributes:
        foregrounds: K, at least 1.
        alone: the foregrounds are all there is; `background` and `blended` do not exist.
    """

    foregrounds: int
    alone: bool = False

    @property
    def count(self) -> int:
        return self.foregrounds + (0 if self.alone else 2)

    @property
    def background(self) -> int:
        return self.foregrounds

    @property
    def blended(self) -> int:
        return self.foregrounds + 1

    def halves(self, batch: Tensor) -> Tensor:
        """(2 or 1 x count, …) -> (halves, count, …), a view: first the unconditional half, if it is there."""
        return batch.unflatten(0, (-1, self.count))
