"""Builds the modules that every message passes as machine code, where EXPERTMAIL_COMPILE=1 asks for it.

Without it, or without a C compiler, the same modules run as they stand. mypyc compiles what ``mypy --strict`` checks,
so there is one source and no second implementation.
"""

import os

from setuptools import setup

# Those that take measurable time for a message of 5 KB; the rest would only make the build longer.
MODULES = (
    "address address_domain address_text arc author canonical charset claims content_value display dkim dkim_key "
    "dkim_signature dmarc dmarc_record dmarc_walk encoded_word evaluate evidence identity inline_forward invisible "
    "letters lookalike mentions message own_records part parts proofs reasons record_check record_findings report "
    "signed_form spf spf_plain tag_list transfer verdict"
)
# mypyc is part of mypy, fixed since it decides what the machine code does, and reads the types of these libraries.
NEEDED = ["mypy==2.4.1", "cryptography>=50", "disarm==0.17.2", "dnspython>=2.9", "idna>=3.10"]

if os.environ.get("EXPERTMAIL_COMPILE") == "1":
    try:
        from mypyc.build import mypycify
    except ImportError:
        # pip runs this file twice: to ask what the build needs, and to build with it.
        setup(setup_requires=NEEDED)
    else:
        paths = [f"verifier/{name}.py" for name in MODULES.split()]
        setup(setup_requires=NEEDED, ext_modules=mypycify(paths, opt_level="2", debug_level="0"))
else:
    setup()
