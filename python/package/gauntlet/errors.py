"""What can go wrong, by whose trouble it is; the words are those of the command line."""

__all__ = ["Error", "InputError", "EnvironmentFailure", "EvaluationFailed"]


class Error(Exception):
    """Any error of gauntlet's own. What a model raises comes back as it was raised."""


class InputError(Error, ValueError):
    """The caller's mistake: an argument, a model, images, a suite file. The message says the way out."""


class EnvironmentFailure(Error, OSError):
    """Network, disk or device."""


class EvaluationFailed(Error, RuntimeError):
    """A part of the work failed: a number that is not finite, a proposal outside of its budget."""
