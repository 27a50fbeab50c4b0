"""Events to other systems and messages from them: where they go, how they are relayed, how they are taken in."""
