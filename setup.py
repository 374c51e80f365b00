"""Builds the modules that every message passes as machine code, where EXPERTMAIL_COMPILE=1 asks for it.

Without it, or without a C compiler, the same modules run as they stand. mypyc compiles what ``mypy --strict`` checks,
so there is one source and no second implementation.
"""

import os

from setuptools import setup

# Those that take measurable time for a message of 5 KB; the rest would only make the build longer.
MODULES = {
    "verifier": "address address_domain address_text arc author authres canonical charset claims content_value "
    "display dkim dkim_key dkim_signature dmarc dmarc_record dmarc_walk dns_cache driver encoded_word "
    "evaluate evidence evidence_file identity inline_forward invisible letters lookalike mentions "
    "message own_records part parts proofs reasons record_check record_findings record_reasons report "
    "report_json resolver signed_form spf spf_plain tag_list transfer verdict zone",
    "threads": "charset_guess match message_kind new_text quote_heading reading signals signature standing subject text_parts",
    "threads/store": "prepared statements",
    "smtp_gateway": "authentication_results content data_reader envelope "
    "intake paths plan received record replies route_policy "
    "route_table routes transaction",
}
# mypyc is part of mypy, fixed since it decides what the machine code does, and reads the types of these libraries.
NEEDED = [
    "mypy==2.4.1",
    "cryptography>=50",
    "css-inline>=0.24",
    "disarm==0.17.2",
    "dnspython>=2.9",
    "idna>=3.10",
    "inscriptis>=2.7",
    "mail-parser==4.8.0",
    "pybase64>=1.5",
    "pynacl>=1.6",
]

if os.environ.get("EXPERTMAIL_COMPILE") == "1":
    try:
        from mypyc.build import mypycify
    except ImportError:
        # pip runs this file twice: to ask what the build needs, and to build with it.
        setup(setup_requires=NEEDED)
    else:
        paths = [f"{room}/{name}.py" for room, names in MODULES.items() for name in names.split()]
        modules = mypycify(paths, opt_level="2", debug_level="0")
        for module in modules:
            # Nobody reads warnings about generated code, and looking for them takes longer than compiling it.
            module.extra_compile_args += ["-Wno-all"] if os.name == "posix" else []
        setup(setup_requires=NEEDED, ext_modules=modules)
else:
    setup()
