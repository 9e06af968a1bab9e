"""Classify points of a spiral with a multilayer perceptron."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


class MLP(nn.Module):
    def __init__(self, in_features=2, hidden=32, classes=3):
        super().__init__()
        self.fc1 = nn.Linear(in_features, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, classes)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.out(x)


def spiral(n, randn, classes=3):
    labels = torch.arange(n) % classes
    radius = torch.linspace(0.1, 1.0, n)
    angle = 4 * radius + labels.float() * (2 * torch.pi / classes)
    points = torch.stack([radius * torch.cos(angle), radius * torch.sin(angle)], dim=1)
    return points + 0.05 * randn(n, 2), labels


def build():
    return MLP()


def train(model, steps=20, randn=torch.randn):
    points, labels = spiral(96, randn)
    loader = DataLoader(TensorDataset(points, labels), batch_size=32, shuffle=False)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)

    losses = []
    model.train()
    while len(losses) < steps:
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())

    model.eval()
    with torch.no_grad():
        predicted = model(points).argmax(dim=1)
        accuracy = (predicted == labels).float().mean().item()
    return [*losses[:steps], accuracy]


if __name__ == "__main__":
    torch.manual_seed(0)
    print(train(build()))
