"""The broker: one bounded, append-only stream a run, and a cursor on it for every consumer."""
