"""The gradient checker: is a rule right, and where is it not?"""

from tinyres.gradcheck.check import gradcheck
from tinyres.gradcheck.report import GradcheckError, Report

__all__ = ["GradcheckError", "Report", "gradcheck"]
