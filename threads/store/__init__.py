"""The record's store. Functions are synchronous and take a connection within a transaction.

database = open_database("sqlite:///var/expertmail.db")
upgrade(database)
with database.reading() as conn: ...
with database.writing() as conn: ...          # command line
await Writer(database).submit(lambda conn: ...)   # servers: one writer a process
"""

from sqlalchemy import Connection

from threads.store.engine import Database, open_database
from threads.store.errors import RefusedRecord, StorageFull, StoreError, StoreUnavailable, UnknownRecord
from threads.store.held import discard, held_item, held_list, release, release_with_contact
from threads.store.intake import Stored, find_copy, store_copy, store_message, supersedes
from threads.store.lookup import candidates
from threads.store.migration import backup, check, schema_version, upgrade
from threads.store.people import (
    add_contact,
    add_domain,
    add_organisation,
    contact,
    find_contacts,
    find_organisation,
    list_contacts,
    list_domains,
    list_organisations,
    organisation,
    remove_domain,
)
from threads.store.read import count_copies, judgements, list_copies, raw_message, stored_copy
from threads.store.thread import (
    add_note,
    append,
    list_threads,
    open_incident,
    open_inquiry,
    open_service,
    record_outgoing,
    set_state,
    thread_by_id,
    thread_by_reference,
    timeline_of,
)
from threads.store.writer import Writer

__all__ = [
    "Connection",
    "Database",
    "RefusedRecord",
    "StorageFull",
    "StoreError",
    "StoreUnavailable",
    "Stored",
    "UnknownRecord",
    "Writer",
    "add_contact",
    "add_domain",
    "add_note",
    "add_organisation",
    "append",
    "backup",
    "candidates",
    "check",
    "contact",
    "count_copies",
    "discard",
    "find_contacts",
    "find_copy",
    "find_organisation",
    "held_item",
    "held_list",
    "judgements",
    "list_contacts",
    "list_copies",
    "list_domains",
    "list_organisations",
    "list_threads",
    "open_database",
    "open_incident",
    "open_inquiry",
    "open_service",
    "organisation",
    "raw_message",
    "record_outgoing",
    "release",
    "release_with_contact",
    "remove_domain",
    "schema_version",
    "set_state",
    "store_copy",
    "store_message",
    "stored_copy",
    "supersedes",
    "thread_by_id",
    "thread_by_reference",
    "timeline_of",
    "upgrade",
]
