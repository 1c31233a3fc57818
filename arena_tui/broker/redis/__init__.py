"""The broker on Redis Streams."""
