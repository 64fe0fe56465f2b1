"""The training loop, alone or on several replicas, and the layers as they are while a network learns."""
