"""Measurements: what things cost, as ratios taken in one run. Never asserted in tests: machines are noisy."""
