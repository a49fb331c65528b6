"""Which models there are, where their weights lie, and whether a file fits. Loads no weights."""
