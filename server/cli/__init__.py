"""One module a command; each has `run(arguments)` and imports what is heavy when it runs."""
