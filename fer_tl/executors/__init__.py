"""Where units of work are done: processes of this machine, a Ray cluster, Slurm; it knows not what they do."""
