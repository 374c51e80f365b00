"""Outlook .msg files: the container, the properties in it, and the message rebuilt from them. Needs the extra ``msg``."""
