"""Where sales and outside signals come from: files, databases and services behind one protocol."""
