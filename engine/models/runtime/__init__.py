"""A model in memory: reading its weights, adapters, devices, and how much of it is loaded at a time."""
