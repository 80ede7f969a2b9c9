"""Plans: engines as the builder serialises them, and the cache they are kept in.

    plan_key.py       what a plan depends on       plan_cache.py     PlanCache
    plan_record.py    the record beside a plan     plan_names.py     which files are the cache's
    private_folder.py that nobody else writes      plan_cleaning.py  removing them
    build_lock.py     one build at a time          parity.py         the gate before one is kept
    plan_use.py       from a plan to an engine

A plan is valid for one version of the library, one kind of GPU and one operating system, and
loading it runs native code from it. So each is kept under all it depends on, with the hash of its
bytes, and any difference means building it again.
"""

from rtseg.backends.plan_cache import Found, PlanCache
from rtseg.backends.plan_key import SCHEMA, BuildOptions, PlanKey, model_sha256
from rtseg.backends.plan_record import Entry, Record
from rtseg.backends.private_folder import plan_folder

__all__ = [
    "SCHEMA",
    "BuildOptions",
    "Entry",
    "Found",
    "PlanCache",
    "PlanKey",
    "Record",
    "model_sha256",
    "plan_folder",
]
