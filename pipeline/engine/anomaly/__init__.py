"""Unusual days: an isolation forest over the days of all of a tenant's products (Liu, Ting and Zhou 2008)."""
