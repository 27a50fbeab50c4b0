"""How deployments are, by the windows that model servers write: found, read, and judged."""
