"""The cost of a job, counted without weights: floating-point operations and memory. Used by `layerfusion benchmark`."""
