"""A DCGAN of small images: two players, each with its own Adam (Radford et al. 2016 [radford2016unsupervised])."""

import torch
import torch.nn as nn
import torch.optim as optim

nz, ngf, ndf, nc = 8, 8, 8, 1


def weights_init(m):
    classname = m.__class__.__name__
    if classname.find("Conv") != -1:
        nn.init.normal_(m.weight, 0.0, 0.02)
    elif classname.find("BatchNorm") != -1:
        nn.init.normal_(m.weight, 1.0, 0.02)
        nn.init.constant_(m.bias, 0)


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(nz, ngf * 2, 4, 1, 0, bias=False),
            nn.BatchNorm2d(ngf * 2),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 2, nc, 4, 2, 1, bias=False),
            nn.Tanh(),
        )

    def forward(self, input):
        return self.main(input)


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(nc, ndf, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf, ndf * 2, 3, 1, 1, bias=False),
            nn.BatchNorm2d(ndf * 2),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf * 2, 1, 4, 1, 0, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, input):
        return self.main(input).view(-1, 1).squeeze(1)


def build():
    netG, netD = Generator(), Discriminator()
    netG.apply(weights_init)
    netD.apply(weights_init)
    return nn.ModuleDict({"netG": netG, "netD": netD})


def train(models, steps=20, randn=torch.randn):
    netG, netD = models["netG"], models["netD"]
    criterion = nn.BCELoss()
    optimizerD = optim.Adam(netD.parameters(), lr=0.002, betas=(0.5, 0.999))
    optimizerG = optim.Adam(netG.parameters(), lr=0.002, betas=(0.5, 0.999))
    fixed_noise = randn(4, nz, 1, 1)
    data = torch.tanh(randn(32, nc, 1, 1) + 0.2 * randn(32, nc, 8, 8))
    real_label, fake_label = 1, 0

    losses = []
    for i in range(steps):
        # Update D: maximise log(D(x)) + log(1 - D(G(z))).
        netD.zero_grad()
        real = data[i % 2 * 16 : i % 2 * 16 + 16]
        b_size = real.size(0)
        label = torch.full((b_size,), real_label, dtype=real.dtype, device=real.device)
        output = netD(real)
        errD_real = criterion(output, label)
        errD_real.backward()
        D_x = output.mean().item()

        noise = randn(b_size, nz, 1, 1)
        fake = netG(noise)
        label = torch.full_like(label, fake_label)
        output = netD(fake.detach())
        errD_fake = criterion(output, label)
        errD_fake.backward()
        errD = errD_real + errD_fake
        optimizerD.step()

        # Update G: maximise log(D(G(z))).
        netG.zero_grad()
        label = torch.full_like(label, real_label)
        output = netD(fake)
        errG = criterion(output, label)
        errG.backward()
        optimizerG.step()
        losses += [errD.item(), errG.item(), D_x]

    with torch.no_grad():
        pictures = netG(fixed_noise).detach().cpu()
    return [*losses, pictures.mean().item()]


if __name__ == "__main__":
    torch.manual_seed(0)
    print(train(build()))
