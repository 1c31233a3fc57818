"""Playback of one run, live or stored."""
