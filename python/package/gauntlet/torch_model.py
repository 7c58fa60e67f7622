"""Models of PyTorch. Imported when one is handed over, and not before."""

import contextlib
import hashlib
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .arrays import is_torch
from .errors import InputError
from .models import Model, Pull, logits_in

#: Parameters that are frozen now: how often, and what they were before. One model may be attacked by two threads.
_frozen: dict[int, tuple[int, bool]] = {}
_lock = threading.Lock()


def _array(pieces: list[torch.Tensor]) -> NDArray[np.float32]:
    """The rows of all pieces."""
    array: NDArray[np.float32] = (torch.cat(pieces) if len(pieces) > 1 else pieces[0].contiguous()).numpy()
    return array


@contextlib.contextmanager
def frozen(parameters: Iterable[torch.nn.Parameter]) -> Iterator[None]:
    """Parameters that need no gradient meanwhile: an attack asks for the input's alone, and saves a third of its time."""
    parameters = list(parameters)
    with _lock:
        for p in parameters:
            count, before = _frozen.get(id(p), (0, p.requires_grad))
            _frozen[id(p)] = (count + 1, before)
            p.requires_grad_(False)
    try:
        yield
    finally:
        with _lock:
            for p in parameters:
                count, before = _frozen.pop(id(p))
                if count > 1:
                    _frozen[id(p)] = (count - 1, before)
                else:
                    p.requires_grad_(before)


def _out_of_memory(error: BaseException) -> bool:
    if isinstance(error, getattr(torch, "OutOfMemoryError", torch.cuda.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


class TorchModel(Model):
    """A module, or a function of tensors, as it stands: on its device, in its precision, with the caller's autocast.

    Args:
        module: gives logits, a tuple whose first entry they are, an object with `.logits`, or a dictionary with `"logits"`.
        like: images that say the device, where the module has no parameters.
        device: where images are sent; default: where the module's parameters are.
        mean, std: of each channel, where the module wants normalised images: `(x - mean) / std` is done first.
        train_mode: whether a module in training mode is attacked as it is.
    """

    def __init__(
        self, module: Any, like: Any = None, *, device: Any = None, mean: Any = None, std: Any = None, train_mode: bool = False,
        name: str | None = None,
    ) -> None:
        self.module: Any = module
        self.notes: list[str] = []
        own = type(module).__name__ if isinstance(module, torch.nn.Module) else getattr(module, "__name__", "model")
        self.name = str(name or own)
        self.classes = 0
        tensors = list(module.parameters()) + list(module.buffers()) if isinstance(module, torch.nn.Module) else []
        self.device = self._device(tensors, like, device)
        self.dtype = next((t.dtype for t in tensors if t.dtype.is_floating_point), torch.float32)
        # On a GPU libraries choose their algorithms by the shape: with a constant one an image's bits depend on nothing else.
        self.padded = self.device.type != "cpu"
        if (mean is None) != (std is None):
            raise InputError("mean and std belong together: give both or neither")
        self.normalisation = None if mean is None else (self._per_channel(mean), self._per_channel(std))
        if self.normalisation is not None and not bool((self.normalisation[1] > 0).all()):
            raise InputError("std must be above 0 in every channel")
        self.train_mode = train_mode
        self.linearise = self._linearise
        self._most = 1 << 30

    def _per_channel(self, values: Any) -> torch.Tensor:
        return torch.as_tensor(np.asarray(values, dtype=np.float64), device=self.device).to(self.dtype).reshape(1, -1, 1, 1)

    def _device(self, tensors: list[torch.Tensor], like: Any, device: Any) -> torch.device:
        devices = sorted({str(t.device) for t in tensors})
        if device is not None:
            wanted = torch.device(device)
            same = [d for d in devices if torch.device(d).type == wanted.type]
            if devices and not same:
                raise InputError(f"device is {wanted}, the model is on {', '.join(devices)}: move it there with model.to({str(wanted)!r})")
            return torch.device(same[0]) if len(same) == 1 and wanted.index is None else wanted
        if len(devices) > 1:
            raise InputError(f"the model lies on several devices ({', '.join(devices)}): say with device= where images go")
        if devices:
            return torch.device(devices[0])
        return like.device if is_torch(like) else torch.device("cpu")

    def attacked(self) -> contextlib.AbstractContextManager[None]:
        """Its parameters are frozen, and restored afterwards whatever happens."""
        return frozen(self.module.parameters()) if isinstance(self.module, torch.nn.Module) else contextlib.nullcontext()

    def fingerprint(self) -> str:
        """sha256 of its structure, the normalisation before it, and names, shapes and bytes of its state dict."""
        if not isinstance(self.module, torch.nn.Module):
            return ""
        sha = hashlib.sha256()
        # As it prints itself, but for addresses, which another process has others of.
        sha.update(re.sub(r"0x[0-9a-f]+", "", f"{type(self.module).__qualname__} {self.module}").encode())
        if self.normalisation is not None:
            sha.update(repr([t.flatten().tolist() for t in self.normalisation]).encode())
        for name, tensor in self.module.state_dict().items():
            if isinstance(tensor, torch.Tensor):
                sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
                # As bytes: numpy does not have every dtype. What has no numbers has a name and a shape alone.
                if tensor.device.type == "meta":
                    continue
                sha.update(tensor.detach().contiguous().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
        return f"sha256:{sha.hexdigest()}"

    def look(self, x: NDArray[np.float32], width: int, train_mode: bool = False) -> None:
        """Beside what any model is looked at for: training mode, dropout that drops, gradients that are cut."""
        training = self._training()
        if training and not self.train_mode:
            shown = ", ".join(training[:3]) + (", ..." if len(training) > 3 else "")
            raise InputError(
                f"{self.name} is in training mode ({len(training)} of its modules: {shown}): batch norm would take statistics of the "
                "batch and dropout would drop; call model.eval() before, or say train_mode=True if that is what you want to attack"
            )
        if self.normalisation is not None and self.normalisation[0].shape[1] not in (1, x.shape[1]):
            raise InputError(f"mean has {self.normalisation[0].shape[1]} channels, the images {x.shape[1]}")
        super().look(x, width)

    def _training(self) -> list[str]:
        if not isinstance(self.module, torch.nn.Module):
            return []
        return [f"{name or 'itself'} ({type(m).__name__})" for name, m in self.module.named_modules() if m.training]

    def _tensor(self, x: NDArray[np.float32]) -> torch.Tensor:
        return torch.from_numpy(x).to(device=self.device, dtype=self.dtype)

    def _answer(self, x: torch.Tensor) -> torch.Tensor:
        if self.normalisation is not None:
            x = (x - self.normalisation[0]) / self.normalisation[1]
        z = logits_in(self.module(x))
        if not isinstance(z, torch.Tensor):
            raise InputError(f"{self.name} answers {type(z).__name__}; logits are a tensor")
        if z.ndim != 2 or z.shape[0] != x.shape[0] or z.shape[1] < 2:
            raise InputError(f"{self.name} answers {len(x)} images with the shape {tuple(z.shape)}; logits are ({len(x)}, K), K at least 2")
        if not z.dtype.is_floating_point:
            raise InputError(f"{self.name} answers {z.dtype}; logits are floats")
        return z

    def normalised(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Images as the module itself is given them."""
        if self.normalisation is None:
            return x
        return _array([((self._tensor(x) - self.normalisation[0]) / self.normalisation[1]).float().cpu()])

    def _pieces(self, x: NDArray[np.float32], call: Callable[[NDArray[np.float32]], Any]) -> list[Any]:
        """Calls in pieces that fit into memory: where one does not, halves are tried, and so from then on."""
        done, at = [], 0
        while at < len(x):
            try:
                done.append(call(x[at : at + self._most]))
                at += self._most
            except Exception as error:
                size = min(self._most, len(x) - at)
                if not _out_of_memory(error) or size == 1:
                    raise
                self._most = size // 2
                self.notes.append(f"{size} images at once do not fit into memory: {self._most} are taken")
        return done

    def forward(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits `(N, K)`."""
        with torch.no_grad():
            z = self._pieces(x, lambda piece: self._answer(self._tensor(piece)).float().cpu())
        return _array(z)

    def _linearise(self, x: NDArray[np.float32]) -> tuple[NDArray[np.float32], Pull]:
        def taped(piece: NDArray[np.float32]) -> tuple[torch.Tensor, torch.Tensor]:
            # Whatever the caller's grad mode is: without a tape there is no gradient.
            with torch.inference_mode(False), torch.enable_grad():
                leaf = self._tensor(piece).requires_grad_()
                z = self._answer(leaf)
            if not z.requires_grad:
                raise InputError(
                    f"{self.name} gives no gradient: its logits do not depend on its input as far as autograd knows (a torch.no_grad, "
                    "detach, .data or numpy in its forward); take that out, or attack it as a black box: "
                    "gauntlet.Model(lambda x: model(torch.from_numpy(x)).detach()) and attacks=\"square\""
                )
            return leaf, z

        tape = self._pieces(x, taped)

        def pull(cotangent: NDArray[np.float32]) -> NDArray[np.float32]:
            gradients, at = [], 0
            for leaf, z in tape:
                c = torch.from_numpy(cotangent[at : at + len(z)]).to(device=z.device, dtype=z.dtype)
                at += len(z)
                # None: this part of the logits does not reach the image, and that is a zero.
                (g,) = torch.autograd.grad(z, leaf, c, retain_graph=True, allow_unused=True)
                gradients.append((torch.zeros_like(leaf) if g is None else g).float().cpu())
            return _array(gradients)

        return _array([z.detach().float().cpu() for _, z in tape]), pull
