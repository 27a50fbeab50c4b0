"""Where sales and outside signals come from: files today, behind a protocol that other sources can meet."""
