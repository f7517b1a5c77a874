"""The exceptions of Smelter.

    SmelterError
     |-- ConfigError    the configuration is wrong: the run stops before or at once
     |-- ServiceError   the store, Ray or another service is broken: the run stops at once
     |-- BadInput       one input cannot be processed: it is quarantined and the run goes on

Messages have one form: expected, got, where, next.
"""

from typing import Literal

Again = Literal["never", "later", "rules"]
"""When a quarantined unit is tried again without being asked: `never`; `later`: by the next runs, a few times, because
the cause may pass; `rules`: once the rules that refused it have changed."""


class SmelterError(Exception):
    """Base of every error that Smelter raises on purpose."""


class ConfigError(SmelterError, ValueError):
    """The user's configuration is wrong. Nothing has been written."""


class ServiceError(SmelterError):
    """A service that every unit needs does not answer as it must."""


class BadInput(SmelterError):
    """One input cannot be processed.

    Args:
        reason: short stable slug, counted per run and named by `--retry-quarantined`.
        message: a sentence for a person: expected, got, where, next.
        again: when a later run tries it by itself.
    """

    def __init__(self, reason: str, message: str, again: Again = "never") -> None:
        super().__init__(reason, message, again)  # all in args, so that the error survives pickling
        self.reason = reason
        self.message = message
        self.again = again

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"
