"""The registry's migrations, one file a step, from the first schema to the newest."""
