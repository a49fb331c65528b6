"""What went on inside a job: priors, masks and streams, recorded while it runs."""
