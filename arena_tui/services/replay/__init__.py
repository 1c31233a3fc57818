"""One stored run as something that plays without arena-tui."""
