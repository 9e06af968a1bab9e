"""A deep Highway net, whose gates are closed at first (Srivastava et al. 2015 [srivastava2015training])."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Highway(nn.Module):
    def __init__(self, size, num_layers, f=F.relu):
        super().__init__()
        self.num_layers = num_layers
        self.nonlinear = nn.ModuleList([nn.Linear(size, size) for _ in range(num_layers)])
        self.linear = nn.ModuleList([nn.Linear(size, size) for _ in range(num_layers)])
        self.gate = nn.ModuleList([nn.Linear(size, size) for _ in range(num_layers)])
        for layer in self.gate:
            nn.init.constant_(layer.bias, -2.0)
        self.f = f

    def forward(self, x):
        for layer in range(self.num_layers):
            gate = torch.sigmoid(self.gate[layer](x))
            nonlinear = self.f(self.nonlinear[layer](x))
            linear = self.linear[layer](x)
            x = gate * nonlinear + (1 - gate) * linear
        return x


class Classifier(nn.Module):
    def __init__(self, in_features=10, size=16, num_layers=10, num_classes=3):
        super().__init__()
        self.project = nn.Linear(in_features, size)
        self.highway = Highway(size, num_layers, f=torch.tanh)
        self.classify = nn.Linear(size, num_classes)
        self.register_buffer("mean", torch.zeros(in_features))

    def forward(self, x):
        x = torch.tanh(self.project(x - self.mean))
        return self.classify(self.highway(x))


def build():
    return Classifier()


def train(model, steps=20, randn=torch.randn):
    inputs = randn(60, 10)
    targets = torch.where(inputs[:, 0] > 0.5, 2, torch.where(inputs[:, 1] * inputs[:, 2] > 0, 1, 0))
    weight = torch.bincount(targets).float().reciprocal().to(inputs.dtype)
    criterion = nn.CrossEntropyLoss(weight=weight / weight.sum())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.95**epoch)

    losses = []
    for _ in range(steps):
        model.train()
        output = model(inputs)
        loss = criterion(output, targets)
        penalty = sum(p.abs().sum() for name, p in model.named_parameters() if name.endswith("weight"))
        loss = loss + 1e-4 * penalty
        optimizer.zero_grad()
        loss.backward()
        grads = [layer.weight.grad.norm().item() for layer in model.highway.gate]
        optimizer.step()
        scheduler.step()
        losses += [loss.item(), *grads]
    return losses


if __name__ == "__main__":
    torch.manual_seed(0)
    print(train(build()))
