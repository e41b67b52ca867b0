"""The description of the interface is true: generated requests get only answers that it describes."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

schemathesis = pytest.importorskip("schemathesis", reason="needs the package schemathesis")

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)


@pytest.mark.slow
def test_answers_are_as_described(address: str) -> None:
    """A few dozen requests for each operation, hostile ones among them."""
    from schemathesis.checks import CHECKS as known
    from schemathesis.checks import load_all_checks

    load_all_checks()
    checks = [known.get_one(name) for name in CHECKS]
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    tried = 0
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(case=operation.as_strategy())
        def holds(case: object) -> None:
            case.call_and_validate(checks=checks, timeout=30)  # type: ignore[attr-defined]

        holds()
        tried += 1
    assert tried >= 20
