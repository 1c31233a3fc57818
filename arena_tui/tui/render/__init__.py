"""Pure functions from values to lines of text and strips. No widgets, no state."""
