"""The interface of a diffusion network, and its implementations. Importing this package loads nothing."""
