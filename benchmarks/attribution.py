"""Do the heatmaps keep their promises, and what do they cost?

    DCE_DATA=folder/with/the/collections python benchmarks/attribution.py --weights runs
    python -m benchmarks attribution --only-cost     # → results/heatmap_cost.json

Conservation, agreement with independent implementations, behaviour on odd films, cost beside the peers, memory. Real films; trained
weights where `--weights` holds a card of that architecture, random weights with random batch-norm statistics elsewhere. Results go to
`results/attribution.csv` (one row a measurement, with its bound and whether it holds) and `.json` in `nbs/results`. The peers for the
cost part are optional: `pip install --no-deps grad-cam ttach torchcam zennit`. Times are processor seconds of one thread.
"""
import argparse, gc, importlib.metadata, json, platform, statistics, time, warnings
from copy import deepcopy
from pathlib import Path

import cv2, numpy as np, pandas as pd, torch, torchvision
from torch import nn

from deepcovidexplainer.core import CLASSES, data_dir
from deepcovidexplainer.sources import read_index
from deepcovidexplainer.cam import CAM_METHODS, cam_maps
from deepcovidexplainer.canonical import canonical
from deepcovidexplainer.lrp import Pass, lrp
from deepcovidexplainer.core import write_json
from deepcovidexplainer.models import cam_layer, create_model, list_archs, load_weights
from deepcovidexplainer.radiograph import load_radiograph
from deepcovidexplainer.zoo import load_ensemble

PAPER = list_archs()[:6] # VGG-16 and -19, ResNet-18 and -34, DenseNet-161 and -201
# What all four maps may cost, as a share of the peers' one by one
COST = dict(resnet18=.28, vgg19=.28, densenet161=.30, efficientnet_lite0=None)
OUT = Path(__file__).parents[1]/'nbs'/'results'
ROWS = []

def note(what, network, value, bound=None, weights='', detail=''):
    "One measurement; `bound` is an upper one"
    holds = None if bound is None else bool(value<=bound)
    about = dict(what=what, network=network, weights=weights)
    ROWS.append(dict(about, value=float(value), bound=bound, holds=holds, detail=detail))
    limit, answer = '' if bound is None else f'≤ {bound:g}', '' if holds is None else 'yes' if holds else 'NO'
    print(f'{what:58} {network:14} {value:10.3g} {limit} {answer}', flush=True)

def shake(model, seed=0):
    "Random batch-norm statistics, without which an untrained network does little"
    torch.manual_seed(seed)
    for m in model.modules():
        if not isinstance(m, nn.modules.batchnorm._BatchNorm): continue
        m.running_mean.data.uniform_(-.2, .2)
        m.running_var.data.uniform_(.5, 1.5)
        m.weight.data.uniform_(.5, 1.5)
        m.bias.data.uniform_(-.2, .3)
    return model.eval()

def network(arch, folder):
    "(model, 'trained' or 'random')"
    for card in sorted(Path(folder).glob('**/*.json')) if folder else ():
        path = card.with_suffix('.safetensors')
        try: known = json.loads(card.read_text(encoding='utf-8')).get('arch')
        except (OSError, ValueError, AttributeError): continue
        if known==arch and path.exists():
            return load_weights(path)[0].to(memory_format=torch.contiguous_format), f'trained: {card.stem}'
    torch.manual_seed(0)
    return shake(create_model(arch)), 'random'

def real_films(n, size):
    "n×1×size×size standardised adult films of all sources, drawn by turns"
    t = read_index(data_dir())
    t = t[t.label.isin(CLASSES) & ~t.child].sample(frac=1, random_state=0)
    t = t.assign(turn=t.groupby(['source', 'label']).cumcount()).sort_values('turn', kind='stable').head(n)
    x = [cv2.resize(load_radiograph(data_dir()/f).data, (size, size), interpolation=cv2.INTER_AREA) for f in t.film]
    return torch.from_numpy((np.stack(x)[:,None]-.5)/.25).float()

def off(model, x):
    "Largest |ΣR/logit − 1| of z⁺/flat/ε without biases, each film's top class"
    with torch.no_grad(): top = model(x).max(1)
    return float((lrp(model, x, top.indices).double().sum((1, 2))/top.values.double()-1).abs().max())

def conservation(models, x):
    for arch, (model, weights) in models.items():
        net = canonical(model)
        with torch.no_grad():
            scores = model(x)
            error = (net(x)-scores).abs().max()/scores.abs().max()
        note('canonical form: error of the logits, relative', arch, error, 1e-4, weights)
        detail = f'{len(x)} real films, {x.shape[-1]} px'
        note('conservation |ΣR/logit − 1|, worst film', arch, off(net, x), 1e-3, weights, detail)

def zennit_map(model, x, target, composite):
    x = x.clone().requires_grad_()
    with composite.context(model) as m:
        out = m(x)
        start = torch.zeros_like(out)
        start[:,target] = out[:,target].detach()
        return torch.autograd.grad(out, x, start)[0].detach().sum(1)

def merged(module):
    "Batch norm into the convolution before it, by PyTorch"
    last = None
    for name, child in list(module.named_children()):
        before = getattr(module, last) if last else None
        if isinstance(child, nn.BatchNorm2d) and isinstance(before, nn.Conv2d):
            setattr(module, last, nn.utils.fuse_conv_bn_eval(before, child))
            setattr(module, name, nn.Identity())
        elif list(child.children()): merged(child)
        last = name
    return module

def apart(ours, theirs): return (ours-theirs).abs().max()/theirs.abs().max()

def stock(name):
    "A network of torchvision for three classes"
    return getattr(torchvision.models, name)(num_classes=3)

def against_zennit(x):
    "The paper's and the α2β1 rules in double precision"
    import zennit.canonizers, zennit.composites, zennit.torchvision
    c, t = zennit.composites, zennit.torchvision
    additions = zennit.canonizers.CompositeCanonizer((t.ResNetBottleneckCanonizer(), t.ResNetBasicBlockCanonizer()))
    rules = {'paper':c.EpsilonPlusFlat, 'alpha2-beta1':c.EpsilonAlpha2Beta1Flat}
    for name, make in dict(vgg16=create_model, vgg19=create_model, resnet18=stock, resnet34=stock).items():
        torch.manual_seed(0)
        model, own = shake(make(name)).double(), make is create_model
        films = x.double() if own else x.double().repeat(1, 3, 1, 1)
        how = dict(epsilon=.1, stabilizer=1e-12, zero_params='bias', canonizers=None if own else [additions])
        for rule, composite in rules.items():
            theirs = zennit_map(merged(deepcopy(model)), films, 1, composite(**how))
            error = apart(lrp(model, films, 1, rule, eps=.1), theirs)
            note(f'difference from zennit, float64, {rule}', name, error, 1e-4, 'random')
    without_canonical_form(x, c.EpsilonPlusFlat(zero_params='bias'))

def without_canonical_form(x, composite):
    "The control: a stock ResNet as it is"
    torch.manual_seed(0)
    model, films = shake(stock('resnet18')), x.repeat(1, 3, 1, 1)
    with torch.no_grad(): scores = model(films)[:,1]
    without = (zennit_map(model, films, 1, composite).sum((1, 2))/scores-1).abs().min()
    why = 'must exceed 1e-3, or the test of conservation could not fail'
    note('control: smallest |ΣR/logit − 1| without canonical form', 'resnet18', without, None, 'random', why)
    ROWS[-1].update(bound=1e-3, holds=bool(without>1e-3))

def loops(a, g, method):
    "Grad-CAM and Grad-CAM++ of one film, one number at a time; `a` and `g` are C×h×w float64"
    out = np.zeros(a.shape[1:])
    for k in range(len(a)):
        if method=='grad-cam': weight = sum(g[k].ravel())/g[k].size
        else:
            weight, total = 0., sum(a[k].ravel())
            for gij in g[k].ravel():
                if gij>0: weight += gij**2/(2*gij**2+total*gij**3)*gij
        out += weight*a[k]
    return np.maximum(out, 0)

def by_hand(model, x, target):
    "Method → B×h×w by an ordinary backward pass in double precision and loops"
    model, kept = deepcopy(model).double(), []
    cam_layer(model).register_forward_hook(lambda m, i, o: (o.retain_grad(), kept.append(o))[0])
    model(x.double())[:,target].sum().backward()
    films = list(zip(kept[0].detach().numpy(), kept[0].grad.numpy()))
    return {m:np.stack([loops(a, g, m) for a, g in films]) for m in ('grad-cam', 'grad-cam++')}

def all_maps(model, x, target): return {**cam_maps(model, x, target), 'lrp':lrp(model, x, target)}

def one_by_one(model, x, target):
    "The largest difference of a batch's maps from those of its films, each asked alone"
    together, singles = all_maps(model, x, target), [all_maps(model, f[None], target) for f in x]
    for m in together:
        for a, s in zip(together[m], singles):
            yield float((a-s[m][0]).abs().max()/a.abs().max().clamp(min=1e-12))

def against_loops(models, x):
    for arch, (model, weights) in models.items():
        speaks = cam_maps(model, x, [0, 1, 2], 'cam')['cam'].amax((0, 2, 3))
        target = int(speaks.argmax()) # a class that something speaks for
        slow, methods = by_hand(model, x, target), ('grad-cam', 'grad-cam++')
        for kind in (torch.float32, torch.float64):
            ours = cam_maps(deepcopy(model).to(kind), x.to(kind), target, methods, upsample=False)
            for m in methods:
                error = np.abs(ours[m].numpy()-slow[m]).max()/np.abs(slow[m]).max()
                what = f'difference from float64 loops, {m}, {str(kind).removeprefix("torch.")}'
                note(what, arch, error, 1e-5, weights)
        worst = max(one_by_one(model, x, target))
        which = 'cam, grad-cam, grad-cam++, lrp'
        note('a batch differs from its films one by one, worst map', arch, worst, 1e-4, weights, which)

def never_nan(models, x):
    shades = torch.tensor([0., -2., 2., 1e4, -1e4]).view(-1, 1, 1, 1) # grey, black, white, far outside
    shades = shades.expand(-1, 1, *x.shape[-2:])
    detail = f'{len(x)} real films and {len(shades)} of one shade, {x.shape[-1]} px, five methods'
    for arch, (model, weights) in models.items():
        net, bad = canonical(model), 0
        for part in (*x.split(50), shades):
            maps = [*cam_maps(model, part).values(), lrp(net, part), lrp(net, part, rule='alpha2-beta1')]
            bad += sum(int((~torch.isfinite(m)).any((1, 2)).sum()) for m in maps)
        note('maps with NaN or infinity', arch, bad, 0, weights, detail)

def grown(net, film):
    "Sum of |R| on the film, and |sum of R − score|, both divided by the sum of |R| on the features"
    seen = Pass(net, film[None])
    c = int(seen.logits.argmax())
    look, r = seen.look([c]), lrp(seen, film[None], c)
    part, score = (look.a*look.g[0]).sum((2, 3)).double(), float(seen.logits[0, c])
    features = float(part.abs().sum()/part.sum().abs())*abs(score) # a score can be next to zero, what makes it up cannot
    return float(r.abs().sum())/features, abs(float(r.sum(dtype=torch.double))-score)/features

def nothing_grows(ensemble, x):
    """A film's relevance is at most as large, signs left out, as that of its features

    z⁺ makes no negative relevance out of positive; more of it was divided by next to nothing."""
    detail = f'{len(x)} real films, {x.shape[-1]} px, top class'
    for m in ensemble.members:
        net = canonical(m.model)
        told = [grown(net, film) for film in x]
        most, off = (max(0., *v) for v in zip(*told))
        note('sum of |R| on the film ÷ on the features, at most', m.name, most, 1.001, 'shipped', detail)
        note('|sum of R − score| ÷ sum of |R| on the features', m.name, off, 1e-4, 'shipped', detail)

def seconds(f):
    start = time.process_time()
    f()
    return time.process_time()-start

def peers(model, x):
    "Name → function: each of the four maps by a library of its own"
    import zennit.composites
    from captum.attr import LayerAttribution, LayerGradCam
    from pytorch_grad_cam import GradCAMPlusPlus
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    from torchcam.methods import CAM
    layer, head = cam_layer(model), [k for k, m in model.named_modules() if isinstance(m, nn.Linear)][-1]
    name = next(k for k, m in model.named_modules() if m is layer)
    def torchcam():
        with CAM(model, name, fc_layer=head, input_shape=tuple(x.shape[1:])) as method: return method(0, model(x))
    def captum():
        low = LayerGradCam(model, layer).attribute(x, 0)
        return LayerAttribution.interpolate(low, x.shape[-2:], 'bilinear')
    def pytorch_grad_cam():
        with GradCAMPlusPlus(model, [layer]) as method: return method(x, [ClassifierOutputTarget(0)])
    def zennit_lrp(): return zennit_map(model, x, 0, zennit.composites.EpsilonPlusFlat(zero_params='bias'))
    return {
        'CAM, torchcam':torchcam,
        'Grad-CAM, captum':captum,
        'Grad-CAM++, pytorch-grad-cam':pytorch_grad_cam,
        'LRP, zennit':zennit_lrp}

def timed(model, x, repeats):
    "Name → median processor seconds of all four maps of a film, of the floor, and of each peer; interleaved"
    net = canonical(model)
    def ours():
        seen = Pass(net, x)
        cam_maps(seen, x, 0)
        lrp(seen, x, 0)
    def forward_backward(): return torch.autograd.grad(model(f := x.clone().requires_grad_())[0,0], f)
    def one_lrp(): return lrp(net, x, 0)
    floor = {'one forward and backward':forward_backward, 'one LRP pass':one_lrp}
    jobs = {'ours, all four':ours, **floor, **peers(model, x)}
    for f in jobs.values(): f()
    times = [{k:seconds(f) for k, f in jobs.items()} for _ in range(repeats)]
    return {k:statistics.median(t[k] for t in times) for k in jobs}

def cost(x, repeats):
    "All four maps of one film beside the peers and beside the floor"
    for arch in COST:
        median = timed(network(arch, None)[0], x, repeats)
        detail = f'median of {repeats}, {x.shape[-1]} px'
        for k, s in median.items(): note(f'processor seconds: {k}', arch, s, None, 'random', detail)
        ours, once, one_lrp, *theirs = median.values()
        note('cost of all four ÷ peers one by one', arch, ours/sum(theirs), COST[arch], 'random')
        note('cost of all four ÷ (forward + backward + one LRP pass)', arch, ours/(once+one_lrp), 1.3, 'random')

def memory(x, n=1000):
    "Resident memory after the tenth and after the last of n explanations in a row"
    import psutil
    model, process = network('resnet18', None)[0], psutil.Process()
    net = canonical(model)
    for i in range(n):
        f = x[i%len(x)][None]
        cam_maps(model, f)
        lrp(net, f)
        if i==9:
            gc.collect()
            early = process.memory_info().rss
    gc.collect()
    ratio, detail = process.memory_info().rss/early, f'{x.shape[-1]} px, cam, grad-cam, grad-cam++, lrp'
    note(f'resident memory after {n} explanations ÷ after ten', 'resnet18', ratio, 1.02, 'random', detail)

def libraries():
    "Name → version, of those that are installed"
    there = {(d.metadata['Name'] or '').lower() for d in importlib.metadata.distributions()}
    known = ('torch', 'timm', 'captum', 'zennit', 'grad-cam', 'torchcam')
    return {k:importlib.metadata.version(k) for k in known if k in there}

def cost_alone(repeats):
    "What maps cost beside the peers → `results/heatmap_cost.json`"
    cost(nn.functional.interpolate(real_films(1, 64), (224, 224), mode='bilinear'), repeats)
    rows = [dict(network=r['network'], what=r['what'], value=round(r['value'], 4), bound=r['bound']) for r in ROWS]
    machine = f'{platform.machine()}, one thread, processor seconds'
    write_json(OUT/'heatmap_cost.json', dict(rows=rows, repeats=repeats, machine=machine, versions=libraries()))

def summary(table):
    "How many bounds hold, and which do not"
    fails = [f'{r.what}: {r.network}' for r in table[table.holds==False].itertuples()]
    return dict(holds=int((table.holds==True).sum()), of=int(table.holds.notna().sum()), fails=fails)

def main(weights, films, repeats, only_cost=False):
    torch.set_num_threads(1)
    warnings.filterwarnings('ignore')
    if only_cost: return cost_alone(repeats)
    start, models = time.process_time(), {arch:network(arch, weights) for arch in PAPER}
    x = real_films(films, 64)
    small = nn.functional.interpolate(x, (32, 32), mode='area')
    memory(small[:20])
    conservation(models, x[:32])
    against_zennit(x[:2])
    against_loops(models, x[:3])
    never_nan(models, small)
    nothing_grows(load_ensemble(), real_films(min(films, 200), 224))
    if repeats: cost(nn.functional.interpolate(x[:1], (224, 224), mode='bilinear'), repeats)
    OUT.mkdir(exist_ok=True)
    table = pd.DataFrame(ROWS)
    table.to_csv(OUT/'attribution.csv', index=False, float_format='%.6g')
    took, machine = round(time.process_time()-start), f'{platform.machine()}, one thread'
    about = dict(films=len(x), repeats=repeats, processor_seconds=took, machine=machine, versions=libraries())
    write_json(OUT/'attribution.json', about | summary(table))
    print((OUT/'attribution.json').read_text())

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--weights', type=Path, help='folder that is searched for trained weights with their cards')
    p.add_argument('--films', type=int, default=500, help='real films for the search for NaN')
    p.add_argument('--repeats', type=int, default=5, help='of each timing; 0 leaves cost out')
    p.add_argument('--only-cost', action='store_true', help='time alone, beside the peers')
    main(**vars(p.parse_args()))
