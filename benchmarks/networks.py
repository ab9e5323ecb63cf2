"""Which method serves which network? Conservation of relevance, deletion, and who refuses in which words

    python -m benchmarks networks

Network by network and method by method: does it work, or with which words is it refused; by how much do the sums of LRP miss the
scores; and how fast does the probability fall when the most relevant pixels are painted over, beside a random order. Films are drawn,
so that it runs anywhere. The default's first network comes with its weights; the others are trained briefly, large ones for half as long,
which is enough to ask what they look at and no more.
First comes the randomisation check of contrastive LRP on the default's first network. Writes `results/networks.json` beside the notebooks,
which *Your own network* and *Your own rule* read. About a quarter of an hour of one core with `--steps 200`.
"""
import argparse, json
from functools import partial
from pathlib import Path

import numpy as np, torch
from torch.nn import functional as F

from deepcovidexplainer import CLASSES, METHODS, RadiographError, load_ensemble, synth_radiograph
from deepcovidexplainer.canonical import canonical
from deepcovidexplainer.core import package_file, write_json
from deepcovidexplainer.faithful import curve_area, deletion_curve, randomization_check
from deepcovidexplainer.lrp import lrp, lrp_attributions
from deepcovidexplainer.models import create_model, register_arch

LARGE = ('vgg16', 'vgg19', 'resnet34', 'densenet161', 'densenet201', 'resnet50')
SMALL = ('resnet18', 'efficientnet_b0', 'convnext_atto', 'mobilenetv3_small_100', 'regnetx_002',
         'vit_tiny_patch16_224', 'vision_learner(resnet18)')

def quick(name, size):
    "A method, with fewer steps than its default"
    few = {'integrated-gradients':dict(n_steps=8), 'occlusion':dict(window=size//4, stride=size//8)}
    return partial(METHODS[name], **few.get(name, {}))

def of_fastai(n_classes, in_chans):
    "What `vision_learner(dls, resnet18)` trains"
    from fastai.vision.learner import create_vision_model
    from torchvision.models import resnet18
    return create_vision_model(resnet18, n_classes, pretrained=False, n_in=in_chans)

def drawn(seeds, size):
    "(N×1×size×size standardised films, N class numbers)"
    made = [synth_radiograph(c, seed=s, size=size)[0].data for s in seeds for c in CLASSES]
    x = torch.from_numpy(np.stack(made)).float()[:, None]
    return (x-.5)/.25, torch.arange(len(made))%len(CLASSES)

def untrained(name, size, seed=0):
    torch.manual_seed(seed)
    return create_model(name, size=size).eval()

def trained(name, x, y, steps, bs=12):
    "A network that has seen drawn films for a few steps"
    model = untrained(name, x.shape[-1]).train()
    opt = torch.optim.AdamW(model.parameters(), 5e-4, weight_decay=.01)
    order = torch.Generator().manual_seed(0)
    for _ in range(steps):
        pick = torch.randperm(len(x), generator=order)[:bs]
        opt.zero_grad()
        F.cross_entropy(model(x[pick]), y[pick]).backward()
        opt.step()
    return model.eval()

def probability(model, c):
    "Function: films → probabilities of class `c`"
    def score(x):
        with torch.no_grad(): return model(x).softmax(1)[:, c].numpy()
    return score

def deletion(model, film, c, data):
    return curve_area(deletion_curve(probability(model, c), film, np.asarray(data, float), 8))

def form(model, name):
    "What a method is given: the network, or its canonical form, made once"
    if not name.startswith('lrp'): return model
    if not hasattr(model, 'kept'): model.kept = [canonical(model)] # a list, so that it is no part of the network
    return model.kept[0]

def one_method(model, x, name, judged):
    "Whether it works, or why not; with `judged` its mean deletion area"
    method, areas = quick(name, x.shape[-1]), []
    for film in x:
        film = film[None]
        with torch.no_grad(): c = int(model(film).argmax())
        try: data = method(form(model, name), film, c)[0]
        except RadiographError as e: return dict(works=False, why=e.came)
        if judged: areas.append(deletion(model, film, c, data))
    return dict(works=True, **({'deletion':round(float(np.mean(areas)), 4)} if judged else {}))

def by_chance(model, x):
    "Mean deletion area of random orders"
    rng, areas = np.random.default_rng(0), []
    for film in x:
        with torch.no_grad(): c = int(model(film[None]).argmax())
        areas += [deletion(model, film[None], c, rng.random(film.shape[1:])) for _ in range(3)]
    return round(float(np.mean(areas)), 4)

def conservation(model, x):
    "Worst of the films: |ΣR/score − 1| of LRP, and the largest share that a layer divided evenly; None if refused"
    try: checks = [lrp_attributions(form(model, 'lrp'), film[None])['lrp'].checks for film in x]
    except RadiographError: return None
    return dict(error=max(c['conservation_error'] for c in checks), evenly=round(max(c['evenly'] for c in checks), 4))

def row(name, make, x, weights, test=None):
    "Everything about one network; `test`: (films, class numbers) to judge the network itself"
    model, judged = make(), weights!='none'
    methods = {m: one_method(model, x, m, judged) for m in METHODS}
    about = dict(network=name, weights=weights, size=x.shape[-1], films=len(x))
    out = dict(about, lrp=conservation(model, x), methods=methods)
    out['right'] = None if test is None else share_right(model, *test)
    if judged: out['random'] = by_chance(model, x)
    print(name, out['lrp'], flush=True)
    return out

def kept(path, make):
    "A part of the result from `path`, made first where it is missing: a run that was stopped goes on"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, make())
    return json.loads(path.read_text())

def share_right(model, x, y):
    with torch.no_grad(): return round(float((model(x).argmax(1)==y).float().mean()), 3)

def contrastive(n=12):
    "Rank correlation of |map| before and after the top quarter of the layers was drawn at random"
    e = load_ensemble()
    films = [synth_radiograph(CLASSES[i%3], seed=i, size=256)[0] for i in range(n)]
    x = torch.cat([e.inputs(f)[0] for f in films])
    asked = {'lrp':lrp, 'lrp, contrast':partial(lrp, contrast=True)}
    rows = randomization_check(e.members[0].model, x, torch.arange(n)%3, asked)
    top = rows[(rows.shuffled>0) & (rows.shuffled<.3)]
    similar = top.groupby('method', sort=False).similarity.mean().round(3).to_dict()
    return dict(films=n, network=e.members[0].name, shuffled=round(float(top.shuffled.iloc[0]), 3), similarity=similar)

def all_rows(work, steps, size, ready):
    "Row by row: with shipped weights, briefly trained"
    e, (x, y), test = load_ensemble(), drawn(range(100, 120), size), drawn(range(4), size)
    own = torch.cat([e.inputs(synth_radiograph(c, seed=0, size=256)[0])[0] for c in CLASSES[1:]])
    asked = [('efficientnet_lite0', lambda: e.members[0].model, own, 'shipped', None)]
    asked += [(n, partial(trained, n, x, y, steps), test[0][:3], 'briefly trained', test) for n in SMALL]
    asked += [(n, partial(trained, n, x, y, steps//2), test[0][:1], 'briefly trained', test) for n in LARGE]
    if ready: asked = [a for a in asked if (work/f'{a[0]}.json').exists()]
    return [kept(work/f'{a[0]}.json', partial(row, *a)) for a in asked]

def main(work, steps, size, ready):
    torch.set_num_threads(1)
    register_arch('vision_learner(resnet18)', of_fastai)
    contrast, rows = kept(work/'contrast.json', contrastive), all_rows(work, steps, size, ready)
    about = dict(steps=steps, size=size, trained_on=60)
    told = dict(about=about, networks=rows, contrast=contrast)
    write_json(package_file().parent/'nbs'/'results'/'networks.json', told)

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    where = 'where parts are kept, so that a run that was stopped goes on'
    p.add_argument('--work', type=Path, default='runs/networks', help=where)
    p.add_argument('--ready', action='store_true', help='write the rows that are kept already, and no others')
    p.add_argument('--steps', type=int, default=25, help='of training, 12 films each')
    p.add_argument('--size', type=int, default=64, help='side of the drawn films in pixels')
    main(**vars(p.parse_args()))
