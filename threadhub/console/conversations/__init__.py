"""Threads in the staff console: found in a list, read as conversations, taken over. admin.py registers them."""
