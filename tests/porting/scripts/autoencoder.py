"""A variational autoencoder: the bound is reconstruction and divergence."""

import torch
from torch import nn, optim
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset


class VAE(nn.Module):
    def __init__(self, features=36, hidden=24, latent=4):
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(features, hidden), nn.Softplus())
        self.mu = nn.Linear(hidden, latent)
        self.logvar = nn.Linear(hidden, latent)
        self.decoder = nn.Sequential(
            nn.Linear(latent, hidden), nn.ELU(), nn.Linear(hidden, features), nn.Unflatten(1, (1, 6, 6))
        )

    def encode(self, x):
        h = self.encoder(x)
        return self.mu(h), self.logvar(h)

    def reparameterize(self, mu, logvar, randn):
        std = torch.exp(0.5 * logvar)
        eps = randn(*std.shape)
        return mu + eps * std

    def forward(self, x, randn=torch.randn):
        mu, logvar = self.encode(x)
        z = self.reparameterize(mu, logvar, randn)
        return self.decoder(z), mu, logvar


def loss_function(logits, x, mu, logvar):
    bce = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return (bce + kld) / len(x)


def build():
    return VAE()


def train(model, steps=20, randn=torch.randn):
    ramp = torch.linspace(-2, 2, 6)
    images = torch.sigmoid(randn(40, 1, 1, 1) * ramp.view(1, 1, 1, 6) + randn(40, 1, 1, 1) * ramp.view(1, 1, 6, 1))
    dataset = TensorDataset(images)
    train_loader = DataLoader(dataset, batch_size=16, drop_last=True)
    optimizer = optim.AdamW(model.parameters(), lr=1e-2)

    losses, epoch = [], 0
    while len(losses) < steps:
        model.train()
        train_loss = 0
        for batch_idx, (data,) in enumerate(train_loader):
            optimizer.zero_grad()
            logits, mu, logvar = model(data, randn)
            loss = loss_function(logits, data, mu, logvar)
            loss.backward()
            train_loss += loss.item()
            optimizer.step()
            losses.append(loss.item())
            if __name__ == "__main__":
                print(f"epoch {epoch}, batch {batch_idx}: loss {loss.item() / len(data):.4f}")
        epoch += 1
    model.eval()
    with torch.inference_mode():
        sample = torch.sigmoid(model.decoder(randn(8, 4)))
    return [*losses[:steps], train_loss / len(dataset), sample.std().item()]


if __name__ == "__main__":
    torch.manual_seed(0)
    train(build())
