"""The version of the package, which every part may know without importing the others."""

__version__ = "0.1.0.dev0"
