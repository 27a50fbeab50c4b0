"""A real S3 server on loopback, started by the first test that needs one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def bucket() -> Iterator[str]:
    """URL of an empty bucket, `s3://...`; the server is found by the usual variables of the environment."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    known = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_DEFAULT_REGION": "eu-south-2",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in known.items():
            patch.setenv(name, value)
        _make("pipeline-tests")
        yield "s3://pipeline-tests"
    server.stop()


def _make(name: str) -> None:
    import boto3

    region = {"LocationConstraint": "eu-south-2"}
    boto3.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration=region)
