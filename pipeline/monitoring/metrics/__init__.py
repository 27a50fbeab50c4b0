"""Figures for Prometheus: what is exported, where it comes from, and how it gets out."""
