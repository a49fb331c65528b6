"""The local server: a websocket in front of one worker process that draws."""
