"""The one exception for input that cannot be used."""


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one line that names the offending file, field or value and says what to do about it;
    the command line prints it as it is and exits with code 2.
    """
