"""Reading one run back, live or stored."""
