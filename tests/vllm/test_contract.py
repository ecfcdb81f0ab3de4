"""The contract that every engine keeps, on vLLM."""

from tests.contract.test_engines import *  # noqa: F403 - the tests are the same
