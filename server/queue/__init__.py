"""Which job is drawn next, where the others stand, and how long they will wait."""
