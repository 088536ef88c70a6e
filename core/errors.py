"""The one error that is the user's to mend: input that cannot be used."""


class Unusable(ValueError):
    """Input that cannot be used; the message says in one line what is wrong, where, and what to do.

    The command line prints it and exits with status 2; the window shows it beside its cause.
    """
