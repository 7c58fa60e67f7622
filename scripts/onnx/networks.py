"""Networks to export, of reduced width where they are published ones. Each: (module, shape of an image)."""

import torch
from torch import nn


class Normalised(nn.Module):
    """(x − mean) / std in front, as RobustBench has it."""

    def __init__(self, net, channels):
        super().__init__()
        self.net = net
        self.register_buffer("mean", torch.linspace(0.4, 0.5, channels).view(1, -1, 1, 1))
        self.register_buffer("std", torch.linspace(0.2, 0.25, channels).view(1, -1, 1, 1))

    def forward(self, x):
        return self.net((x - self.mean) / self.std)


class PreActBlock(nn.Module):
    def __init__(self, c_in, c, stride, act):
        super().__init__()
        self.bn1, self.bn2 = nn.BatchNorm2d(c_in), nn.BatchNorm2d(c)
        self.conv1 = nn.Conv2d(c_in, c, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(c, c, 3, 1, 1, bias=False)
        self.act = act()
        self.shortcut = nn.Conv2d(c_in, c, 1, stride, bias=False) if stride > 1 or c != c_in else None

    def forward(self, x):
        y = self.act(self.bn1(x))
        short = self.shortcut(y) if self.shortcut is not None else x
        return self.conv2(self.act(self.bn2(self.conv1(y)))) + short


class WideResNet(nn.Module):
    """A small wide residual network for 32×32 images."""

    def __init__(self, act=nn.ReLU, width=1):
        super().__init__()
        w = [16 * width, 32 * width, 64 * width]
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.blocks = nn.Sequential(PreActBlock(16, w[0], 1, act), PreActBlock(w[0], w[1], 2, act), PreActBlock(w[1], w[2], 2, act))
        self.bn, self.act, self.fc = nn.BatchNorm2d(w[2]), act(), nn.Linear(w[2], 10)

    def forward(self, x):
        x = self.act(self.bn(self.blocks(self.conv1(x))))
        return self.fc(nn.functional.avg_pool2d(x, 8).view(x.size(0), -1))


class SamePad(nn.Module):
    """Stride 2 with TensorFlow's SAME padding: zeros below and right."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 8, 3, 2), nn.Linear(8, 10)

    def forward(self, x):
        x = self.conv(nn.functional.pad(x, (0, 1, 0, 1)))
        return self.fc(nn.functional.silu(x).mean((2, 3)))


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 16), nn.Tanh(), nn.Linear(16, 10)), (1, 28, 28)


def cnn():
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.BatchNorm2d(16), nn.LeakyReLU(0.1), nn.Dropout(0.3), nn.Flatten(), nn.Linear(1024, 32), nn.BatchNorm1d(32), nn.ReLU(),
        nn.Linear(32, 10))
    return net, (3, 32, 32)


def lenet_small():
    return nn.Sequential(
        nn.Conv2d(1, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 4, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(1568, 100),
        nn.ReLU(), nn.Linear(100, 10)), (1, 28, 28)


def activations():
    layers = []
    for act in [nn.SiLU(), nn.GELU(), nn.GELU("tanh"), nn.Mish(), nn.Softplus(), nn.ELU(), nn.Hardswish(), nn.Hardsigmoid(),
                nn.PReLU(6), nn.SELU(), nn.ReLU6(), nn.CELU(0.7), nn.Softsign()]:
        layers += [nn.Conv2d(3 if not layers else 6, 6, 3, padding=1), act]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 10)), (3, 8, 8)


def norms():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.GroupNorm(4, 8), nn.SiLU(), nn.InstanceNorm2d(8, affine=True), nn.Conv2d(8, 8, 3), nn.Flatten(),
        nn.Linear(128, 20), nn.LayerNorm(20), nn.GELU(), nn.Linear(20, 10)), (3, 8, 8)


def odd():
    return nn.Sequential(
        nn.Conv2d(4, 8, (3, 2), stride=(2, 1), padding=(1, 0), groups=2), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=2, dilation=2),
        nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.MaxPool2d(3, 2, 1, ceil_mode=True), nn.AvgPool2d(3, 2, 1),
        nn.Flatten(), nn.LazyLinear(10)), (4, 17, 15)


def wideresnet():
    return Normalised(WideResNet(), 3), (3, 32, 32)


def wideresnet_silu():
    return WideResNet(nn.SiLU), (3, 32, 32)


def same_pad():
    return SamePad(), (3, 16, 16)


def published(name, size, **settings):
    def build():
        import torchvision

        return getattr(torchvision.models, name)(weights=None, num_classes=10, **settings), (3, size, size)

    return build


def vit():
    """vit_b_16 with its twelve layers and heads, of a sixteenth of the width."""
    from torchvision.models import VisionTransformer

    return VisionTransformer(64, 16, 12, 12, 48, 96, num_classes=10), (3, 64, 64)


def swin():
    """swin_t with its depths and windows, of a quarter of the width. Images of 64 pixels: windows are padded."""
    from torchvision.models import SwinTransformer

    return SwinTransformer([4, 4], 24, [2, 2, 6, 2], [1, 2, 4, 8], [7, 7], num_classes=10), (3, 64, 64)


def swin_even():
    """Windows that need no padding, as those of images of 224 pixels."""
    from torchvision.models import SwinTransformer

    return SwinTransformer([2, 2], 12, [2, 2], [1, 2], [4, 4], num_classes=10), (3, 32, 32)


class Resized(nn.Module):
    """Sizes that change: bilinear and bicubic up, a transposed convolution, the largest and the sum of exponentials."""

    def __init__(self):
        super().__init__()
        self.conv, self.back, self.fc = nn.Conv2d(3, 8, 3, 2, 1), nn.ConvTranspose2d(8, 4, 3, 2, 1, output_padding=1), nn.Linear(8, 10)

    def forward(self, x):
        y = nn.functional.interpolate(self.conv(x), scale_factor=2, mode="bilinear")
        y = self.back(nn.functional.interpolate(y, size=(11, 13), mode="bilinear", align_corners=True))
        y = nn.functional.interpolate(y, scale_factor=1.5, mode="bicubic")
        return self.fc(torch.cat([y.amax((2, 3)), y.flatten(2).logsumexp(2)], 1))


def resized():
    return Resized(), (3, 16, 16)


def densenet():
    from torchvision.models import DenseNet

    return DenseNet(8, (6, 12, 24, 16), 16, num_classes=10), (3, 64, 64)


def vgg16_bn():
    from torchvision.models import vgg

    net = nn.Sequential(vgg.make_layers(vgg.cfgs["D"], batch_norm=True), nn.Flatten(), nn.Linear(512, 10))
    return thinner(net, 4), (3, 32, 32)


def narrow_resnet(block, layers, width):
    def build():
        from torchvision.models import resnet

        kinds = {"basic": resnet.BasicBlock, "bottleneck": resnet.Bottleneck}
        net = resnet.ResNet(kinds[block], layers, num_classes=10)
        # A quarter of the width: every module is built anew with fewer channels.
        return thinner(net, width), (3, 64, 64)

    return build


def thinner(net, factor):
    """All convolutions, batch norms and linear layers with 1/factor of the channels, but for input and classes."""
    for name, child in list(net.named_children()):
        if isinstance(child, nn.Conv2d):
            c_in = child.in_channels if child.in_channels == 3 else child.in_channels // factor
            groups = child.groups if child.groups == 1 else child.groups // factor
            setattr(net, name, nn.Conv2d(c_in, child.out_channels // factor, child.kernel_size, child.stride, child.padding,
                                         child.dilation, groups, child.bias is not None))
        elif isinstance(child, nn.BatchNorm2d):
            setattr(net, name, nn.BatchNorm2d(child.num_features // factor))
        elif isinstance(child, nn.Linear):
            setattr(net, name, nn.Linear(child.in_features // factor, child.out_features))
        else:
            thinner(child, factor)
    return net


NETWORKS = {
    "mlp": mlp,
    "cnn": cnn,
    "lenet_small": lenet_small,
    "activations": activations,
    "norms": norms,
    "odd": odd,
    "same_pad": same_pad,
    "wideresnet": wideresnet,
    "wideresnet_silu": wideresnet_silu,
    "resnet18": narrow_resnet("basic", [2, 2, 2, 2], 4),
    "resnet50": narrow_resnet("bottleneck", [3, 4, 6, 3], 4),
    "densenet121": densenet,
    "mobilenet_v3_small": published("mobilenet_v3_small", 64),
    "efficientnet_b0": published("efficientnet_b0", 64),
    "convnext_tiny": published("convnext_tiny", 64),
    "vgg16_bn": vgg16_bn,
    "vit_b_16": vit,
    "swin_t": swin,
    "swin_even": swin_even,
    "resized": resized,
}


def make(name):
    """The network with weights that are none of a fresh one: statistics that moved, no zeros, logits of some size."""
    torch.manual_seed(3)
    net, shape = NETWORKS[name]()
    net(torch.rand(2, *shape))
    for module in net.modules():
        for key in ["running_mean", "running_var"]:
            buffer = getattr(module, key, None)
            if buffer is not None:
                buffer.copy_(torch.rand_like(buffer) * 0.4 + (0.8 if key == "running_var" else -0.2))
    with torch.no_grad():
        for parameter in net.parameters():
            # Also the last layer of torchvision's transformers, which starts with zeros.
            if parameter.dim() < 2 or not parameter.any():
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return net.eval(), shape
