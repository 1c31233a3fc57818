"""The HTTP API: runs as JSON, and their events as server-sent events. Needs the extra `serve`."""
