"""Squeeze and excitation: a block weighs its channels (Hu et al. 2018 [hu2018squeeze])."""

import copy

import torch
from torch import nn


class SELayer(nn.Module):
    def __init__(self, channel, reduction=4):
        super().__init__()
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Sequential(
            nn.Linear(channel, channel // reduction, bias=False),
            nn.ReLU(inplace=True),
            nn.Linear(channel // reduction, channel, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x):
        b, c, _, _ = x.size()
        y = self.avg_pool(x).view(b, c)
        y = self.fc(y).view(b, c, 1, 1)
        return x * y.expand_as(x)


class SEBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, groups=2),
            nn.GroupNorm(num_groups=4, num_channels=channels),
            nn.GELU(),
            nn.Conv2d(channels, channels, 1),
            SELayer(channels),
        )

    def forward(self, x):
        return x + self.body(x)


class SENet(nn.Module):
    def __init__(self, channels=8, blocks=2):
        super().__init__()
        self.stem = nn.Conv2d(2, channels, 3, stride=2, padding=1)
        self.blocks = nn.Sequential(*(SEBlock(channels) for _ in range(blocks)))
        self.head = nn.Linear(channels, 1)

    def forward(self, x):
        x = self.blocks(self.stem(x))
        return self.head(x.mean([-2, -1])).squeeze(-1)


def build():
    return SENet()


def train(model, steps=20, randn=torch.randn):
    x = randn(32, 2, 8, 8)
    y = x[:, 0].amax(dim=(1, 2)) - x[:, 1].std(dim=(1, 2))
    train_x, val_x = x.split([24, 8])
    train_y, val_y = y.split([24, 8])
    criterion = nn.SmoothL1Loss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=1e-2)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)

    losses, best_loss, best_state = [], float("inf"), None
    for _ in range(steps):
        model.train()
        optimizer.zero_grad()
        loss = criterion(model(train_x), train_y)
        loss.backward()
        nn.utils.clip_grad_value_(model.parameters(), 0.5)
        optimizer.step()

        model.eval()
        with torch.no_grad():
            val_loss = criterion(model(val_x), val_y).item()
        scheduler.step(val_loss)
        if val_loss < best_loss:
            best_loss, best_state = val_loss, copy.deepcopy(model.state_dict())
        losses += [loss.item(), val_loss]

    model.load_state_dict(best_state)
    with torch.no_grad():
        losses.append(criterion(model(val_x), val_y).item())
    return [*losses, best_loss, optimizer.param_groups[0]["lr"]]


if __name__ == "__main__":
    torch.manual_seed(0)
    print(train(build()))
