"""Loads FOLDER/ours.safetensors strictly into the PyTorch module and writes it back as FOLDER/theirs.safetensors and as
FOLDER/theirs.pt, there as a training script saves a wrapped model."""
import sys

import torch
from safetensors.torch import load_file, save_file

import networks

folder = sys.argv[1]
state = load_file(f"{folder}/ours.safetensors")
net = networks.build("lenet-small", "relu")
net.load_state_dict(state, strict=True)
net.eval()
with torch.no_grad():
    z = net(torch.rand(4, 1, 28, 28))
assert z.shape == (4, 10) and torch.isfinite(z).all()
save_file(net.state_dict(), f"{folder}/theirs.safetensors")
wrapped = torch.nn.DataParallel(net)
torch.save({"epoch": 1, "state_dict": wrapped.state_dict()}, f"{folder}/theirs.pt")
print("PyTorch loads", sorted(state))
