"""Files inside the text of a mail: no text that begins many of them takes long."""

from __future__ import annotations

import time

import pytest

from threads.uuencoded import uuencoded_files

HOSTILE = {
    "begun, and a line that is too long": "begin 644 x\n" + "y" * 100 + "\n",
    "begun, and begun again": "begin 644 x\n",
    "begun, and one line": "begin 644 x\n`\n",
}


def seconds(text: str) -> float:
    """CPU time; the best of three, so that nothing else is counted."""
    taken = []
    for _ in range(3):
        start = time.process_time()
        uuencoded_files(text)
        taken.append(time.process_time() - start)
    return min(taken)


@pytest.mark.parametrize("unit", HOSTILE.values(), ids=HOSTILE.keys())
def test_files_that_never_end_take_time_that_grows_with_the_text(unit: str) -> None:
    small, large = (seconds(unit * n) for n in (4_000, 16_000))
    assert large < 10 * max(small, 0.002)  # four times the text; a square would be sixteen


@pytest.mark.parametrize("last", ["end", "end\n", "end \n", "end\nmore"])
def test_the_last_line_of_a_text_may_be_the_end(last: str) -> None:
    (file,) = uuencoded_files(f"begin 644 a.txt\n#86)C\n`\n{last}")
    assert (file.name, file.data) == ("a.txt", b"abc")


@pytest.mark.parametrize("last", ["en", "ends", "the end", ""])
def test_what_has_no_end_is_no_file(last: str) -> None:
    assert uuencoded_files(f"begin 644 a.txt\n#86)C\n`\n{last}") == ()
