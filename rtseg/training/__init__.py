"""Making models: data, losses, the training loop, export. Never imported by `rtseg run`."""
