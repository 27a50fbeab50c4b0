"""Installations as earlier releases left them: each folder is one, named after its registry's schema.

They are read by every release from then on and never changed. When the schema or a format changes, freeze the last
release before it: check it out, and `python -m pipeline_tests.frozen pipeline_tests/frozen/SCHEMA`.
"""
