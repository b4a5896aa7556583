"""Every store in files, compared with the store in memory through sequences of operations that nobody thought of."""

from __future__ import annotations

import importlib

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.stores.machine import StoreMachine
from tests.stores.store_contract import StoreContract
from tests.torture.backends import FINAL, available

# Where the tests of each backend lie: they know how to read and write its files without it.
_MODULES = {
    "plain": "tests.torture.test_plain_store",
    "json": "tests.stores.test_json_store",
    "sqlite": "tests.stores.test_sqlite_store",
    "directory": "tests.stores.test_directory_store",
}


def contracts() -> list[type[StoreContract]]:
    """Return the contract class of each backend that is there, one per backend."""
    found = []
    for name in dict.fromkeys(backend.name.partition("-")[0] for backend in available()):
        members = vars(importlib.import_module(_MODULES[name])).values()
        found += [one for one in members if isinstance(one, type) and issubclass(one, StoreContract) and getattr(one, "kind", "") == name][
            :1
        ]
    return found


@pytest.mark.parametrize("contract", contracts(), ids=lambda contract: contract.kind)
def test_any_sequence_of_operations_ends_as_in_memory(contract: type[StoreContract]) -> None:
    """T6: put, update, delete, save, transform with and without base, reopening, a second object, another program's writes."""
    machine = type("Machine", (StoreMachine,), {"contract": contract()})
    # Without shrinking, which would write for minutes: the sequences are short, their entries small.
    limits = settings(
        max_examples=25,
        stateful_step_count=25,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=limits)


def test_every_backend_is_compared() -> None:
    there = {backend.name.partition("-")[0] for backend in FINAL if backend.exists()}
    assert there <= {contract.kind for contract in contracts()}
