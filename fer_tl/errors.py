"""The one error that a user is meant to see."""


class UserError(Exception):
    """Bad input, told in one clear line: what is wrong, where, and what to do.

    The command line prints the message without a traceback and exits with code 2.
    """
