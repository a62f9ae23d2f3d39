"""The workloads of a million threads, side by side with a bare server: see `__main__`."""
