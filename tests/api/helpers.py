"""What every API test asks of an answer."""

from tests.fixtures.answers import ERROR_KEYS, assert_error, assert_ok

__all__ = ["ERROR_KEYS", "assert_error", "assert_ok"]
