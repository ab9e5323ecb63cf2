"""Train, choose, calibrate and measure the ensembles that ship.

    DCE_DATA=folder/with/the/collections python benchmarks/train_default.py --work runs --out deepcovidexplainer/weights/default

Resumable: films are cleaned once, every network continues from its last whole epoch, and what is finished is not done again.
`--only NAME` trains one network of `RUNS` and stops; without it the three chains of runs are trained, the weights of all snapshots of a chain
are averaged into one member, and the test and external films are measured for the card.
"""
import argparse, json, os, platform
from pathlib import Path

import numpy as np, torch

from deepcovidexplainer.core import CLASSES, data_dir, fingerprint
from deepcovidexplainer.data import assign_roles, check_split, film_cache, radiograph_dls
from deepcovidexplainer.ensemble import Member, calibrate, save_ensemble
from deepcovidexplainer.learner import radiograph_learner
from deepcovidexplainer.models import Card, load_weights, write_json
from deepcovidexplainer.snapshots import average_snapshots, fit_snapshots
from deepcovidexplainer.trial import card_scores
from generalise import FROZEN, index_of, recipe_of

HOLD_OUT = ('hannover', 'shenzhen', 'montgomery') # Neither training nor calibration sees these
LITE0 = dict(arch='efficientnet_lite0', init='imagenet', cycles=2, epochs=2, lr=1e-3, size=224, frozen=FROZEN)
PAPER = dict(init='scratch', cycles=3, epochs=2, lr=1e-3, size=96, sizes=(64, 96, 96), strength=.5, crop='lungs') # What one processor core can do in an hour
CHAINS, STAGES = 'abc', ('strong', 'calm', 'home')

def chain(name, seed):
    "Three stages, each from the last snapshot of the one before: strongly disturbed films, calmer ones, and the two collections that hold several classes"
    return {f'strong_{name}': dict(LITE0, cycles=3, seed=seed), f'calm_{name}': dict(LITE0, init=f'strong_{name}-3', lr=7e-4, strength=.3, seed=seed),
            f'home_{name}': dict(LITE0, init=f'calm_{name}-2', epochs=4, lr=5e-4, strength=.3, trust_reports=True, collections=('darkcovidnet', 'ieee8023'), seed=seed)}

RUNS = { # name → architecture, start, cycles, epochs a cycle, highest learning rate, side of the films it trains on
    **{k:v for seed, name in enumerate(CHAINS) for k, v in chain(name, seed).items()},
    'resnet18': dict(PAPER, arch='resnet18', epochs=4),
    'resnet18_imbalanced': dict(PAPER, arch='resnet18', epochs=4, balance=None),
    'resnet34': dict(PAPER, arch='resnet34', epochs=3),
    'vgg16': dict(PAPER, arch='vgg16'),
    'vgg19': dict(PAPER, arch='vgg19'),
    'densenet161': dict(PAPER, arch='densenet161'),
    'densenet201': dict(PAPER, arch='densenet201'),
}

def study(root, work, size=224, crop=None, trust_reports=False):
    "Roles and cleaned films of every film but children's collections"
    t, recipe = index_of(root, work), recipe_of('hist+clahe', size)
    return assign_roles(t, HOLD_OUT, trust_reports=trust_reports), film_cache(t, root, recipe, work/'films', crop=crop), recipe

def train(name, root, work):
    "The snapshots of one run of `RUNS`; those that exist are not trained again"
    run = dict(dict(seed=0, crop=None, balance='source', strength=1., sizes=(), frozen=(), trust_reports=False, collections=None), **RUNS[name])
    t, films, p = study(root, work, run['size'], run['crop'], run['trust_reports'])
    if run['collections']: t.loc[(t.role=='train') & ~t.collection.isin(run['collections']), 'role'] = 'left out'
    about, part = about_data(t), t.role.isin(['train', 'valid']).to_numpy()
    t, films = t[part].reset_index(drop=True), films[part]
    valid = (t.role == 'valid').to_numpy(); check_split(t, valid)
    init = next(iter(work.glob(f"*/{run['init']}.safetensors")), run['init']) # an earlier run's snapshot, or 'imagenet', or 'scratch'
    dls = radiograph_dls(t, films, valid, size=run['size'], mean=p.mean, std=p.std, balance=run['balance'], strength=run['strength'], seed=run['seed'])
    learn = radiograph_learner(dls, run['arch'], init, half=True, frozen=run['frozen'], seed=run['seed'])
    recipe = dict(run, augmentation='scale, rotation, shift, exposure, blur, compression, boxes, flips; `strength` is the share of films disturbed', optimiser='AdamW, wd 0.05, label smoothing 0.05',
                  precision='bfloat16 forward', batch=32, hardware=f'{platform.machine()}, CPU, {os.environ.get("OMP_NUM_THREADS", "all")} thread(s)', epochs_in_all=run['cycles']*run['epochs'])
    torch.set_num_threads(int(os.environ.get('OMP_NUM_THREADS', torch.get_num_threads())))
    with learn.no_bar(): return fit_snapshots(learn, work/name, Card(run['arch'], p.to_dict(), crop=run['crop'], data=about, recipe=recipe), run['cycles'], run['epochs'], run['lr'], name=name, seed=run['seed'], sizes=run['sizes'])

def about_data(t):
    "Which films of which sources played which role"
    counts = lambda part: {s:{c:int(n) for c,n in g.label.value_counts().items()} for s,g in part.groupby('source')}
    return dict(index=fingerprint(sorted(t.film)), split='by patient, near-duplicates (16×16 difference hash, 12 of 256 bits) count as one patient',
                films={r:counts(part) for r,part in t.groupby('role')}, groups={r:int(part.group.nunique()) for r,part in t.groupby('role')})

def numbers(t): return t.label.map({c:i for i,c in enumerate(CLASSES)}).to_numpy()

def measured(ensemble, t, films):
    "Scores on the test fold and on the external sources, with intervals"
    seen = t.role.isin(['test', 'external']).to_numpy()
    members, features = ensemble.posteriors(films[seen])
    return card_scores(t[seen].reset_index(drop=True), members, ensemble.typicality.distance(features)>ensemble.typicality.threshold, [m.name for m in ensemble.members], ensemble.temperature, ensemble.threshold)

def member(name, root, work):
    "One network: the mean of the weights of all snapshots of a chain"
    paths = [p for stage in STAGES for p in train(f'{stage}_{name}', root, work)]
    return Member(f'lite0-{name}', *load_weights(average_snapshots(paths, work/'averaged'/f'lite0-{name}.safetensors')))

def main(only, work, out):
    work.mkdir(parents=True, exist_ok=True); root = data_dir()
    if only: train(only, root, work); return
    members = [member(name, root, work) for name in CHAINS]
    t, films, _ = study(root, work)
    for role in ('test', 'external', 'valid'): # no patient, no copy of a film on both sides
        both = t[t.role.isin(['train', role])]; check_split(both, (both.role==role).to_numpy())
    pick = lambda role: (t.role==role).to_numpy()
    valid, y = films[pick('valid')], numbers(t[pick('valid')])
    few = np.random.default_rng(0).permutation(np.flatnonzero(pick('train')))[:800]
    several = t[pick('valid')].groupby('source').label.transform('nunique').to_numpy()>1 # where the source does not give the class away
    e = calibrate(members, valid, y, films[np.sort(few)], name='default', hard=several)
    e.about = dict(data=about_data(t), scores=measured(e, t, films))
    save_ensemble(e, out)
    print(json.dumps(e.about['scores'], indent=1)); print(e, 'temperature', e.temperature, 'threshold', e.threshold)

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--only', choices=list(RUNS))
    p.add_argument('--work', type=Path, default='runs'); p.add_argument('--out', type=Path, default='runs/default-ensemble')
    main(**vars(p.parse_args()))
