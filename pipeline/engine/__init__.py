"""The forecasting engine: pure Python over panels. Knows nothing of Dagster, databases or sources."""
