"""GANs: the gradient that the generator receives, convergence of the two players, and metrics of the result."""
