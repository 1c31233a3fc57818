"""Where events come from: handles, the sink, lines and files."""
