"""Training: engine, registry and compute brought together."""
