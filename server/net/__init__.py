"""Sockets, HTTP and the conversation with each client."""
