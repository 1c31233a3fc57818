"""Pure folds over a run's deliveries; no I/O."""
