"""ubereats against the contract."""

from tests.contract.suite import conformance

TestConformance = conformance("ubereats")
