"""Train, choose, calibrate and measure the ensembles that ship.

    DCE_DATA=folder/with/the/collections python benchmarks/train_default.py --work runs --name default --out deepcovidexplainer/weights/default

Resumable: films are cleaned once, every network continues from its last whole epoch, and what is finished is not done again.
`--only NAME` trains one network of `RUNS` and stops; without it the runs that `ENSEMBLES` lists for `--name` are trained, of each the snapshot with
the smallest validation loss becomes a member, and the test and external films are measured for the card.
"""
import argparse, json, os, platform
from pathlib import Path

import numpy as np, torch

from deepcovidexplainer.core import CLASSES, data_dir, fingerprint
from deepcovidexplainer.data import assign_roles, check_split, film_cache, radiograph_dls
from deepcovidexplainer.ensemble import Ensemble, Member, calibrate, save_ensemble
from deepcovidexplainer.evaluate import nll
from deepcovidexplainer.learner import radiograph_learner
from deepcovidexplainer.models import Card, load_weights, write_json
from deepcovidexplainer.snapshots import fit_snapshots
from deepcovidexplainer.trial import card_scores
from generalise import FROZEN, index_of, recipe_of

HOLD_OUT = ('hannover', 'shenzhen', 'montgomery') # Neither training nor calibration sees these
LITE0 = dict(arch='efficientnet_lite0', init='imagenet', cycles=2, epochs=2, lr=1e-3, size=224, frozen=FROZEN)
PAPER = dict(init='scratch', cycles=3, lr=1e-3, size=128, sizes=(64, 96, 128), strength=.3) # What a processor core can do in ten to twenty minutes
RUNS = { # name → architecture, start, cycles, epochs a cycle, highest learning rate, side of the films it trains on
    'lite0_strong': dict(LITE0, cycles=3),
    'lite0_calm': dict(LITE0, init='lite0_strong-3', lr=7e-4, strength=.3),
    'lite0_home': dict(LITE0, init='lite0_calm-2', epochs=4, lr=5e-4, strength=.3, trust_reports=True, collections=('darkcovidnet', 'ieee8023')),
    'resnet18': dict(PAPER, arch='resnet18', epochs=10),
    'resnet18_imbalanced': dict(PAPER, arch='resnet18', epochs=10, balance=None),
    'resnet34': dict(PAPER, arch='resnet34', epochs=8),
    'vgg16': dict(PAPER, arch='vgg16', epochs=6),
    'vgg19': dict(PAPER, arch='vgg19', epochs=5),
    'densenet161': dict(PAPER, arch='densenet161', epochs=4),
    'densenet201': dict(PAPER, arch='densenet201', epochs=5),
}
ENSEMBLES = dict(default=['lite0_strong', 'lite0_calm', 'lite0_home'])

def study(root, work, size=224, crop=None, trust_reports=False):
    "Roles and cleaned films of every film but children's collections"
    t, recipe = index_of(root, work), recipe_of('hist+clahe', size)
    return assign_roles(t, HOLD_OUT, trust_reports=trust_reports), film_cache(t, root, recipe, work/'films', crop=crop), recipe

def train(name, root, work):
    "The snapshots of one run of `RUNS`; those that exist are not trained again"
    run = dict(dict(crop=None, balance='source', strength=1., sizes=(), frozen=(), trust_reports=False, collections=None), **RUNS[name])
    t, films, p = study(root, work, run['size'], run['crop'], run['trust_reports'])
    if run['collections']: t.loc[(t.role=='train') & ~t.collection.isin(run['collections']), 'role'] = 'left out'
    about, part = about_data(t), t.role.isin(['train', 'valid']).to_numpy()
    t, films = t[part].reset_index(drop=True), films[part]
    valid = (t.role == 'valid').to_numpy(); check_split(t, valid)
    init = next(iter(work.glob(f"*/{run['init']}.safetensors")), run['init']) # an earlier run's snapshot, or 'imagenet', or 'scratch'
    dls = radiograph_dls(t, films, valid, size=run['size'], mean=p.mean, std=p.std, balance=run['balance'], strength=run['strength'])
    learn = radiograph_learner(dls, run['arch'], init, half=True, frozen=run['frozen'])
    recipe = dict(run, augmentation='scale, rotation, shift, exposure, blur, compression, boxes, flips; `strength` is the share of films disturbed', optimiser='AdamW, wd 0.05, label smoothing 0.05',
                  precision='bfloat16 forward', batch=32, seed=0, hardware=f'{platform.machine()}, CPU, {os.environ.get("OMP_NUM_THREADS", "all")} thread(s)', epochs_in_all=run['cycles']*run['epochs'])
    torch.set_num_threads(int(os.environ.get('OMP_NUM_THREADS', torch.get_num_threads())))
    with learn.no_bar(): return fit_snapshots(learn, work/name, Card(run['arch'], p.to_dict(), crop=run['crop'], data=about, recipe=recipe), run['cycles'], run['epochs'], run['lr'], name=name, sizes=run['sizes'])

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

def chosen(members, valid, y):
    "Of each run the snapshot with the smallest validation loss"
    p, _ = Ensemble(members).posteriors(valid)
    best = {}
    for m, q in zip(members, p):
        run, loss = m.name.rsplit('-', 1)[0], nll(q, y)
        if run not in best or loss<best[run][0]: best[run] = loss, m
    return [best[run][1] for run in sorted(best, key=lambda r: r!='lite0_calm')] # the first one's features say what is typical

def main(only, name, runs, work, out):
    work.mkdir(parents=True, exist_ok=True); root = data_dir()
    if only: train(only, root, work); return
    runs = runs or ENSEMBLES[name]
    paths = [path for r in runs for path in train(r, root, work)]
    members = [Member(path.stem, *load_weights(path)) for path in paths]
    t, films, _ = study(root, work, members[0].card.preprocess['size'], members[0].card.crop)
    for role in ('test', 'external', 'valid'): # no patient, no copy of a film on both sides
        both = t[t.role.isin(['train', role])]; check_split(both, (both.role==role).to_numpy())
    pick = lambda role: (t.role==role).to_numpy()
    valid, y = films[pick('valid')], numbers(t[pick('valid')])
    few = np.random.default_rng(0).permutation(np.flatnonzero(pick('train')))[:800]
    e = calibrate(chosen(members, valid, y), valid, y, films[np.sort(few)], name=name)
    e.about = dict(data=about_data(t), scores=measured(e, t, films))
    save_ensemble(e, out)
    print(json.dumps(e.about['scores'], indent=1)); print(e, 'temperature', e.temperature, 'threshold', e.threshold)

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--only', choices=list(RUNS)); p.add_argument('--name', choices=list(ENSEMBLES), default='default'); p.add_argument('--runs', nargs='+', choices=list(RUNS))
    p.add_argument('--work', type=Path, default='runs'); p.add_argument('--out', type=Path, default='runs/default-ensemble')
    main(**vars(p.parse_args()))
