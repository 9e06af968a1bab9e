"""DnCNN (Zhang et al. 2017 [zhang2017beyond]) learns the noise of pictures: what it finds is taken away from them."""

import math

import torch
import torch.nn as nn
from torch.optim.lr_scheduler import MultiStepLR
from torch.utils.data import DataLoader, Dataset


class NoisyPatches(Dataset):
    """Clean patches, each with its own noise."""

    def __init__(self, n, sigma, randn):
        super().__init__()
        waves = torch.linspace(0, 2 * math.pi, 10)
        phases = randn(n, 1, 1)
        self.clean = torch.sin(waves[None, None, :] + phases) * torch.cos(waves[None, :, None] - phases)
        self.noise = sigma * randn(n, 10, 10)

    def __len__(self):
        return len(self.clean)

    def __getitem__(self, index):
        x = self.clean[index].unsqueeze(0)
        return x + self.noise[index].unsqueeze(0), x


class DnCNN(nn.Module):
    def __init__(self, depth=4, channels=8):
        super().__init__()
        layers = [nn.Conv2d(1, channels, kernel_size=3, padding=1, bias=True), nn.ReLU(inplace=True)]
        for _ in range(depth - 2):
            layers.append(nn.Conv2d(channels, channels, 3, padding="same", padding_mode="reflect", bias=False))
            layers.append(nn.BatchNorm2d(channels, eps=1e-4, momentum=0.05))
            layers.append(nn.ReLU(inplace=True))
        layers.append(nn.Conv2d(channels, 1, kernel_size=3, padding=1, bias=False))
        self.dncnn = nn.Sequential(*layers)
        self._initialize_weights()

    def forward(self, y):
        return y - self.dncnn(y)

    def _initialize_weights(self):
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.orthogonal_(m.weight)
                if m.bias is not None:
                    nn.init.zeros_(m.bias)
            elif isinstance(m, nn.BatchNorm2d):
                nn.init.ones_(m.weight)
                nn.init.zeros_(m.bias)


def psnr(x, y):
    return 10 * math.log10(4 / nn.functional.mse_loss(x, y).item())


def build():
    return DnCNN()


def train(model, steps=20, randn=torch.randn):
    loader = DataLoader(NoisyPatches(32, 0.3, randn), batch_size=8, num_workers=0, pin_memory=False)
    criterion = nn.MSELoss(reduction="sum")
    optimizer = torch.optim.RMSprop(model.parameters(), lr=2e-3)
    scheduler = MultiStepLR(optimizer, milestones=[2, 4], gamma=0.2)

    losses = []
    while len(losses) < steps:
        for noisy, clean in loader:
            optimizer.zero_grad()
            loss = criterion(model(noisy), clean) / (noisy.size()[0] * 2)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        scheduler.step()

    model.eval()
    with torch.no_grad():
        found = psnr(model(noisy), clean)
    return [*losses[:steps], found]


if __name__ == "__main__":
    torch.manual_seed(0)
    print(train(build()))
