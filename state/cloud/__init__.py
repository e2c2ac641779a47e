"""What the LlamaCloud side keeps: objects, jobs, bytes of files, and projects of the namespace `llamacloud`."""
