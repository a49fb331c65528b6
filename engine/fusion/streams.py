"""The order of the streams in a batch: each is a row, or two rows with classifier-free guidance.

    [ uncond: fg 0 … fg K-1, background, blended | cond: fg 0 … fg K-1, background, blended ]

K = 1 is the paper: foreground, background and blended picture.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Streams:
    """The rows of one guidance half of the batch.

    Attributes:
        foregrounds: K, the number of foregrounds, at least 1.
        alone: whether there are only foregrounds; then the rows `background` and `blended` do not exist.
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
        """Split a batch (1 or 2 x count, …) into (halves, count, …), a view. With two, the first is unconditional."""
        return batch.unflatten(0, (-1, self.count))
