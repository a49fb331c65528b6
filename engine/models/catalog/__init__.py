"""Known models, the places of their files, and checks of what a file is. Nothing here loads weights."""
