"""From champions to forecasts and the report."""
