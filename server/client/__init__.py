"""A client of the server, and a pipeline that draws through it."""
