"""The demand forecast pipeline: from sales to a forecast for every product, watched and retrained with cause."""

__version__ = "0.1.0"
