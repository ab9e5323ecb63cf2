"""DarkCovidNet in five folds under two protocols: by patient (the truth) and by image (what the literature does).

    DCE_DATA=folder/with/the/collections python benchmarks/folds.py --work runs

Keeps every out-of-fold posterior, raw and calibrated on a validation part inside each fold, in `deepcovidexplainer/results/folds.csv.gz`.
EfficientNet-Lite0 from ImageNet weights, its first stages fixed, whole films at 160 px, two snapshots averaged. Resumable.
"""
import argparse
from pathlib import Path

import numpy as np, pandas as pd, torch

from deepcovidexplainer.core import CLASSES, data_dir, package_file
from deepcovidexplainer.data import check_split, film_cache, patient_split, radiograph_dls
from deepcovidexplainer.ensemble import Ensemble, Member, average_posteriors
from deepcovidexplainer.evaluate import apply_temperature, conformal_threshold, fit_temperature
from deepcovidexplainer.learner import radiograph_learner
from deepcovidexplainer.models import Card, load_weights
from deepcovidexplainer.snapshots import fit_snapshots
from generalise import FROZEN, SIZE, index_of, recipe_of, shrink

def image_split(t, n_folds, seed):
    "What the literature does: films dealt out at random, patients on both sides"
    from sklearn.model_selection import StratifiedKFold
    fold = np.zeros(len(t), int)
    for i, (_, held) in enumerate(StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(t, t.label)): fold[held] = i
    return fold

def one(protocol, i, root, work):
    "Out-of-fold posteriors of one fold"
    out = work/'folds'/f'{protocol}-{i}.csv.gz'
    if out.exists(): return pd.read_csv(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    t, p = index_of(root, work), recipe_of(None)
    films = film_cache(t, root, p, work/'films', crop=None)
    rows = (t.collection=='darkcovidnet').to_numpy(); t, films = t[rows].reset_index(drop=True), films[rows]
    split = patient_split if protocol=='patient' else image_split
    by = t if protocol=='patient' else t.assign(group=np.arange(len(t)))
    test = split(t, 5, 0)==i
    rest = np.flatnonzero(~test); inner = split(t.iloc[rest].reset_index(drop=True), 8, 1)==0
    check_split(by, test); check_split(by.iloc[rest], inner)
    dls = radiograph_dls(by.iloc[rest].reset_index(drop=True), films[rest], inner, size=SIZE, mean=p.mean, std=p.std, balance='class', strength=.2, seed=i)
    learn = radiograph_learner(dls, 'efficientnet_lite0', 'imagenet', half=True, seed=i, frozen=FROZEN); torch.set_num_threads(1)
    folder = work/'folds'/f'{protocol}-{i}'
    with learn.no_bar(), learn.no_logging(): paths = fit_snapshots(learn, folder, Card('efficientnet_lite0', p.to_dict(), crop=None), 2, 2, 1e-3, seed=i)
    e = Ensemble([Member(f.stem, *load_weights(f)) for f in paths])
    look = lambda k: e.posteriors(np.stack([shrink(f) for f in films[k]]))[0]
    y = t.label.map(CLASSES.index).to_numpy()
    valid = look(rest[inner]); yv = y[rest[inner]]; temperature = fit_temperature(valid, yv)
    threshold = conformal_threshold(average_posteriors(apply_temperature(valid, temperature)), yv, .1)
    told = look(np.flatnonzero(test)); both = dict(raw=average_posteriors(told), calibrated=average_posteriors(apply_temperature(told, temperature)))
    r = t[test][['film', 'label', 'source', 'group', 'view', 'age', 'child', 'quality']].assign(protocol=protocol, fold=i, temperature=temperature, threshold=threshold,
        **{f'{k} {c}':q[:,j].round(4) for k, q in both.items() for j, c in enumerate(CLASSES)})
    r.to_csv(out, index=False)
    for f in folder.glob('*'): f.unlink()
    return r

if __name__ == '__main__':
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0]); a.add_argument('--work', type=Path, default='runs'); a = a.parse_args()
    done = []
    for i in range(5):
        for protocol in ('patient', 'image'): done.append(one(protocol, i, data_dir(), a.work)); print(protocol, i, flush=True)
    out = package_file()/'results'/'folds.csv.gz'; out.parent.mkdir(exist_ok=True)
    pd.concat(done).to_csv(out, index=False)
