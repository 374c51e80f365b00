"""What do we say, and did it arrive? Compose, render, sign, check, queue, deliver."""
