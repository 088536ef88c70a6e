"""Errors with a reason for the user: input that cannot be used, and what cannot run here."""


class Unusable(ValueError):
    """Input that cannot be used; the message says in one line what is wrong, where, and what to do.

    The command line prints it and exits with status 2; the window shows it beside its cause.
    """


class Unsupported(RuntimeError):
    """This execution or precision does not work on this device; the message says why."""
