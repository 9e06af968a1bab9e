"""The names that PyTorch's own tutorials use: each is here, or its AttributeError says why not, and what is near."""

import importlib

import pytest

import tinyres as tr
from tinyres import nn
from tinyres.refusals import absent

# By the module that PyTorch has them in.
USED = {
    "": "Generator get_rng_state set_rng_state initial_seed seed autocast use_deterministic_algorithms vmap compile "
    "quantization set_default_device set_printoptions get_default_dtype set_default_dtype "
    "set_float32_matmul_precision is_tensor numel empty zeros ones rand randn randint arange linspace full eye "
    "zeros_like ones_like rand_like randn_like tensor from_numpy as_tensor cat stack split chunk squeeze "
    "unsqueeze permute transpose reshape flatten gather where masked_select index_select nonzero sum mean std var "
    "max min argmax argmin topk sort cumsum matmul mm bmm einsum clamp abs exp log sqrt sin cos tanh sigmoid "
    "softmax no_grad enable_grad set_grad_enabled inference_mode manual_seed save load device dtype Tensor Size "
    "float32 float64 int64 long half bfloat16 multinomial normal bernoulli logsumexp outer dot norm tril triu "
    "allclose isnan isinf is_grad_enabled complex64 meshgrid bincount histc unique combinations cdist cross kron "
    "trapz diff argsort searchsorted bucketize sparse_coo_tensor lerp median nanmedian quantile kthvalue mode",
    "amp": "autocast GradScaler",
    "backends": "cudnn mps",
    "func": "vmap grad jacrev functional_call",
    "jit": "script trace load",
    "onnx": "export",
    "export": "export",
    "fx": "symbolic_trace",
    "ao": "quantization",
    "distributed": "init_process_group",
    "multiprocessing": "spawn",
    "distributions": "Normal Categorical",
    "profiler": "profile",
    "hub": "load",
    "accelerator": "is_available current_accelerator",
    "cuda": "is_available empty_cache device_count synchronize memory_allocated manual_seed_all amp Stream Event",
    "fft": "fft",
    "utils.checkpoint": "checkpoint",
    "utils.tensorboard": "SummaryWriter",
    "utils.data": "DataLoader Dataset IterableDataset TensorDataset Subset random_split WeightedRandomSampler "
    "SubsetRandomSampler RandomSampler SequentialSampler BatchSampler ConcatDataset get_worker_info "
    "default_collate",
    "utils.data.distributed": "DistributedSampler",
    "utils.benchmark": "Timer",
    "utils.dlpack": "from_dlpack",
    "utils.cpp_extension": "load",
    "nn.utils": "clip_grad_norm_ clip_grad_value_ weight_norm spectral_norm parameters_to_vector fuse_conv_bn_eval",
    "nn.utils.parametrizations": "spectral_norm weight_norm orthogonal",
    "nn.utils.parametrize": "register_parametrization",
    "nn.utils.prune": "l1_unstructured",
    "nn.utils.rnn": "pad_sequence pack_padded_sequence pad_packed_sequence",
    "nn.utils.stateless": "functional_call",
    "nn": "Module Parameter Sequential ModuleList ModuleDict ParameterList Identity Flatten Unflatten Linear Bilinear "
    "Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d MaxPool1d MaxPool2d AvgPool2d AdaptiveAvgPool2d "
    "AdaptiveMaxPool2d Unfold Fold Dropout Dropout2d BatchNorm1d BatchNorm2d SyncBatchNorm GroupNorm LayerNorm "
    "InstanceNorm2d RMSNorm LocalResponseNorm ReLU ReLU6 LeakyReLU PReLU ELU GELU SiLU Tanh Sigmoid Softmax "
    "LogSoftmax Hardswish Hardtanh Softplus Threshold RNN LSTM GRU RNNCell LSTMCell GRUCell Embedding "
    "EmbeddingBag MultiheadAttention Transformer TransformerEncoder TransformerEncoderLayer TransformerDecoder "
    "TransformerDecoderLayer MSELoss L1Loss SmoothL1Loss HuberLoss CrossEntropyLoss NLLLoss BCELoss "
    "BCEWithLogitsLoss KLDivLoss CTCLoss TripletMarginLoss CosineEmbeddingLoss MarginRankingLoss "
    "HingeEmbeddingLoss PoissonNLLLoss GaussianNLLLoss CosineSimilarity PixelShuffle Upsample ZeroPad2d "
    "ReflectionPad2d DataParallel",
    "nn.parallel": "DistributedDataParallel",
    "nn.init": "xavier_uniform_ xavier_normal_ kaiming_normal_ kaiming_uniform_ normal_ uniform_ zeros_ ones_ "
    "constant_ "
    "orthogonal_ trunc_normal_ eye_ dirac_ sparse_ calculate_gain",
    "nn.functional": "relu softmax log_softmax cross_entropy nll_loss mse_loss one_hot pad interpolate grid_sample "
    "affine_grid "
    "unfold fold gumbel_softmax normalize cosine_similarity scaled_dot_product_attention smooth_l1_loss dropout "
    "max_pool2d binary_cross_entropy embedding conv2d ctc_loss pairwise_distance embedding_bag",
    "nn.attention": "flex_attention sdpa_kernel",
    "optim": "SGD Adam AdamW RMSprop Adagrad Adadelta Adamax NAdam RAdam LBFGS SparseAdam Optimizer",
    "optim.swa_utils": "AveragedModel SWALR update_bn",
    "optim.lr_scheduler": "StepLR MultiStepLR ExponentialLR CosineAnnealingLR CosineAnnealingWarmRestarts "
    "ReduceLROnPlateau OneCycleLR "
    "CyclicLR LambdaLR LinearLR SequentialLR ChainedScheduler ConstantLR PolynomialLR MultiplicativeLR",
    "autograd": "grad backward Function gradcheck set_detect_anomaly detect_anomaly Variable forward_ad",
    "autograd.functional": "jacobian hessian",
    "autograd.profiler": "profile",
    "autograd.graph": "saved_tensors_hooks",
    "linalg": "norm inv svd eigh solve qr det matrix_norm vector_norm cholesky eig lstsq pinv matrix_exp",
    "Tensor": "half float long bfloat16 to cpu cuda numpy item tolist detach detach_ clone backward requires_grad_ "
    "retain_grad register_hook view reshape permute contiguous unfold numel size dim add_ zero_ fill_ normal_ "
    "scatter_ index_add_ index_add masked_fill_ masked_fill type pin_memory share_memory_ new_zeros random_ "
    "exponential_ bernoulli_ uniform_ copy_ clamp_ is_cuda T mT H grad_fn is_leaf expand repeat repeat_interleave "
    "unsqueeze squeeze element_size stride data_ptr storage untyped_storage is_contiguous to_sparse squeeze_ "
    "unsqueeze_ sqrt apply_ map_ nelement type_as data ndimension addmm index_fill_ index_copy_ index_put_ "
    "erfinv_ cauchy_ t ravel swapaxes movedim fliplr lerp median quantile kthvalue multinomial mode lerp_ "
    "addcmul_",
    "nn.Module": "half double float cuda cpu to train eval apply parameters named_parameters buffers children modules "
    "named_modules state_dict load_state_dict zero_grad register_buffer register_parameter register_module "
    "add_module get_submodule get_parameter register_forward_hook register_forward_pre_hook "
    "register_full_backward_hook requires_grad_ share_memory compile extra_repr bfloat16 type to_empty "
    "named_children named_buffers get_buffer set_submodule register_load_state_dict_post_hook",
}
ROOMS = {room: [f"{room}.{name}".strip(".") for name in names.split()] for room, names in USED.items()}
NAMES = [name for names in ROOMS.values() for name in names]


def reached(root, name):
    """None if the name is there, and otherwise the AttributeError of the first part that is not."""
    found = root
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            return str(error)
    return None


@pytest.mark.parametrize("room", ROOMS)
def test_a_name_is_here_or_the_error_says_why_not(room):
    errors = [error for name in ROOMS[room] if (error := reached(tr, name)) is not None]
    whys = tuple(f": {why}" for why in absent.NEAR.values())
    assert [error for error in errors if not error.endswith(whys) and ": write " not in error] == []


def test_an_own_attribute_takes_the_place_of_what_is_left_out():
    class Own(tr.nn.Module):
        type = "mine"

        def __init__(self):
            super().__init__()
            self.compile = 3

    assert (Own().type, Own().compile) == ("mine", 3)
    assert not hasattr(tr.nn.Module(), "compile")
    assert not hasattr(tr.ones(1), "unfold")


def test_what_nobody_left_out_is_a_bare_absence():
    for room in (tr, tr.nn, tr.nn.functional, tr.optim, tr.optim.lr_scheduler, tr.utils, tr.utils.data, tr.autograd):
        with pytest.raises(AttributeError, match=r"^module 'tinyres\S*' has no attribute 'no_such_thing'$"):
            _ = room.no_such_thing


def test_the_mends_of_what_is_left_out_give_what_is_wanted():
    import numpy as np

    x, y = np.random.default_rng(0).normal(size=(2, 5))
    n = len(x)
    assert tr.sort(tr.tensor(x), dim=-1)[0][..., (n - 1) // 2].item() == np.median(x)
    grid = np.meshgrid(x, y, indexing="ij")
    a, b = tr.tensor(x), tr.tensor(y)
    np.testing.assert_array_equal((a[:, None] + b[None, :]).numpy(), grid[0] + grid[1])
    images = np.random.default_rng(1).normal(size=(2, 3, 4, 5))
    np.testing.assert_array_equal(tr.tensor(images).amax(dim=(2, 3)).numpy(), images.max((2, 3)))


@pytest.mark.parity
def test_pytorch_has_them_all():
    torch = pytest.importorskip("torch")
    for name in NAMES:
        if "tensorboard" in name:
            continue  # which is a package of its own
        for room in range(1, name.count(".") + 2):
            try:
                importlib.import_module(".".join(["torch", *name.split(".")[:room]]))
            except ImportError:
                break
        assert reached(torch, name) is None, name


@pytest.mark.parametrize("kind", [tr.optim.Adam, tr.optim.AdamW])
def test_what_adam_leaves_out_it_says(kind):
    with pytest.raises(ValueError, match=f"{kind.__name__}: amsgrad is left out"):
        kind([tr.tensor([1.0], requires_grad=True)], amsgrad=True)


def test_what_is_elsewhere_or_spelled_alike_is_named():
    for room, name, said in (
        (tr, "relu6", r"write tr.nn.functional.relu6\(...\)"), (tr, "dropout", "write tr.nn.functional.dropout"),
        (nn, "Sequental", "did you mean Sequential"), (tr, "FloatTensor", "dtype=tr.float32"),
        (tr, "channels_last", "kernels choose the memory layout"), (nn, "LazyLinear", "give the sizes"),
        (tr, "special", "scipy.special"),
    ):  # fmt: skip
        with pytest.raises(AttributeError, match=said):
            getattr(room, name)
