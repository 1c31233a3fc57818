"""Consumers of the broker, one file each."""
