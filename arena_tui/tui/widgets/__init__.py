"""Widgets: each holds one value and paints it with `tui.render`; none knows broker or store."""
