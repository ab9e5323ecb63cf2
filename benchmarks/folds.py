"""DarkCovidNet in five folds under two protocols: by patient (the truth) and by image (what the literature does).

    DCE_DATA=folder/with/the/collections python benchmarks/folds.py --work runs

EfficientNet-Lite0 on whole, equalised films at 224 px, its first stages fixed. It starts from ImageNet weights, learns three
epochs of every other collection, without any patient of this one, and then the four training folds; two snapshots are averaged, for each
of three seeds. Keeps every out-of-fold posterior, raw and calibrated on a validation part inside each fold, in
`nbs/results/folds.csv.gz`. `imagenet` skips the other collections: what they are worth. Resumable.
"""
import argparse, shutil
from pathlib import Path

import numpy as np, pandas as pd, torch

from deepcovidexplainer.core import CLASSES, data_dir, package_file
from deepcovidexplainer.loaders import film_cache
from deepcovidexplainer.splits import check_split, patient_split
from deepcovidexplainer.ensemble import Ensemble, Member, average_posteriors
from deepcovidexplainer.scores import apply_temperature, conformal_threshold, fit_temperature
from deepcovidexplainer.models import load_weights
from deepcovidexplainer.training import Recipe, Study, fit_networks
from generalise import FROZEN, index_of, recipe_of

SIZE = 224
JOBS = [f'{protocol}/{i}/{seed}' for seed in range(3) for i in range(5) for protocol in ('patient', 'image')]
JOBS += [f'imagenet/{i}/0' for i in range(5)]

def image_split(t, n_folds, seed):
    "What the literature does: films dealt out at random, patients on both sides"
    from sklearn.model_selection import StratifiedKFold
    fold = np.zeros(len(t), int)
    split = StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(t, t.label)
    for i, (_, held) in enumerate(split): fold[held] = i
    return fold

def learn_from(t, films, valid, root, init, folder, cycles, epochs, lr, strength, balance, seed):
    "Snapshots of one run"
    check_split(t, valid)
    how = dict(lr=lr, balance=balance, strength=strength, frozen=FROZEN, half=True, seed=seed)
    recipe = Recipe('efficientnet_lite0', str(init), (SIZE,), cycles, epochs, **how)
    torch.set_num_threads(1)
    return fit_networks(Study(t, root, valid, CLASSES), recipe, folder, films, 'snapshot', say=None)

def elsewhere(t, films, root, work):
    "A start that has seen chest films, but no patient of DarkCovidNet"
    here = set(t.group[t.collection=='darkcovidnet'])
    use = (t.label.isin(CLASSES) & ~t.group.isin(here) & ~t.duplicated('duplicate')).to_numpy()
    t, films = t[use].reset_index(drop=True), films[use]
    valid, folder = patient_split(t, 20, 0)==0, work/'folds'/'elsewhere'
    return learn_from(t, films, valid, root, 'imagenet', folder, 1, 3, 1e-3, 1., 'source', 0)[-1]

def one(protocol, i, seed, root, work):
    "Out-of-fold posteriors of one network of one fold"
    out = work/'folds'/f'{protocol}-{i}-{seed}.csv.gz'
    if out.exists(): return pd.read_csv(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    t, p = index_of(root, work), recipe_of('hist+clahe')
    films = film_cache(t, root, p, work/'films', crop=None)
    init = 'imagenet' if protocol=='imagenet' else elsewhere(t, films, root, work)
    rows = (t.collection=='darkcovidnet').to_numpy()
    t, films = t[rows].reset_index(drop=True), films[rows]
    split = image_split if protocol=='image' else patient_split
    by = t.assign(group=np.arange(len(t))) if protocol=='image' else t
    test = split(t, 5, 0)==i
    rest = np.flatnonzero(~test)
    fit = by.iloc[rest].reset_index(drop=True)
    inner = split(fit, 8, 1)==0
    check_split(by, test)
    folder = work/'folds'/f'{protocol}-{i}-{seed}'
    paths = learn_from(fit, films[rest], inner, root, init, folder, 2, 3, 1e-3, .3, 'class', i+5*seed)
    e = Ensemble([Member(f.stem, *load_weights(f)) for f in paths])
    def look(k): return e.posteriors(films[k])[0]
    y = t.label.map(CLASSES.index).to_numpy()
    valid = look(rest[inner])
    yv = y[rest[inner]]
    temperature = fit_temperature(valid, yv)
    threshold = conformal_threshold(average_posteriors(apply_temperature(valid, temperature)), yv, .1)
    told = look(np.flatnonzero(test))
    both = dict(raw=average_posteriors(told), calibrated=average_posteriors(apply_temperature(told, temperature)))
    r = t[test][['film', 'label', 'source', 'group', 'view', 'age', 'child', 'quality']]
    r = r.assign(protocol=protocol, fold=i, seed=seed, temperature=temperature, threshold=threshold)
    r = r.assign(**{f'{k} {c}':q[:,j].round(4) for k, q in both.items() for j, c in enumerate(CLASSES)})
    r.to_csv(out, index=False)
    shutil.rmtree(folder)
    return r

if __name__ == '__main__':
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument('--work', type=Path, default='runs')
    a.add_argument('--jobs', nargs='+', default=JOBS, choices=JOBS)
    a = a.parse_args()
    done = []
    for job in a.jobs:
        protocol, i, seed = job.split('/')
        done.append(one(protocol, int(i), int(seed), data_dir(), a.work))
        print(job, flush=True)
    out = package_file().parent/'nbs'/'results'/'folds.csv.gz'
    out.parent.mkdir(exist_ok=True)
    pd.concat(done).to_csv(out, index=False)
