"""The server's network side: sockets, HTTP, and one session per client."""
