"""What a job costs, counted: operations and memory."""
