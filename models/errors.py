"""The exceptions of the models.

A user's mistake (a wrong shape, a wrong file, a wrong value) is a plain `ValueError`.
A training whose loss is no number is `Diverged`, a `ValueError` too.
A recording that cannot be read is a `BadRecording`: the stage that met it sets the recording aside and goes on.
Messages have one form: expected, got, where, next.
"""


class BadRecording(ValueError):
    """One contractor recording cannot be used.

    Args:
        reason: short stable slug, for counting.
        message: a sentence for a person: expected, got, where, next.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(reason, message)  # both in args, so that the error survives pickling
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


class Diverged(ValueError):
    """A loss or gradient is not finite: the run stops before the weights are touched."""
