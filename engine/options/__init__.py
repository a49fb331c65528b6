"""The options of a request: their ranges, their explanations, and the presets."""
