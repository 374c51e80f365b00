"""Is this message what it says it is? Pure evaluation over bytes, DNS evidence and a clock."""
