"""The whole main job on loopback: what is sent, what comes of it, and whether that is what should."""
