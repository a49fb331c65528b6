"""A client of the server, and a function that draws a request on a server."""
