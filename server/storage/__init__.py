"""Jobs in SQLite and layers in files: what is still there after a crash."""
