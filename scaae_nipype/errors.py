"""What can go wrong, in one line that a user can act on."""

__all__ = ["InputError", "ModelError", "ScaaeError", "UsageError"]


class ScaaeError(Exception):
    """Base of all errors whose message is written for the user: what, which file, what to do."""


class InputError(ScaaeError):
    """An input image, table or sidecar cannot be used."""


class ModelError(ScaaeError):
    """A model folder or weights file is damaged or does not fit."""


class UsageError(ScaaeError):
    """The command line or a settings file asks for something impossible."""
