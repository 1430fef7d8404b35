"""The command lines: what is asked for, what is there, what is run when, what is said."""
