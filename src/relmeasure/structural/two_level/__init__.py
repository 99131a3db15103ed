"""Two-level models: students in classes, with a model at each level."""
