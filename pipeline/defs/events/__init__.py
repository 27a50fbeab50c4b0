"""The stage that speaks with other systems: events out, messages in."""
