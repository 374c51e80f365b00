"""What does a message belong to? Incidents, inquiries and service threads; the record and its store."""
