"""``expertmail dns check``: are the DNS records of the operated domains there and right, and what to publish.

``facts`` says what is operated; each other module checks one kind of record over DNS evidence and gives
findings (``finding``); ``check`` runs them side by side. They decide only. ``sources`` reads files and asks the
DNS, ``view`` prints.
"""
