"""The Dagster shell, thin: a folder a stage, in the order the data flows."""
