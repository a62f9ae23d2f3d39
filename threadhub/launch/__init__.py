"""Starting and ending an installation: what stands behind `manage.py up`."""
