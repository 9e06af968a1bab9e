"""The version, which pyproject.toml, CITATION.cff and CHANGELOG.md tell, too."""

__version__ = "0.2.0"
