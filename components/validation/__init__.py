"""What `validate_examples` and `accept_examples` do, beside what the schemas package knows of schemas."""
