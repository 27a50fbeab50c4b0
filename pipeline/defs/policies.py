"""What Dagster itself expects of when tenants' assets are made; it looks at the last materialization of all tenants.

Which tenant or product is late, `freshness` tells: one fresh tenant hides all others here.
"""

from __future__ import annotations

import datetime as dt

import dagster as dg

DAILY = dg.FreshnessPolicy.time_window(fail_window=dt.timedelta(hours=36), warn_window=dt.timedelta(hours=26))
"""Made for each tenant once a day, in its night or after it."""
WEEKLY = dg.FreshnessPolicy.time_window(fail_window=dt.timedelta(days=8), warn_window=dt.timedelta(days=7, hours=12))
"""Made by trainings, of which the weekly one is sure."""
