"""Between two players: what gradient a GAN's generator receives."""
