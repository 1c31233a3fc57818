"""The broker: one bounded, append-only stream per run, one cursor per consumer."""
