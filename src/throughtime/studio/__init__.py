"""A page and a JSON API for trained models of every task, on this machine and without any other host."""

from throughtime.studio.server import make_app, serve
from throughtime.studio.shelf import Entry, Shelf

__all__ = ["Entry", "Shelf", "make_app", "serve"]
