"""Points on a circle by a Wasserstein GAN with gradient penalty (Gulrajani et al. 2017 [gulrajani2017improved])."""

import torch
from torch import autograd, nn, optim

LAMBDA = 10
CRITIC_ITERS = 2


class Generator(nn.Module):
    def __init__(self, dim=16):
        super().__init__()
        self.main = nn.Sequential(
            nn.Linear(2, dim), nn.ReLU(True), nn.Linear(dim, dim), nn.ReLU(True), nn.Linear(dim, 2)
        )

    def forward(self, noise):
        return self.main(noise)


class Critic(nn.Module):
    def __init__(self, dim=16):
        super().__init__()
        self.main = nn.Sequential(
            nn.Linear(2, dim), nn.LeakyReLU(0.2), nn.LayerNorm(dim), nn.Linear(dim, dim), nn.SiLU(), nn.Linear(dim, 1)
        )

    def forward(self, x):
        return self.main(x).view(-1)


def gradient_penalty(critic, real, fake, alpha):
    interpolates = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
    scores = critic(interpolates)
    gradients = autograd.grad(
        outputs=scores,
        inputs=interpolates,
        grad_outputs=torch.ones(scores.size(), device=real.device, dtype=real.dtype),
        create_graph=True,
        retain_graph=True,
        only_inputs=True,
    )[0]
    gradients = gradients.view(gradients.size(0), -1)
    return ((gradients.norm(2, dim=1) - 1) ** 2).mean() * LAMBDA


def build():
    return nn.ModuleDict({"generator": Generator(), "critic": Critic()})


def train(models, steps=20, randn=torch.randn):
    generator, critic = models["generator"], models["critic"]
    opt_g = optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.9))
    opt_c = optim.Adam(critic.parameters(), lr=1e-3, betas=(0.5, 0.9))
    batch = 32

    losses = []
    for _ in range(steps):
        for p in critic.parameters():
            p.requires_grad = True
        for _ in range(CRITIC_ITERS):
            real = randn(batch, 2)
            real = real / real.norm(dim=1, keepdim=True)
            with torch.no_grad():
                fake = generator(randn(batch, 2))
            alpha = torch.sigmoid(randn(batch, 1)).expand_as(real)
            penalty = gradient_penalty(critic, real.data, fake.data, alpha)
            loss_c = critic(fake).mean() - critic(real).mean() + penalty
            opt_c.zero_grad()
            loss_c.backward()
            opt_c.step()
        losses += [loss_c.item(), penalty.item()]

        for p in critic.parameters():
            p.requires_grad = False  # to save computation
        opt_g.zero_grad()
        loss_g = -critic(generator(randn(batch, 2))).mean()
        loss_g.backward()
        opt_g.step()
        losses.append(loss_g.item())
    return losses


if __name__ == "__main__":
    torch.manual_seed(0)
    print(train(build()))
