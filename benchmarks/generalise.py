"""Leave sources out: what each measure buys on hospitals that were never seen.

    DCE_DATA=folder/with/the/collections python benchmarks/generalise.py --work runs

Trains the same small network (EfficientNet-Lite0, ImageNet weights, its first stages fixed, 160 px) once for every step of `LADDER`
and every set of sources in `FOLDS`, and keeps what each run says of every film it did not train on: `results/generalise.csv.gz`
beside the notebooks, from which the tutorial *On a hospital it never saw* makes its tables. Resumable: what is finished is not done again.
"""
import argparse, shutil
from dataclasses import replace
from pathlib import Path

import numpy as np, pandas as pd, torch

from deepcovidexplainer.core import CLASSES, data_dir, fingerprint, package_file
from deepcovidexplainer.loaders import film_cache
from deepcovidexplainer.sources import OTHER, read_index
from deepcovidexplainer.splits import assign_groups, assign_roles, check_split, kept_hashes
from deepcovidexplainer.ensemble import Ensemble, Member
from deepcovidexplainer.models import load_weights
from deepcovidexplainer.preprocess import Preprocess
from deepcovidexplainer.training import Recipe, Study, fit_networks

FOLDS = dict(A=('hannover', 'shenzhen', 'montgomery'), B=('ieee8023', 'jsrt', 'openist'), C=('covid-cxnet', 'figure1'),
             S=('shenzhen',), M=('montgomery',))
PLAIN = dict(collections=('darkcovidnet',), crop=None, equalize=None, strength=0., trust_reports=True, balance='class')
STEPS = {
    'all adult sources':dict(collections=None),
    'equalised':dict(equalize='hist+clahe'),
    'strong augmentation':dict(strength=1.),
    'cut to the lungs':dict(crop='lungs'),
    'labels that radiologists contradict left out':dict(trust_reports=False),
    'whole films again, classes equal within each source':dict(crop=None, balance='source')}
FROZEN = ('conv_stem', 'bn1', 'blocks.0', 'blocks.1', 'blocks.2')
SIZE, CYCLES, EPOCHS, LR, STEPS_AN_EPOCH = 160, 2, 2, 1e-3, 74

def ladder():
    "name → recipe; every step keeps what came before, the last one but for the start"
    out, recipe = {'plain':PLAIN}, PLAIN
    for name, change in STEPS.items():
        recipe = {**recipe, **change}
        out[name] = recipe
    out['films of other diseases, as not normal'] = {**recipe, 'others':True}
    out['the same, from scratch'] = {**recipe, 'init':'scratch', 'frozen':()}
    out["after children's films"] = {**recipe, 'children':'before'} # then without them
    out["with children's films"] = {**recipe, 'children':'among'}
    return out

def index_of(root, work, children=False):
    "Every film but children's collections, or these alone, with groups; near-duplicates are searched once"
    t = read_index(root)
    t = assign_groups(t, kept_hashes(t, root, work/'films'))
    return t[(t.source=='kermany')==children].reset_index(drop=True)

def recipe_of(equalize, size=224):
    return Preprocess(size=size, equalize=equalize, diffuse=False, unsharp=False, remove_text=True)

def plan(t, recipe, hold_out, seed):
    "Roles; films of other diseases in the sources left out are measured, too"
    t = assign_roles(t, hold_out, trust_reports=recipe['trust_reports'], others=recipe.get('others', False))
    if recipe['collections']:
        other = t.role.isin(['train', 'valid']) & ~t.collection.isin(recipe['collections'])
        t.loc[other, 'role'] = 'left out'
    t.loc[t.source.isin(hold_out) & (t.label==OTHER), 'role'] = 'external'
    return t

def fit(t, films, valid, recipe, root, folder, cycles, epochs, init, seed):
    "Snapshots of one training"
    check_split(t, valid)
    how = {k:recipe[k] for k in ('balance', 'strength', 'crop', 'equalize')}
    frozen = recipe.get('frozen', FROZEN)
    r = Recipe('efficientnet_lite0', str(init), (SIZE,), cycles, lr=LR, frozen=frozen, half=True, seed=seed, **how)
    steps = max(1, int((~valid).sum())//r.bs)
    repeat = max(1, round(STEPS_AN_EPOCH/steps)) # as many steps for a smaller collection
    torch.set_num_threads(1)
    study = Study(t, root, valid, CLASSES)
    return fit_networks(study, replace(r, epochs=epochs*repeat), folder, films, 'snapshot', say=None)

def with_children(learned, pixels, valid, young, films):
    "The same training with children's films, which are never validated on"
    none = np.zeros(len(young), bool)
    return pd.concat([learned, young], ignore_index=True), np.concatenate([pixels, films]), np.append(valid, none)

def one(name, recipe, fold, seed, root, work):
    "Train one run; posteriors of every snapshot on validation, test and external films"
    out = work/'generalise'/f"{fingerprint(dict(name=name, recipe=recipe, fold=fold, seed=seed))}.csv.gz"
    if out.exists(): return pd.read_csv(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = out.parent/out.name.removesuffix('.csv.gz')
    t = index_of(root, work)
    p = recipe_of(recipe['equalize'])
    films = film_cache(t, root, p, work/'films', crop=recipe['crop'])
    t = plan(t, recipe, FOLDS[fold], seed)
    part = t.role.isin(['train', 'valid']).to_numpy()
    learned, pixels, valid = t[part].reset_index(drop=True), films[part], (t.role[part]=='valid').to_numpy()
    init = recipe.get('init', 'imagenet')
    if (when := recipe.get('children')):
        young = index_of(root, work, children=True)
        small = film_cache(young, root, p, work/'films', crop=recipe['crop'])
        more = with_children(learned, pixels, valid, young, small)
        if when=='before': init = fit(*more, recipe, root, folder/'before', 1, 3, init, seed)[-1]
        else: learned, pixels, valid = more
    paths = fit(learned, pixels, valid, recipe, root, folder, CYCLES, EPOCHS, init, seed)
    seen = t.role.isin(['valid', 'test', 'external']).to_numpy()
    small = np.stack([shrink(f) for f in films[seen]])
    told, _ = Ensemble([Member(f.stem, *load_weights(f)) for f in paths]).posteriors(small)
    about = t[seen][['film', 'source', 'collection', 'label', 'group', 'role', 'quality', 'child']]
    about = about.assign(run=name, fold=fold, seed=seed)
    said = [{c:q[:,k].round(4) for k,c in enumerate(CLASSES)} for q in told]
    r = pd.concat([about.assign(snapshot=i, **q) for i,q in enumerate(said, 1)])
    r.to_csv(out, index=False)
    shutil.rmtree(folder)
    return r

def shrink(x):
    import cv2
    return cv2.resize(x, (SIZE, SIZE), interpolation=cv2.INTER_AREA)

def main(work, jobs):
    work.mkdir(parents=True, exist_ok=True)
    root, recipes, done = data_dir(), ladder(), []
    for job in jobs:
        name, fold, seed = job.rsplit('/', 2)
        done.append(one(name, recipes[name], fold, int(seed), root, work))
        print(job, flush=True)
    out = package_file().parent/'nbs'/'results'/'generalise.csv.gz'
    out.parent.mkdir(exist_ok=True)
    pd.concat(done).to_csv(out, index=False)

def jobs_of(fold, seed, *names): return [f'{name}/{fold}/{seed}' for name in names]

LAST, YOUNG = list(STEPS)[-1], "with children's films"
# Without ieee8023, DarkCovidNet has no COVID-19: there is no plain recipe to compare with
BESIDE = dict(B=('all adult sources', 'equalised', 'strong augmentation'), C=('plain',))
ALL = jobs_of('A', 0, *ladder())
for fold, others in BESIDE.items(): ALL += jobs_of(fold, 0, *others, LAST)
for seed in (1, 2): ALL += jobs_of('A', seed, 'plain', *STEPS, YOUNG)
for seed in (1, 2): ALL += jobs_of('B', seed, LAST)
ALL += jobs_of('B', 0, YOUNG)
for fold in 'SM': ALL += jobs_of(fold, 0, 'films of other diseases, as not normal')

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--work', type=Path, default='runs')
    p.add_argument('--jobs', nargs='+', default=ALL, help='name/fold/seed')
    main(**vars(p.parse_args()))
