"""The database backend of every installation; `threadhub.embedded.backend` builds on it."""
