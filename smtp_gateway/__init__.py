"""The edge: SMTP in, one decision per message, durable before 250."""
