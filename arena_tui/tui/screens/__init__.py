"""Screens: translate messages into calls of services."""
