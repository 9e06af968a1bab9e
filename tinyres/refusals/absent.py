"""Names of PyTorch that are left out on purpose: one sentence on why, and what is near.

tinyres studies how gradients flow in residual nets, GANs and kernels, and stays small enough to be read. What would
make it larger without serving that is not there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from difflib import get_close_matches
from inspect import getattr_static
from types import ModuleType
from typing import NoReturn

from tinyres.refusals.instead import INSTEAD

NEAR = {
    "fft": "Fourier transforms need complex numbers, which are left out: multiply by matrices of cosines and of sines",
    "complex": "complex numbers are left out: keep the real and the imaginary part in two tensors",
    "sparse": "sparse tensors are left out: index a dense one, as nn.Embedding and tr.gather do",
    "quantized": "quantised numbers are left out: everything computes in float32 or float64",
    "3d": "three spatial dimensions are left out: fold one into the batch or the channels, and use the 2d layer",
    "attention": "only self-attention is there: nn.TransformerEncoder and nn.TransformerEncoderLayer, causal if asked",
    "in place": "a tensor is a value and is not written into: use a function that returns a new one; parameters and "
    "registered buffers have add_, mul_, copy_, clamp_, ..., inside `with tr.no_grad():`, and a part of them is "
    "assigned there, w[:, 1] = 2.0; a gradient is bound anew, p.grad = p.grad.clip(-1, 1), and a state_dict is handed "
    "to load_state_dict",
    "jit": "there is no compiler for Python: call the model itself; on a GPU, tr.compile captures a training step",
    "bfloat16": "NumPy has no bfloat16: use float32",
    "set_default_dtype": "the default is float32 for all: pass dtype=, or convert a model by model.to('float64')",
    "Generator": "a generator is NumPy's, np.random.default_rng(0): layers take it as rng=, tr.rand and DataLoader as "
    "generator=",
    "rng state": "tr.manual_seed(0) begins anew; to go on from a state, hand over a NumPy generator (layers take it as "
    "rng=, tr.rand and DataLoader as generator=) and keep its .bit_generator.state",
    "amp": "mixed precision is left out: delete it, and write loss.backward() and optimizer.step(); everything "
    "computes in the dtype of its tensors, and float32 is the default",
    "seeds": "delete the line: tr.manual_seed is enough for every device",
    "backends": "delete the line: there are no switches for libraries; "
    "with tr.kernels('reference'): chooses the kernels of a block",
    "deterministic": "delete the line: the same seed on the same number of threads gives the same bits already",
    "vmap": "there are tr.vjp, tr.jvp, tr.hvp, tr.jacobian and tr.hessian; for a batch, use broadcasting",
    "export": "models are not exported: tr.save(model.state_dict(), path) writes weights that PyTorch can read as well",
    "distributed": "in your own loop there is one process, so call the model itself, without a wrapper; on several, "
    "mpiexec -n 2 tinyres train resnet --distributed trains",
    "processes": "use Python's own multiprocessing: tensors and modules can be pickled, and each process has a copy",
    "distributions": "there are no distribution objects: draw with mean + std * tr.randn(shape), tr.rand, tr.randint "
    "or tr.multinomial, and write log p(x) in tensors",
    "random": "draw with the generator that tr.rand draws from, rng = tr.manual_seed(0): "
    "tr.tensor(rng.poisson(rates)), rng.binomial(n, p)",
    "profile": "measure with time.perf_counter; tr.trace shows each operation, and tinyres bench times kernels",
    "hub": "tinyres.models has nets by name, and models.from_pytorch makes the one whose weights a file holds",
    "device memory": "CuPy manages the GPU: see cupy.get_default_memory_pool() and cupy.cuda",
    "storage": "a tensor is a value: x.numpy() gives its numbers, read-only, and NumPy tells strides and addresses",
    "defaults": "tensors are made on the CPU in float32: move and convert with .to(...)",
    "schedule": "LambdaLR takes any formula, and SequentialLR joins schedules",
    "optimiser": "there are SGD, Adam, AdamW and RMSprop: for another, derive from optim.Optimizer and define update",
    "averaging": "average by hand after each step: mean[k] += (w - mean[k]) / n for each entry of model.state_dict()",
    "tensorboard": "tinyres train --log tensorboard writes its files; in your own loop, use tensorboardX.SummaryWriter",
    "sampler": "DataLoader(shuffle=True) draws at random; for weights, utils.data.Subset(data, "
    "tr.multinomial(weights, n, replacement=True).tolist())",
    "joined data": "a data set has a length and an index: of several, write one that says which sample an index means",
    "stream": "a data set has a length and an index: for a stream, loop over your own generator of batches",
    "parametrization": "there is nn.utils.spectral_norm; others are a few lines of your own forward",
    "ragged": "sequences of different lengths: pad with tr.pad, tr.stack them, and mask what was padded",
    "windows": "windows as rows are left out: tr.conv2d and the pools move a window, and indexing takes arrays",
    "sampling": "sampling an image at points is left out: nn.functional.interpolate resizes, and indexing takes pixels",
    "loss": "write it as an expression of tensors: any mean of elementwise operations is a loss with derivatives",
    "layer": "write it as an nn.Module with an nn.Parameter: a few lines, and every order of derivatives follows",
    "rule": "it has no rule here: @tr.primitive makes an operation of NumPy's or SciPy's function and its derivative "
    "in three lines (README, 'Use it')",
    "linear algebra": "use NumPy where no gradient is needed, or write it with matmul, solve, inv, svd and eigh",
    "shuffled": "write it with reshape, transpose, index_select, tr.stack and tr.concatenate",
    "ordered": "take it from the sorted values, which have derivatives: tr.sort(x, dim=-1)[0][..., (n - 1) // 2] is "
    "the median of n",
    "counted": "compute it with NumPy on x.numpy(), since it has no derivative",
    "tape": "there are hooks of tensors and modules, tr.walk and tr.trace; a saved tensor is an array of the graph",
    "Size": "a shape is a tuple: use tuple",
    "layout": "delete it: kernels choose the memory layout, and every tensor is dense",
    "lazy": "layers that find their sizes by themselves are left out: give the sizes when you make the layer",
    "native": "there is nothing to build: kernels are compiled by Numba, and tr.primitive makes an operation",
}
_BY_KIND = {
    "fft": "fft stft istft",
    "complex": "complex complex64 complex128 cfloat cdouble view_as_real view_as_complex polar isreal is_complex",
    "sparse": "sparse sparse_coo_tensor sparse_csr_tensor to_sparse",
    "quantized": "quantization quantize_per_tensor qint8 quint8 ao",
    "attention": "Transformer TransformerDecoder TransformerDecoderLayer multi_head_attention_forward flex_attention",
    "jit": "jit",
    "bfloat16": "bfloat16",
    "set_default_dtype": "set_default_dtype",
    "Generator": "Generator default_generator",
    "rng state": "get_rng_state set_rng_state initial_seed seed fork_rng",
    "seeds": "manual_seed_all",
    "amp": "amp autocast GradScaler is_autocast_enabled",
    "backends": "backends set_float32_matmul_precision sdpa_kernel",
    "deterministic": "use_deterministic_algorithms are_deterministic_algorithms_enabled",
    "vmap": "vmap func forward_ad",
    "export": "onnx export package",
    "hub": "hub",
    "distributed": "distributed DistributedSampler DataParallel parallel SyncBatchNorm",
    "processes": "multiprocessing share_memory share_memory_",
    "distributions": "distributions",
    "random": "binomial poisson",
    "profile": "profiler benchmark profile",
    "device memory": "empty_cache device_count synchronize memory_allocated max_memory_allocated "
    "Stream current_device get_device_name mps",
    "storage": "storage untyped_storage data_ptr stride",
    "defaults": "set_default_device set_default_tensor_type",
    "schedule": "CyclicLR ChainedScheduler ConstantLR PolynomialLR MultiplicativeLR",
    "optimiser": "Adafactor Adagrad Adadelta Adamax NAdam RAdam LBFGS Rprop ASGD Muon",
    "averaging": "swa_utils",
    "tensorboard": "tensorboard",
    "sampler": "WeightedRandomSampler SubsetRandomSampler RandomSampler SequentialSampler BatchSampler Sampler",
    "joined data": "ConcatDataset StackDataset",
    "stream": "IterableDataset ChainDataset get_worker_info",
    "parametrization": "parametrizations parametrize weight_norm prune stateless fuse_conv_bn_eval",
    "ragged": "rnn nested",
    "windows": "unfold Unfold fold Fold",
    "sampling": "grid_sample affine_grid",
    "loss": "CTCLoss ctc_loss TripletMarginLoss triplet_margin_loss MarginRankingLoss HingeEmbeddingLoss "
    "PoissonNLLLoss GaussianNLLLoss MultiMarginLoss "
    "MultiLabelMarginLoss MultiLabelSoftMarginLoss SoftMarginLoss soft_margin_loss poisson_nll_loss gaussian_nll_loss "
    "margin_ranking_loss hinge_embedding_loss multi_margin_loss",
    "layer": "Bilinear bilinear LocalResponseNorm local_response_norm LPPool1d LPPool2d lp_pool2d RReLU rrelu "
    "AlphaDropout alpha_dropout FeatureAlphaDropout MaxUnpool1d MaxUnpool2d max_unpool2d FractionalMaxPool2d "
    "AdaptiveLogSoftmaxWithLoss",
    "linear algebra": "eig eigvals lstsq pinv pinverse matrix_exp matrix_rank cond lu lu_factor lu_solve "
    "triangular_solve cholesky_solve cholesky_inverse lobpcg renorm",
    "rule": "acos arccos acosh arccosh asin arcsin asinh arcsinh atan arctan atanh arctanh atan2 arctan2 sinc digamma "
    "lgamma polygamma mvlgamma erfinv i0 igamma igammac logaddexp2 logcumsumexp cummax cummin",
    "shuffled": "combinations cartesian_prod block_diag vander cross cumulative_trapezoid atleast_1d atleast_2d "
    "atleast_3d ChannelShuffle channel_shuffle",
    "ordered": "median nanmedian quantile nanquantile kthvalue mode",
    "counted": "histc histogram unique unique_consecutive searchsorted bucketize isin gcd lcm nextafter frexp "
    "bitwise_left_shift bitwise_right_shift corrcoef",
    "tape": "saved_tensors_hooks grad_fn",
    "Size": "Size",
    "layout": "channels_last channels_last_3d contiguous_format preserve_format memory_format strided layout "
    "is_contiguous",
    "lazy": "LazyLinear LazyConv1d LazyConv2d LazyConvTranspose1d LazyConvTranspose2d LazyBatchNorm1d LazyBatchNorm2d "
    "LazyInstanceNorm1d LazyInstanceNorm2d UninitializedParameter",
    "native": "cpp_extension compiled_with_cxx11_abi",
}
_KINDS = {name: kind for kind, names in _BY_KIND.items() for name in names.split()}
# Names that are elsewhere: PyTorch has them in other rooms, too.
_ELSEWHERE = {
    **INSTEAD,
    **{
        name: f"tr.tensor(values, dtype=tr.{dtype}), or x.to(tr.{dtype})"
        for name, dtype in (
            ("FloatTensor", "float32"), ("DoubleTensor", "float64"), ("HalfTensor", "float16"), ("LongTensor", "int64"),
            ("IntTensor", "int32"), ("ShortTensor", "int16"), ("CharTensor", "int8"), ("ByteTensor", "uint8"),
            ("BoolTensor", "bool"),
        )
    },
    "special": "the function itself: tr.erf, tr.sigmoid, tr.expm1, tr.log1p, tr.softmax; others from scipy.special, on "
    "numbers without gradients",
    "checkpoint": "tr.checkpoint(function, *inputs)", "dlpack": "tr.from_dlpack(x)",
    "gradcheck": "tr.gradcheck(f, inputs)",
    "detect_anomaly": "with tr.detect_anomaly():", "set_detect_anomaly": "with tr.detect_anomaly():",
    "manual_seed": "tr.manual_seed(seed), which is enough for every device",
    "is_tensor": "isinstance(x, tr.Tensor)", "nelement": "x.numel()", "ndimension": "x.dim()",
    "element_size": "x.dtype.itemsize",
    "is_cuda": "x.device == 'cuda'", "accelerator": "tr.cuda.is_available()", "get_default_dtype": "tr.float32",
    **{name: f"np.{name}(...)" for name in ("promote_types", "can_cast", "broadcast_shapes")},
    "normal": "mean + std * tr.randn(size)", "PairwiseDistance": "(x - y + 1e-6).norm(dim=-1)",
    "gumbel_softmax": "tr.softmax((x - tr.log(-tr.log(tr.rand(x.shape)))) / tau, dim=-1)",
    "pin_memory": "x itself, since copies to a GPU need no pinned memory",
    "to_empty": "model.to(device): layers are made with their weights",
    "register_load_state_dict_post_hook": "what the hook does after model.load_state_dict(state)",
    "fx": "tr.trace(f), which shows each operation", "SparseAdam": "optim.Adam(params), since gradients are dense",
    "EmbeddingBag": "nn.Embedding(n, d)(x).mean(dim=1)", "embedding_bag": "nn.functional.embedding(x, w).mean(dim=1)",
    "sparse_": "p.normal_(0, std).mul_(tr.rand(p.shape) >= sparsity) inside `with tr.no_grad():`",
    "PixelUnshuffle": "nn.functional.pixel_unshuffle(x, r)", "pixel_unshuffle": "nn.functional.pixel_unshuffle(x, r)",
    "CosineSimilarity": "nn.functional.cosine_similarity(x, y)",
    "bernoulli_": "(tr.rand(x.shape) < p).to(x.dtype)", "random_": "tr.randint(0, n, x.shape)",
    "normal_": "mean + std * tr.randn(x.shape), or p.normal_() of a parameter inside `with tr.no_grad():`",
    "uniform_": "a + (b - a) * tr.rand(x.shape), or p.uniform_() of a parameter inside `with tr.no_grad():`",
    "exponential_": "-tr.log(1 - tr.rand(x.shape)) / rate",
    "cauchy_": "tr.tan(tr.pi * (tr.rand(x.shape) - 0.5))",
    "type": "x.dtype, x.to(dtype)",
    "Variable": "x itself: every tensor is what a Variable was",
    "Event": "cupy.cuda.Event()", "compile": "tr.compile(step)",
    "graph": "tr.walk(y)",
    "set_submodule": "setattr(model, name, module)", "Softmax2d": "nn.Softmax(dim=1)",
    "where": "tr.where(condition, x, y)", "is_floating_point": "x.dtype in (tr.float32, tr.float64)",
    "result_type": "np.result_type(x.dtype, y.dtype)",
    "testing": "np.testing.assert_allclose(x.numpy(), y.numpy())", "new_tensor": "tr.tensor(values, dtype=x.dtype)",
    "solve_triangular": "tr.linalg.solve(x, y)", "multi_dot": "x @ y @ z", "upsample": "nn.functional.interpolate(x)",
    **{name: f"tr.linalg.{name}(x)" for name in ("svd", "qr", "cholesky", "det", "slogdet")},
    **dict.fromkeys(
        ["AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "adaptive_max_pool1d", "adaptive_max_pool2d"],
        "nn.MaxPool2d(k, s) with the sizes of your images; or x.amax(dim=(2, 3)), the largest of each channel",
    ),
    "zero_": "p.grad = None for a gradient, tr.nn.init.zeros_(p) for a parameter, tr.zeros_like(x) for the rest",
}  # fmt: skip
NAMES = tuple(_KINDS)
# What PyTorch's tensors have as methods, and not only its modules as functions.
OF_TENSORS = "rule", "linear algebra", "counted", "ordered", "shuffled"
METHODS = {*INSTEAD, *(name for kind in OF_TENSORS for name in _BY_KIND[kind].split() if name.islower())}

OF_CUDA = _BY_KIND["device memory"].split()


def kind_of(name: str) -> str | None:
    """Which of `NEAR` says why there is no such name; None for a name that nobody left out."""
    if name in _KINDS or name.lower().endswith("3d"):
        return _KINDS.get(name, "3d")
    return "in place" if name.endswith("_") and not name.startswith("_") else None


def why(room: str, name: str, functions: ModuleType | None = None) -> str:
    """What the AttributeError says for a name that a module lacks; `functions`: nn.functional, for rooms above it."""
    kind = kind_of(name)
    said = f"{room} has no attribute {name!r}"
    if name in _ELSEWHERE:
        return f"{said}: write {_ELSEWHERE[name]}"
    return f"{said}: {NEAR[kind]}" if kind else said + _near(room, name, functions)


def _near(room: str, name: str, functions: ModuleType | None) -> str:
    """Where a function of this name is, or what in the room is spelled alike; empty if nothing is."""
    if not room.startswith("module 'tinyres") or name.startswith("_"):
        return ""
    if functions and name in functions.__all__:
        return f": write tr.nn.functional.{name}(...)"
    here = sys.modules[room.split("'")[1]]
    near = get_close_matches(name, getattr(here, "__all__", ()), n=2, cutoff=0.75)
    return f": did you mean {' or '.join(near)}?" if near else ""


def told(room: str, functions: ModuleType | None = None) -> Callable[[str], NoReturn]:
    """The `__getattr__` of a module of that name."""

    def absent(name: str) -> NoReturn:
        raise AttributeError(why(f"module {room!r}", name, functions))

    return absent


class Refused:
    """In place of a method that is left out. An attribute of that name of one's own takes its place."""

    def __init__(self, owner: str, name: str) -> None:
        self.owner, self.name = owner, name

    def __get__(self, instance: object, kind: type | None = None) -> NoReturn:
        raise AttributeError(why(self.owner, self.name))


def offered(instance: object) -> list[str]:
    """`dir(instance)` without what is left out: what an editor or a notebook should complete."""
    kind = type(instance)
    return [name for name in object.__dir__(instance) if not isinstance(getattr_static(kind, name, None), Refused)]
