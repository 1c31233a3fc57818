"""Screens: translate messages into calls to services."""
