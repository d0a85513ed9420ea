"""Training: data, loop, schedules and tokens, and one file for each thing that is trained."""
