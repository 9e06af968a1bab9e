"""The faults of `planted.py` can be planted: a text that is not there any more would plant nothing."""

import pytest

from tests.kernels.plans.planted import CPU, FAULTS, ROOT, Fault, plant


@pytest.mark.parametrize("name", FAULTS)
def test_it_changes_the_code_and_leaves_it_python(name, tmp_path):
    fault = FAULTS[name]
    target = tmp_path / CPU / fault.file
    target.parent.mkdir(parents=True)
    source = (ROOT / CPU / fault.file).read_text()
    target.write_text(source)
    plant(fault, tmp_path)
    assert target.read_text() != source
    compile(target.read_text(), fault.file, "exec")


def test_what_is_not_there_is_refused(tmp_path):
    (tmp_path / CPU).mkdir(parents=True)
    (tmp_path / CPU / "dot.py").write_text("")
    with pytest.raises(ValueError, match="holds this 0 times"):
        plant(Fault("dot.py", "nothing of the kind", ""), tmp_path)
