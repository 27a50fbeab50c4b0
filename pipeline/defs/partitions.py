"""The partitionings: a run works on a tenant, a model belongs to a product, windows to a deployment."""

from __future__ import annotations

import dagster as dg

TENANTS = dg.DynamicPartitionsDefinition(name="tenants")
PRODUCTS = dg.DynamicPartitionsDefinition(name="products")
DEPLOYMENTS = dg.DynamicPartitionsDefinition(name="deployments")
