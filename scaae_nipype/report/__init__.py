"""HTML reports: what they show is data, figures are functions, one template makes the page."""

from .participant import participant_report

__all__ = ["participant_report"]
