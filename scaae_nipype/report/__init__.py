"""HTML reports: what they show is data, figures are functions, one template makes the page."""

from .group import group_report
from .participant import participant_report

__all__ = ["group_report", "participant_report"]
