"""From sales files to features."""
