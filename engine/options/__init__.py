"""The options of a request: what each may be, what it does, and the presets."""
