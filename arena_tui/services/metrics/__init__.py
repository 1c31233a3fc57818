"""Metrics in Prometheus's formats, over HTTP or in a file. Needs the extra `serve`."""
