"""Errors with a reason for the user: input that cannot be used, and what cannot run here."""

MOST_CHARACTERS = 1500


class Unusable(ValueError):
    """Input that cannot be used; the message says in one line what is wrong, where, and what to do.

    The command line prints it and exits with status 2; the window shows it beside its cause. What the
    input itself puts into the message may be long; its middle is left out then.
    """

    def __init__(self, message: str) -> None:
        if len(message) > MOST_CHARACTERS:
            half = MOST_CHARACTERS // 2
            message = f"{message[:half]} ... {message[-half:]}"
        super().__init__(message)


class Unsupported(RuntimeError):
    """This execution or precision does not work on this device; the message says why."""
