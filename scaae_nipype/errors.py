"""What can go wrong, in one line that a user can act on."""

__all__ = ["GridError", "InputError", "Interrupted", "ModelError", "ScaaeError", "UsageError"]


class ScaaeError(Exception):
    """Base of all errors whose message is written for the user: what, which file, what to do."""


class InputError(ScaaeError):
    """An input image, table or sidecar cannot be used."""


class GridError(InputError):
    """An image is readable, but lies on other voxels than those it is needed on."""


class ModelError(ScaaeError):
    """A model folder or weights file is damaged or does not fit."""


class UsageError(ScaaeError):
    """The command line or a settings file asks for something impossible."""


class Interrupted(KeyboardInterrupt):
    """The work was stopped from outside and everything is kept: the same command goes on from there.

    Like Ctrl-C it is no failure of a step, so nothing else is started after it.
    """
