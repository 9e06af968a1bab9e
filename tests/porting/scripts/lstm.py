"""A character model: embedding, two layers of LSTM, truncated backpropagation through time, clipped gradients."""

import torch
import torch.nn as nn

TEXT = "the gradient of a deep net vanishes, explodes or survives; in a residual net it survives. "


class CharRNN(nn.Module):
    def __init__(self, vocabulary, embed=8, hidden=16, layers=2):
        super().__init__()
        self.num_layers, self.hidden_size = layers, hidden
        self.embed = nn.Embedding(vocabulary, embed)
        self.lstm = nn.LSTM(embed, hidden, layers, batch_first=True)
        self.linear = nn.Linear(hidden, vocabulary)

    def init_hidden(self, batch):
        weight = next(self.parameters())
        return (
            weight.new_zeros(self.num_layers, batch, self.hidden_size),
            weight.new_zeros(self.num_layers, batch, self.hidden_size),
        )

    def forward(self, x, hidden):
        out, hidden = self.lstm(self.embed(x), hidden)
        return self.linear(out.reshape(-1, out.size(2))), hidden


def build():
    return CharRNN(len(set(TEXT)))


def train(model, steps=20, randn=torch.randn):
    batch, bptt = 4, 11
    characters = sorted(set(TEXT))
    to_index = {c: i for i, c in enumerate(characters)}
    ids = torch.tensor([to_index[c] for c in TEXT * 3], dtype=torch.long)
    ids = ids[: len(ids) // batch * batch].view(batch, -1)
    with torch.no_grad():
        model.embed.weight.data = randn(len(characters), 8)  # word vectors that were learned elsewhere

    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    losses = []
    hidden = model.init_hidden(batch)
    for step in range(steps):
        i = step * bptt % (ids.size(1) - bptt)
        inputs, targets = ids[:, i : i + bptt], ids[:, i + 1 : i + bptt + 1]
        hidden = tuple(h.detach() for h in hidden)
        outputs, hidden = model(inputs, hidden)
        loss = criterion(outputs, targets.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=0.5)
        optimizer.step()
        losses += [loss.item(), norm.item()]

    model.eval()
    with torch.no_grad():
        state, x = model.init_hidden(1), ids[:1, :1]
        for _ in range(10):
            output, state = model(x, state)
            probabilities = output.softmax(dim=-1)
            x = torch.topk(probabilities, 1)[1]
            losses.append(probabilities.max().item())
    return losses


if __name__ == "__main__":
    torch.manual_seed(0)
    print(train(build()))
