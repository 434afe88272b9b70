"""The exception whose message is for the user, and what a message may quote."""


class VieError(ValueError):
    """A fault that the user can mend. The message says what is wrong, where, and what to do."""


def shown(text: object, longest: int = 120) -> str:
    """What a file of strangers says, for a message: on one line, short, no control characters."""
    found = str(text)
    if len(found) > longest:
        found = found[:longest] + "..."
    return found if found.isprintable() and found else repr(found)


def made_anew(*paths: object) -> str:
    """What to do about results that are damaged, or gone though later results need them."""
    them = "it" if len(paths) == 1 else "them"
    return f"delete {' and '.join(map(str, paths))}, and run Snakemake again: it makes {them} anew"
