r"""Train, choose, calibrate and measure the ensembles that ship.

    DCE_DATA=folder/with/the/collections python benchmarks/train_default.py --work runs --pictures folder \
        --out deepcovidexplainer/weights/default

Resumable: films are cleaned once, every network continues from its last whole epoch, and what is finished is not done again.
`--only NAME` trains one network of `RUNS` and stops; without it the three chains of runs are trained, the weights of all snapshots of a
chain are averaged into one member, and the test and external films are measured for the card. `--pictures` names a folder with pictures
that are no chest films, from which the guard learns what those look like; the shipped one saw the pictures of Debian's package `opencv-doc`
(`apt-get download opencv-doc && dpkg-deb -x opencv-doc*.deb folder`): photographs, drawings and screen shots.
"""
import argparse, json, os, platform
from dataclasses import dataclass
from pathlib import Path

import cv2, numpy as np, torch

from deepcovidexplainer.core import CLASSES, data_dir, fingerprint
from deepcovidexplainer.loaders import film_cache
from deepcovidexplainer.splits import assign_roles, check_split
from deepcovidexplainer.ensemble import Member, calibrate, save_ensemble
from deepcovidexplainer.models import load_weights
from deepcovidexplainer.radiograph import load_radiograph
from deepcovidexplainer.snapshots import average_snapshots
from deepcovidexplainer.training import Recipe, Study, fit_networks
from deepcovidexplainer.evaluation import card_scores
from generalise import FROZEN, index_of, recipe_of

HOLD_OUT = ('hannover', 'shenzhen', 'montgomery') # Neither training nor calibration sees these
LITE0 = dict(arch='efficientnet_lite0', init='imagenet', cycles=2, epochs=2, lr=1e-3, size=224, frozen=FROZEN)
HOME = ('darkcovidnet', 'ieee8023') # Where the source does not give the class away
# The paper's networks on all collections, small films first; then snapshots on the collections of `HOME`
WIDE = dict(init='scratch', cycles=2, lr=1e-3, size=128, sizes=(64, 96), strength=.5)
PAPER = dict(cycles=3, lr=7e-4, size=128, strength=.3, trust_reports=True, collections=HOME)
# Epochs of a cycle in either stage: what a processor core can do
EPOCHS = dict(resnet18=(10, 5), resnet34=(8, 5), vgg16=(6, 5), vgg19=(6, 4), densenet161=(5, 5), densenet201=(4, 4))
CHAINS, STAGES = 'abc', ('strong', 'calm', 'home')

def chain(name, seed):
    """Three stages, each from the last snapshot of the one before

    Strongly disturbed films, calmer ones, and the two collections that hold several classes."""
    calm = dict(LITE0, init=f'strong_{name}-3', lr=7e-4, strength=.3, seed=seed)
    home = dict(LITE0, init=f'calm_{name}-2', epochs=4, lr=5e-4, strength=.3, trust_reports=True, collections=HOME,
                seed=seed)
    return {f'strong_{name}': dict(LITE0, cycles=3, seed=seed), f'calm_{name}': calm, f'home_{name}': home}

def paper(arch, wide, home):
    "Two stages of a network of the paper"
    first = f'wide_{arch}'
    return {first:dict(WIDE, arch=arch, epochs=wide), arch:dict(PAPER, arch=arch, init=f'{first}-2', epochs=home)}

RUNS = { # name → architecture, start, cycles, epochs a cycle, highest learning rate, side of the films it trains on
    **{k:v for seed, name in enumerate(CHAINS) for k, v in chain(name, seed).items()},
    **{k:v for arch, epochs in EPOCHS.items() for k, v in paper(arch, *epochs).items()},
    'resnet18_imbalanced': dict(PAPER, arch='resnet18', init='wide_resnet18-2', epochs=5, balance=None),
    'resnet18_scratch': dict(PAPER, arch='resnet18', init='scratch', epochs=16), # as long in all as with the wide stage
}

USUAL = dict(seed=0, crop=None, balance='source', strength=1., sizes=(), frozen=(), trust_reports=False,
             collections=None)

def study(root, work, size=224, crop=None, trust_reports=False):
    "Roles and cleaned films of every film but children's collections"
    t, recipe = index_of(root, work), recipe_of('hist+clahe', size)
    t = assign_roles(t, HOLD_OUT, trust_reports=trust_reports)
    return t, film_cache(t, root, recipe, work/'films', crop=crop), recipe

@dataclass
class Told(Study):
    "A study whose card tells every role, of the films held out, too"
    told:dict = None
    def about(self): return self.told

def told_recipe(run):
    "What the card says of the training"
    kinds = 'scale, rotation, shift, exposure, blur, compression, boxes, flips'
    share = '`strength` is the share of films disturbed'
    threads = os.environ.get('OMP_NUM_THREADS', 'all')
    return dict(
        run,
        augmentation=f'{kinds}; {share}',
        optimiser='AdamW, wd 0.05, label smoothing 0.05',
        precision='bfloat16 forward',
        batch=32,
        hardware=f'{platform.machine()}, CPU, {threads} thread(s)',
        epochs_in_all=run['cycles']*run['epochs'])

def train(name, root, work):
    "The snapshots of one run of `RUNS`; those that exist are not trained again"
    run = dict(USUAL, **RUNS[name])
    t, films, p = study(root, work, run['size'], run['crop'], run['trust_reports'])
    if run['collections']:
        t.loc[(t.role=='train') & ~t.collection.isin(run['collections']), 'role'] = 'left out'
    if (start := run['init'].rsplit('-', 1)[0]) in RUNS: train(start, root, work)
    about, part = about_data(t), t.role.isin(['train', 'valid']).to_numpy()
    t, films = t[part].reset_index(drop=True), films[part]
    valid = (t.role == 'valid').to_numpy()
    check_split(t, valid)
    init = run['init'] # An earlier run's snapshot, or 'imagenet', or 'scratch'
    init = next(map(str, work.glob(f'*/{init}.safetensors')), init)
    taken = ('arch', 'cycles', 'epochs', 'lr', 'balance', 'strength', 'crop', 'frozen', 'seed')
    recipe = Recipe(init=init, sizes=run['sizes'] or (run['size'],), half=True, **{k:run[k] for k in taken})
    torch.set_num_threads(int(os.environ.get('OMP_NUM_THREADS', torch.get_num_threads())))
    told = Told(t, root, valid, CLASSES, about)
    return fit_networks(told, recipe, work/name, films, name, **told_recipe(run))

def by_class(t):
    "Source → class → films"
    return {s:{c:int(n) for c,n in g.label.value_counts().items()} for s,g in t.groupby('source')}

def about_data(t):
    "Which films of which sources played which role"
    roles = list(t.groupby('role'))
    split = 'by patient, near-duplicates (16×16 difference hash, 12 of 256 bits) count as one patient'
    return dict(index=fingerprint(sorted(t.film)), split=split, films={r:by_class(part) for r,part in roles},
                groups={r:int(part.group.nunique()) for r,part in roles})

def readable(x):
    "Whether a picture is of some size, not too long and not of one shade"
    return x is not None and min(x.shape)>=100 and max(x.shape)<=2.5*min(x.shape) and x.min()!=x.max()

def pictures_in(folder, most=None, side=1024):
    "(name, H×W uint8) of the distinct pictures below a folder, grey, at most `side` pixels a side"
    seen = set()
    paths = (p for p in folder.rglob('*') if p.suffix.lower() in ('.jpg', '.jpeg', '.png', '.webp'))
    for path in sorted(paths):
        x = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if not readable(x): continue
        tiny = cv2.resize(x, (8, 8), interpolation=cv2.INTER_AREA)
        bits = (tiny>tiny.mean()).tobytes()
        if bits in seen: continue
        seen.add(bits)
        scale = min(1, side/max(x.shape))
        yield path.name, cv2.resize(x, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        if len(seen)==most: return

def strangers(folder, p, most=700, seed=0):
    """N×S×S uint8 pictures that are no films, cleaned like films

    Each whole and as two pieces, some mirrored, inverted, turned or blurred."""
    rng, out = np.random.default_rng(seed), []
    for _,x in pictures_in(folder, most):
        for piece in (x, *(_piece(x, rng) for _ in range(2))):
            if min(piece.shape)<64 or piece.min()==piece.max(): continue
            film = load_radiograph(piece/np.float32(255)).resized(512)
            out.append(np.round(p.clean(film)*255).astype(np.uint8))
    return np.stack(out)

def _piece(x, rng):
    h, w = (int(n*rng.uniform(.4, .9)) for n in x.shape)
    r, c = rng.integers(0, x.shape[0]-h+1), rng.integers(0, x.shape[1]-w+1)
    x = x[r:r+h, c:c+w]
    if rng.random()<.5: x = x[:, ::-1]
    if rng.random()<.3: x = 255-x
    if rng.random()<.2: x = np.rot90(x)
    return cv2.GaussianBlur(x.copy(), (0, 0), rng.uniform(1, 6)) if rng.random()<.4 else x.copy()

def numbers(t): return t.label.map({c:i for i,c in enumerate(CLASSES)}).to_numpy()

def measured(ensemble, t, films):
    "Scores on the test fold and on the external sources, with intervals"
    seen = t.role.isin(['test', 'external']).to_numpy()
    members, features = ensemble.posteriors(films[seen])
    odd, names = ~ensemble.typicality.typical(features), [m.name for m in ensemble.members]
    t = t[seen].reset_index(drop=True)
    return card_scores(t, members, odd, names, ensemble.temperature, ensemble.threshold)

def member(name, root, work):
    "One network: the mean of the weights of all snapshots of a chain"
    paths = [p for stage in STAGES for p in train(f'{stage}_{name}', root, work)]
    return Member(f'lite0-{name}', *load_weights(average_snapshots(paths, work/'averaged'/f'lite0-{name}.safetensors')))

def main(only, work, out, pictures):
    work.mkdir(parents=True, exist_ok=True)
    root = data_dir()
    if only:
        train(only, root, work)
        return
    members = [member(name, root, work) for name in CHAINS]
    t, films, p = study(root, work)
    for role in ('test', 'external', 'valid'): # no patient, no copy of a film on both sides
        both = t[t.role.isin(['train', role])]
        check_split(both, (both.role==role).to_numpy())
    def pick(role): return (t.role==role).to_numpy()
    valid, y = films[pick('valid')], numbers(t[pick('valid')])
    few = np.random.default_rng(0).permutation(np.flatnonzero(pick('train')))[:800]
    # where the source does not give the class away
    several = t[pick('valid')].groupby('source').label.transform('nunique').to_numpy()>1
    known = strangers(pictures, p) if pictures else None
    e = calibrate(members, valid, y, films[np.sort(few)], name='default', hard=several, strangers=known)
    e.about = dict(data=about_data(t), scores=measured(e, t, films))
    save_ensemble(e, out)
    print(json.dumps(e.about['scores'], indent=1))
    print(e, 'temperature', e.temperature, 'threshold', e.threshold)

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--only', choices=list(RUNS))
    p.add_argument('--work', type=Path, default='runs')
    p.add_argument('--out', type=Path, default='runs/default-ensemble')
    p.add_argument('--pictures', type=Path, help='folder with pictures that are no chest films')
    main(**vars(p.parse_args()))
