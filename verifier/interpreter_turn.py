"""Where a long loop lets other threads run. Pure.

The interpreter is given away between steps of interpreted code. A loop of machine code takes no such steps and holds it to its
end, however many calls it makes; so this one module is never compiled (``setup.py``), and calling it is a step.
"""


def let_others_run() -> None:
    """Give the interpreter to a thread that has asked for it, if one has."""
