"""Cases for every verifier: genuine messages, what happens to them in transit, and what attackers make of them."""
