"""The Dagster instance of an installation: its folder, and the file that says where it keeps what and what may run."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from pipeline.errors import ConfigurationError
from pipeline.home import make_folder, write_atomically
from pipeline.installation import Installation
from pipeline.queue import HEADER, instance_file

FILE = "dagster.yaml"
TEMPLATES = {False: FILE, True: "deploy/postgres/dagster.yaml"}
"""In a checkout, by whether Dagster is on PostgreSQL; in an installed package each lies under its name with dashes."""
DATABASE_URL = "DAGSTER_DATABASE_URL"
_LOG = logging.getLogger(__name__)


def set_up_instance(installation: Installation) -> None:
    """Set DAGSTER_HOME to an absolute folder under PIPELINE_HOME, with its file; one that is set is respected.

    SQLite and PostgreSQL have a folder each: what Dagster keeps in files belongs to one database. Where the folder that
    is set is this very one its file is written all the same: without a file Dagster would silently take SQLite.

    Raises:
        ConfigurationError: DAGSTER_DATABASE_URL is no address of a PostgreSQL database.
        StorageError: the folder or the file cannot be written.
    """
    url = installation.settings.dagster_database_url
    if url is not None:
        os.environ[DATABASE_URL] = _with_driver(url.get_secret_value())
    folder = installation.home.dagster_on(postgres=url is not None)
    chosen = os.environ.get("DAGSTER_HOME")
    if chosen and not _is_ours(Path(chosen), folder):
        return
    make_folder(folder)
    template = _template(TEMPLATES[url is not None])
    _write(folder / FILE, instance_file(template.read_text(encoding="utf-8"), installation.settings))
    os.environ["DAGSTER_HOME"] = chosen or str(folder)


def _is_ours(chosen: Path, folder: Path) -> bool:
    """Say whether a folder that was chosen is the installation's own, without a file that a person wrote."""
    if chosen.resolve() != folder.resolve():
        return False
    place = folder / FILE
    return not place.exists() or place.read_text(encoding="utf-8").startswith(HEADER)


def _with_driver(text: str) -> str:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    from pipeline.places import with_driver

    try:
        url = make_url(text)
    except ArgumentError as error:
        raise ConfigurationError(f"{DATABASE_URL} is not a URL such as postgresql://user@host:5432/dagster") from error
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise ConfigurationError(f"{DATABASE_URL} names {url.drivername!r}; use postgresql://user@host:5432/dagster")
    return with_driver(url).render_as_string(hide_password=False)


def _write(place: Path, content: str) -> None:
    """Write the file where it says anything else; one that a person changed is kept beside it."""
    before = place.read_text(encoding="utf-8") if place.exists() else None
    if before is not None and not before.startswith(HEADER):
        kept = place.with_suffix(".yaml.before")
        write_atomically(kept, before.encode())
        _LOG.warning(
            "%s now follows the settings; as it was before it lies in %s. For rules of your own, copy it into a folder "
            "that DAGSTER_HOME names",
            place,
            kept,
        )
    if before != content:
        write_atomically(place, content.encode())


def _template(name: str) -> Path:
    package = Path(__file__).parent.parent
    for place in (package / name.replace("/", "-"), package.parent / name):
        if place.exists():
            return place
    raise ConfigurationError(f"{name} is missing from {package}; install the package again")
