"""Scripts that a dashboard runs, each in a process of its own."""
