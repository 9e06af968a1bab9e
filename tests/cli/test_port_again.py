"""`tinyres port` of what was ported before: what is mended is not listed again."""

import re

from tinyres.cli import main

ONCE_MORE = """import tinyres as torch
import tinyres.nn as nn
net = torch.compile(nn.Linear(2, 2))
out, acts = {}, []
for split in "ab":
    out[split] = torch.zeros(2)
penalty(net, x.data)
n = sum(p.grad.data.norm(2) for p in net.parameters())
with torch.no_grad():
    net.weight.normal_(0, 1)
print(x.data, x.data.mean())
nn.utils.clip_grad_norm_(net.parameters(), 1.0)
torch.where(x > 0, x, x)
torch.save(net, "net.pt")
"""


def test_a_file_that_was_ported_is_read_again_without_false_alarms(capsys, tmp_path):
    (tmp_path / "a.py").write_text(ONCE_MORE)
    status = main(["port", str(tmp_path / "a.py")])
    out = capsys.readouterr().out
    found = {int(n): (what, mend) for n, what, mend in re.findall(r"^line (\d+): (.*)\n(.*)$", out, re.M)}
    assert (status, set(found)) == (1, {3, 7, 8})
    assert "imports tinyres already" in out
    assert found[3][1].strip().startswith("delete the line")
    assert "write x.detach()" in found[7][1]
    assert "p.grad is enough" in found[8][1]
