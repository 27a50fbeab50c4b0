"""Lineage: what was made from what, told by events that are appended and never changed."""
