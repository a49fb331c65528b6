"""Records of the priors, masks and streams of a job, made while it runs."""
