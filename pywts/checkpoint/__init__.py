"""Reading of checkpoints: a file a container, inert objects, tensors, and which weights are chosen."""
