"""The one exception that is meant for the user."""


class VieError(ValueError):
    """Something the user can mend: the message says what is wrong, where, and what to do."""
