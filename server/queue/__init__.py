"""The queue: which job is drawn next, the positions of the others, and estimates of their waiting times."""
