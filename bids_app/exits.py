"""Exit codes of the programs."""

__all__ = ["EXIT_FAILED", "EXIT_NOTHING", "EXIT_OK", "EXIT_USAGE"]

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_NOTHING = 0, 1, 64, 70
"""All done; something failed; wrong usage; nothing could be built."""
