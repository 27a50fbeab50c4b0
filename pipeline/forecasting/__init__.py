"""The daily forecast and its ladder of fallbacks."""
