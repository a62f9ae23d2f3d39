"""`ENGINE` for Django's DATABASES: PostgreSQL that is running by the time it is connected to."""
