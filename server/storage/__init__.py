"""Persistent state of the server: jobs and events in SQLite, layers in files. It survives a crash."""
