"""What a user of `rtseg run` will get, measured: rates, latencies, and where the time goes."""
