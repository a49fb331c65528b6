"""The worker process that draws, the process that exports, and the supervisor that restarts the worker."""
