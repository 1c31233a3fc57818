"""Pure folds over a run's deliveries; no input, no output."""
