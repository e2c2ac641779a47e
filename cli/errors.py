"""What ends a command with one sentence instead of a traceback.

CliError                    1  the message is the whole explanation
├── AlreadyRunningError     1  another supervisor holds this data directory
├── PortInUseError          1  the API cannot listen where it was told to
├── MissingProgramError     1  a part has no program to run
├── StartFailedError        1  a part did not become ready
├── QuickstartError         1  the example could not be imported or asked
├── ApiError                1  the server refused; carries status and body
├── InvalidSettingsError    2  one line per setting
├── UsageError              2  options that do not fit together, or one that is missing
├── NotReachableError       3  no server answers at the address
└── HadFailuresError        4  it was done, but not for every file; or it was cancelled
"""

from typing import Any


class CliError(Exception):
    """Base of everything that a command reports and ends with; `exit_code` is the process's."""

    exit_code = 1


class AlreadyRunningError(CliError):
    pass


class PortInUseError(CliError):
    pass


class MissingProgramError(CliError):
    pass


class StartFailedError(CliError):
    """`tail` holds the last lines of the log of the part that failed."""

    def __init__(self, message: str, tail: list[str] | None = None) -> None:
        super().__init__(message)
        self.tail = tail or []


class QuickstartError(CliError):
    pass


class ApiError(CliError):
    """`body` is the server's, as far as it could be read."""

    def __init__(self, message: str, status: int | None = None, body: Any = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = body


class InvalidSettingsError(CliError):
    exit_code = 2


class UsageError(CliError):
    exit_code = 2


class NotReachableError(CliError):
    exit_code = 3


class HadFailuresError(CliError):
    exit_code = 4
