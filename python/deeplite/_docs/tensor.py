"""Methods of tensors, dtypes and settings."""

DOCS = {
    "backward": """Adds the gradients of this tensor (a number, unless gradient is given) to
the .grad of all leaves it depends on, or of inputs only. retain_graph keeps what was saved
for another time; create_graph records the gradients themselves.

Raises RuntimeError without a graph, or a second time without retain_graph.

>>> x = dl.tensor(3.0, requires_grad=True)
>>> (x * x).backward()
>>> x.grad
tensor(6.)
""",
    "bfloat16": """The tensor as bfloat16.

>>> dl.tensor([1.0]).bfloat16().dtype
deeplite.bfloat16
""",
    "bool": """The tensor as booleans: whether each element is not 0.

>>> dl.tensor([0, 2]).bool()
tensor([False,  True])
""",
    "byte": """The tensor as uint8.

>>> dl.tensor([1]).byte().dtype
deeplite.uint8
""",
    "can_cast": """Whether values of one dtype may be stored in another in place:
floating-point numbers not as integers, nothing but booleans as booleans.

>>> dl.can_cast(dl.float32, dl.int64)
False
""",
    "char": """The tensor as int8.

>>> dl.tensor([1]).char().dtype
deeplite.int8
""",
    "clone": """A copy, through which gradients flow. memory_format chooses the order of its
elements; by default they lie as in the tensor, if that has no gaps.

>>> dl.tensor([1.0]).clone()
tensor([1.])
""",
    "copy_": """Overwrites the elements with those of src, which broadcasts and is converted.

>>> dl.zeros(2).copy_(dl.tensor([1, 2]))
tensor([1., 2.])
""",
    "cpu": """The tensor in the memory of the processor.

>>> dl.tensor([1.0]).cpu().device
device(type='cpu')
""",
    "cuda": """The tensor on a GPU.

Raises RuntimeError when there is no such backend.

>>> callable(dl.tensor([1.0]).cuda)
True
""",
    "data_ptr": """Address of the first element.

>>> dl.tensor([1.0]).data_ptr() % 4
0
""",
    "dim": """How many dimensions there are.

>>> dl.ones(2, 3).dim()
2
""",
    "double": """The tensor as float64.

>>> dl.tensor([1]).double().dtype
deeplite.float64
""",
    "element_size": """Bytes of an element.

>>> dl.tensor([1.0]).element_size()
4
""",
    "fill_": """Overwrites all elements with one number.

>>> dl.zeros(2).fill_(3)
tensor([3., 3.])
""",
    "float": """The tensor as float32.

>>> dl.tensor([1]).float().dtype
deeplite.float32
""",
    "get_device": """Number of the device, -1 for the processor.

>>> dl.tensor([1.0]).get_device()
-1
""",
    "get_num_threads": """How many threads kernels may use. The default is the smaller of the
affinity mask and the control group's quota, unless DEEPLITE_NUM_THREADS or OMP_NUM_THREADS
says otherwise.

>>> dl.get_num_threads() >= 1
True
""",
    "half": """The tensor as float16.

>>> dl.tensor([1.0]).half().dtype
deeplite.float16
""",
    "int": """The tensor as int32.

>>> dl.tensor([1.7]).int()
tensor([1], dtype=deeplite.int32)
""",
    "is_contiguous": """Whether the elements lie in order in memory, in that of memory_format.

>>> dl.ones(2, 3).t().is_contiguous()
False
>>> x = dl.ones(2, 3, 4, 4).to(memory_format=dl.channels_last)
>>> x.is_contiguous(), x.is_contiguous(memory_format=dl.channels_last)
(False, True)
""",
    "is_inference": """Whether the tensor was made in inference_mode.

>>> dl.tensor([1.0]).is_inference()
False
""",
    "is_pinned": """Whether the memory is pinned for copies to a GPU: False.

>>> dl.tensor([1.0]).is_pinned()
False
""",
    "is_set_to": """Whether both are the same view of the same storage.

>>> x = dl.tensor([1.0])
>>> x.is_set_to(x.detach())
True
""",
    "is_shared": """Whether the memory is shared between processes: False.

>>> dl.tensor([1.0]).is_shared()
False
""",
    "item": """The one element as a Python number.

Raises RuntimeError unless there is just one.

>>> dl.tensor([2.5]).item()
2.5
""",
    "long": """The tensor as int64.

>>> dl.tensor([1.7]).long()
tensor([1])
""",
    "numpy": """A NumPy array on the same memory. force: detach and copy to the processor first
where needed.

Raises RuntimeError for a tensor that needs a gradient, TypeError for bfloat16.

>>> dl.tensor([1.0, 2.0]).numpy()
array([1., 2.], dtype=float32)
""",
    "promote_types": """The dtype of a result of tensors with these two.

>>> dl.promote_types(dl.int64, dl.float16)
deeplite.float16
""",
    "requires_grad_": """Sets whether operations on this leaf are recorded, and returns it.

Raises RuntimeError for integers, and for the result of an operation when False.

>>> dl.tensor([1.0]).requires_grad_()
tensor([1.], requires_grad=True)
""",
    "retain_grad": """Lets backward leave the gradient of this tensor, which is no leaf, in
.grad.

>>> y = dl.tensor([1.0], requires_grad=True) * 2
>>> y.retain_grad()
>>> y.sum().backward()
>>> y.grad
tensor([1.])
""",
    "set_num_threads": """Lets kernels use n threads, 1 to 1024, from the next one on. Results
do not depend on it.

>>> dl.set_num_threads(dl.get_num_threads())
""",
    "short": """The tensor as int16.

>>> dl.tensor([1]).short().dtype
deeplite.int16
""",
    "to": """The tensor with another dtype, on another device, or with those of another tensor;
itself if nothing changes, unless copy. memory_format chooses the order of the elements:
channels_last (4 dimensions) and channels_last_3d (5) put the channels of a pixel side by side;
by default the order stays.

>>> dl.tensor([1.7]).to(dl.int64)
tensor([1])
>>> dl.tensor([1]).to("cpu", dl.float32)
tensor([1.])
>>> dl.ones(2, 3, 4, 5).to(memory_format=dl.channels_last).stride()
(60, 1, 15, 3)
""",
    "tolist": """The elements as nested lists of Python numbers (a number for no dimensions).

>>> dl.tensor([[1, 2], [3, 4]]).tolist()
[[1, 2], [3, 4]]
""",
    "type": """The tensor as another dtype; without one, its name as torch spells it.

>>> dl.tensor([1]).type(dl.float32).dtype
deeplite.float32
""",
    "type_as": """The tensor with the dtype of another.

>>> dl.tensor([1]).type_as(dl.ones(1)).dtype
deeplite.float32
""",
    "zero_": """Overwrites all elements with 0.

>>> dl.tensor([1, 2]).zero_()
tensor([0, 0])
""",
}
