"""HTML reports: what they show is data, figures are functions, one template makes the page."""

from .group_page import group_report
from .participant_page import participant_report

__all__ = ["group_report", "participant_report"]
