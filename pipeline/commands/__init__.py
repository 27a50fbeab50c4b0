"""What the sub-commands do; each loads what it needs when it needs it."""
