"""A model in memory: reading its weights, adding LoRAs, choosing a device, and offloading parts that do not fit."""
