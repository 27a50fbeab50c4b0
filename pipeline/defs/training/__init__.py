"""From features to champions."""
