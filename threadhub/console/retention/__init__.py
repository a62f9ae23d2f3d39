"""How long threads live, in the staff console: policies, their plans and sweeps, holds, the archive, what is left."""
