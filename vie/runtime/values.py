"""Numbers that files of strangers say, checked before anything is made with them."""

from vie.runtime.errors import VieError, shown


def check_whole(name: str, value: object, low: int, high: int) -> None:
    """Raise VieError, which has the name, unless the value is an int from `low` to `high`."""
    if type(value) is not int or not low <= value <= high:
        wanted = f"a whole number from {low} to {high}"
        raise VieError(f"{name} is {shown(value)}, and has to be {wanted}")


def check_real(name: str, value: object, low: float, high: float) -> None:
    """Raise VieError, which has the name, unless the value is a number from `low` to `high`."""
    if type(value) not in (int, float) or not low <= value <= high:  # type: ignore[operator]
        wanted = f"a number from {low:g} to {high:g}"
        raise VieError(f"{name} is {shown(value)}, and has to be {wanted}")


def check_kind(name: str, value: object, kind: type) -> None:
    """Raise VieError, which has the name, unless the value is of the kind."""
    if not isinstance(value, kind):
        raise VieError(f"{name} is {shown(value)}, and has to be a {kind.__name__}")
