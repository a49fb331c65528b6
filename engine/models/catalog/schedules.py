"""The noise schedules of checkpoints, as far as they can be sampled here; others are refused by name."""

EDM = "edm"
"""The value of a scheduler configuration's `schedule` for continuous noise levels (Karras et al. 2022)."""
