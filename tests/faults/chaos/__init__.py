"""Seeded scenarios of faults against real servers and processes, with accounts of their own."""
