"""The gradient checker: is a rule right, and if not, at which element is it wrong?"""

from tinyres.gradcheck.check import gradcheck
from tinyres.gradcheck.report import GradcheckError, Report

__all__ = ["GradcheckError", "Report", "gradcheck"]
