"""bfloat16, which NumPy does not have: refused in a sentence with the mend."""

import pytest

import tinyres as tr


class Half:
    """An array of another library, as far as it is looked at."""

    dtype = "torch.bfloat16"

    def __dlpack__(self, **how):
        raise RuntimeError("Unsupported dtype in DLTensor.")


@pytest.mark.parametrize("put", [tr.tensor, lambda x: tr.save({"w": x}, "never.safetensors")])
def test_bfloat16_is_refused_with_the_mend(put):
    with pytest.raises(TypeError, match=r"bfloat16, which NumPy does not have: make it float32 first, with x.float"):
        put(Half())
