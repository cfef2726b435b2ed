"""From a strategy file to a plan: discovery, loading and composition; imports what the file names, nothing else."""
