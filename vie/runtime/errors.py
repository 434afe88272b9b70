"""The exception whose message is for the user."""


class VieError(ValueError):
    """A fault that the user can mend. The message says what is wrong, where, and what to do."""
