"""Networks that see nothing but the lungs: trained with whole hospitals left out, measured there, and trained on everything to ship.

    DCE_DATA=folder/with/the/collections python benchmarks/outside.py train A/0 A/1 A/2 B/0 B/1 B/2 all/0 all/1 all/2 all/3 all/4 --work runs
    DCE_DATA=folder/with/the/collections python benchmarks/outside.py measure --work runs
    DCE_DATA=folder/with/the/collections python benchmarks/outside.py ship --work runs --out deepcovidexplainer/weights/default

A run is FOLD/SEED: fold A leaves Hannover, Shenzhen, Montgomery, JSRT and OpenIST out together, B leaves ieee8023 out, `all` nothing.
One stage, 300 steps of 32 films drawn evenly from the sources, the weights of three snapshots averaged: about seven minutes of one core
(half as long again without a memory allocator that keeps its pages, such as jemalloc). Resumable; what is finished is not done again.
"""
import argparse
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np, pandas as pd, torch

from deepcovidexplainer.core import CLASSES, data_dir, fingerprint
from deepcovidexplainer.ensemble import Ensemble, Member
from deepcovidexplainer.learner import radiograph_learner
from deepcovidexplainer.loaders import film_cache, radiograph_dls
from deepcovidexplainer.models import Card, load_weights
from deepcovidexplainer.preprocess import Preprocess
from deepcovidexplainer.snapshots import average_snapshots, fit_snapshots
from deepcovidexplainer.sources import OTHER
from deepcovidexplainer.splits import assign_roles, check_split
from generalise import FROZEN, index_of
from train_default import about_data

FOLDS = dict(A=('hannover', 'shenzhen', 'montgomery', 'jsrt', 'openist'), B=('ieee8023',), all=())

@dataclass(frozen=True)
class Recipe:
    "How one network is trained"
    arch:str = 'efficientnet_lite0'
    init:str = 'imagenet'
    size:int = 160
    cycles:int = 3          # Snapshots, whose weights are averaged
    draws:int = 3200        # Films a cycle
    lr:float = 1e-3
    rim:float = .0125       # Around the lung field, as a share of the side
    balance:str = 'source'
    collections:tuple = ()  # Leave these out of training

def preprocess_of(recipe):
    "The lung field alone, equalised by its own pixels; what lies around it is 0"
    return Preprocess(size=recipe.size, equalize='hist+clahe', diffuse=False, unsharp=False, remove_text=False, field=recipe.rim, mean=128/255)

def study(root, work, fold, recipe=Recipe()):
    "Films with roles, and their lungs; films of other diseases in the sources left out are measured, too"
    t = index_of(root, work)
    films = film_cache(t, root, preprocess_of(recipe), work/'films', crop='lungs')
    t = assign_roles(t, FOLDS[fold])
    t.loc[t.source.isin(FOLDS[fold]) & (t.label==OTHER), 'role'] = 'external'
    t.loc[t.collection.isin(recipe.collections) & t.role.isin(['train', 'valid']), 'role'] = 'left out'
    return t, films

def member(fold, seed, root, work, recipe=Recipe(), name=''):
    "The averaged weights of one run, trained if they are not there"
    stem = f'{name or "lungs"}-{fold}-{seed}'; folder = work/'outside'/stem; out = folder.parent/f'{stem}.safetensors'
    if out.exists(): return out
    t, films = study(root, work, fold, recipe); p = preprocess_of(recipe)
    part = t.role.isin(['train', 'valid']).to_numpy(); about = about_data(t)
    t, films = t[part].reset_index(drop=True), films[part]
    valid = (t.role=='valid').to_numpy(); check_split(t, valid)
    dls = radiograph_dls(t, films, valid, recipe.size, p.mean, p.std, balance=recipe.balance, seed=seed, draws=recipe.draws)
    torch.set_num_threads(1)
    learn = radiograph_learner(dls, recipe.arch, recipe.init, frozen=FROZEN, seed=seed)
    for m in learn.model.modules():
        if hasattr(m, 'inplace'): m.inplace = True # less memory to move; the network that is saved has no such layers
    how = dict(asdict(recipe), fold=fold, seed=seed, frozen=FROZEN, augmentation='see augment_field', optimiser='AdamW, wd 0.05, label smoothing 0.05', bs=32)
    card = Card(recipe.arch, p.to_dict(), crop='lungs', data=about, recipe=how)
    with learn.no_bar(): paths = fit_snapshots(learn, folder, card, recipe.cycles, 1, recipe.lr, name=stem, seed=seed)
    return average_snapshots(paths, out)

def main_train(jobs, work):
    for job in jobs:
        name, fold, seed = ('', *job.split('/')) if job.count('/')==1 else job.split('/')
        print(member(fold, int(seed), data_dir(), work, VARIANTS[name], name), flush=True)

VARIANTS = {'':Recipe(), '192':Recipe(size=192), 'without-rsna':Recipe(collections=('rsna',))}

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('what', choices=('train', 'measure', 'ship')); p.add_argument('jobs', nargs='*', help='FOLD/SEED, or VARIANT/FOLD/SEED')
    p.add_argument('--work', type=Path, default='runs'); p.add_argument('--out', type=Path, default='runs/shipped')
    a = p.parse_args()
    if a.what=='train': main_train(a.jobs, a.work)
