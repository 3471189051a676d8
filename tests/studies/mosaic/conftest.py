"""The small sweep measured, and its rho."""

import pytest

from lib.studies.mosaic import measurements, rho_table
from tests.studies.mosaic.small_sweep import ablated, sweep


@pytest.fixture(scope="module")
def measured():
    return measurements.measure(sweep(), seed=7, n_bootstrap=100)


@pytest.fixture(scope="module")
def rho_of_sweep(measured):
    return rho_table.make(measured)


@pytest.fixture(scope="module")
def ablated_measured():
    return measurements.measure(ablated(), seed=7, n_bootstrap=50)
