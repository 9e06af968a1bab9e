"""Classify small images with a convolutional net; the learning rate falls in steps."""

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 3, padding=1)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 12, 3, padding=1)
        self.dropout = nn.Dropout(0.0)
        self.fc1 = nn.Linear(12 * 2 * 2, 24)
        self.fc2 = nn.Linear(24, 4)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = F.relu(self.conv2(x), inplace=True)
        x = F.max_pool2d(x, kernel_size=2, stride=1, padding=1)
        x = F.avg_pool2d(x, 2)
        x = x.view(-1, self.num_flat_features(x))
        x = self.dropout(F.relu(self.fc1(x)))
        return F.log_softmax(self.fc2(x), dim=1)

    def num_flat_features(self, x):
        size = x.size()[1:]
        num_features = 1
        for s in size:
            num_features *= s
        return num_features


def build():
    return Net()


def train(model, steps=20, randn=torch.randn):
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    model.to(device)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=5, gamma=0.5)

    images = randn(40, 1, 8, 8).to(device)
    quadrants = torch.stack([images[:, 0, i : i + 4, j : j + 4].sum(dim=(1, 2)) for i in (0, 4) for j in (0, 4)], dim=1)
    labels = quadrants.argmax(1)

    losses = []
    running_loss = 0.0
    for step in range(steps):
        i = step % 2 * 20
        inputs, targets = images[i : i + 20], labels[i : i + 20]
        optimizer.zero_grad()
        outputs = model(inputs)
        loss = F.nll_loss(outputs, targets)
        loss.backward()
        optimizer.step()
        scheduler.step()
        running_loss += loss.item()
        losses.append(loss.item())
    _, predicted = torch.max(model(images).data, 1)
    correct = (predicted == labels).sum().item()
    return [*losses, running_loss / steps, correct / labels.size(0), scheduler.get_last_lr()[0]]


if __name__ == "__main__":
    torch.manual_seed(0)
    print(train(build()))
