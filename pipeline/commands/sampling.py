"""The sample tenants, for whoever has none yet."""

from __future__ import annotations

import datetime as dt
import logging

from pipeline.commands.shared import aside
from pipeline.errors import StorageError
from pipeline.installation import Installation


def add_sample(installation: Installation) -> list[str]:
    """Write the sample's files, add its tenants, and return their ids.

    Its sales end yesterday: what is forecast are the days to come, and nothing is late from the start.

    Raises:
        StorageError: they could not be written.
    """
    from pipeline.sample import write_sample
    from pipeline.tenants import save_tenant

    aside("No tenant yet: writing the sample tenants.", level=logging.INFO)
    try:
        sample = write_sample(installation.home.sample, end=dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1))
    except OSError as error:
        raise StorageError(f"the sample could not be written to {installation.home.sample}: {error}") from error
    for tenant in sample.tenants:
        save_tenant(installation.home, tenant)
    return [tenant.id for tenant in sample.tenants]
