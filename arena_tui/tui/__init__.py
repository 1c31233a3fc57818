"""The screen: a pure function of a frame, sampled ten times a second."""
