"""The paper's networks, taught: each learns from the labels and from what a better ensemble says of the same pictures

    DCE_DATA=folder/with/the/collections python -m benchmarks distil train resnet18 --work runs
    DCE_DATA=folder/with/the/collections python -m benchmarks distil measure --work runs

The teacher is `whole-film`, the default of version 0.1: it sees whole films, as the paper's networks do, and never saw Hannover,
Shenzhen, Montgomery or the test fold of DarkCovidNet. What it says of 8,192 pictures is computed once and kept; all students learn
from the same (`teach`, `fit_student`). A job is NETWORK, or NETWORK/WAY/SEED. Resumable: a run that was stopped goes on after its last
epoch. `measure` writes `results/distil.json` in the package and, with `--out FOLDER`, an ensemble of each network for `load_ensemble`.
"""
import argparse, json, os, platform
from pathlib import Path

import numpy as np, pandas as pd, torch
from sklearn.metrics import f1_score

from deepcovidexplainer.core import CLASSES, class_numbers, data_dir, package_file, write_json
from deepcovidexplainer.ensemble import Ensemble, Member, average_posteriors, calibrate, majority_vote, max_prediction, save_ensemble
from deepcovidexplainer.exchange import exchange_scores
from deepcovidexplainer.loaders import film_cache, sample_weights
from deepcovidexplainer.models import load_weights
from deepcovidexplainer.sources import OTHER
from deepcovidexplainer.splits import assign_roles
from deepcovidexplainer.training import Recipe, Study, fit_student, teach
from deepcovidexplainer.zoo import load_ensemble
from generalise import index_of, recipe_of
from outside import auc, exchanged
from train_default import HOLD_OUT, measured

TEACHER, HOME, SIDE, DRAWS = 'whole-film', ('darkcovidnet', 'ieee8023'), 224, 8192
NETWORKS = ('resnet18', 'resnet34', 'vgg16', 'vgg19', 'densenet161', 'densenet201')
START = Path('release/ensembles') # Networks that were trained on the same films before, without a teacher
STUDENT = Recipe(cycles=3, epochs=4, sizes=(96, 128, 160), draws=4096, lr=1e-3, half=True)
WAYS = { # Share of the teacher in the loss, and what else is changed
    'both':dict(share=.7), 'labels':dict(share=0.), 'teacher':dict(share=1.), 'hasty':dict(share=.7, epochs=1),
}

def roles(root, work):
    "Every film but children's collections, with roles: labels that radiologists contradict and films of other diseases teach as well"
    t = index_of(root, work)
    sure = assign_roles(t, HOLD_OUT)
    wide = assign_roles(t, HOLD_OUT, trust_reports=True, others=True)
    doubted = (wide.role=='train') & (sure.role!='train') & (t.label!=OTHER)
    return sure.assign(lesson=wide.role=='train', taught=t.label.where(~doubted, 'doubtful'))

def evenly_and_home(t):
    "How often each film is drawn: half from all sources, half from the two collections that hold several classes"
    home = t.collection.isin(HOME).to_numpy()
    w = np.zeros(len(t))
    w[home] = sample_weights(t[home].reset_index(drop=True), 'class+source')
    return (sample_weights(t, 'source')+w)/2

def lessons_of(t, films, work):
    "What the teacher says of pictures of the training films"
    part = t.lesson.to_numpy()
    mine = t[part].assign(label=t.taught[part]).reset_index(drop=True)
    return teach(mine, films[part], load_ensemble(TEACHER), work/'distil', DRAWS, SIDE, weights=evenly_and_home(mine))

def job_of(text):
    "(network, way, seed)"
    name, way, seed = text.split('/') if '/' in text else (text, 'both', '0')
    return name, way, int(seed)

def start_of(name):
    path = START/name/f'{name}.safetensors'
    return str(path) if path.exists() else 'scratch'

def train(text, root, work):
    "Snapshots of one student"
    name, way, seed = job_of(text)
    t, films = roles(root, work), None
    films = film_cache(t, root, recipe_of('hist+clahe'), work/'films')
    lessons = lessons_of(t, films, work)
    part = t.role.isin(['train', 'valid']).to_numpy()
    mine = t[part].reset_index(drop=True)
    study = Study(mine, root, (mine.role=='valid').to_numpy())
    how = dict(WAYS[way])
    epochs = how.pop('epochs', STUDENT.epochs)
    recipe = Recipe(**{**vars(STUDENT), 'arch':name, 'init':start_of(name), 'seed':seed, 'epochs':epochs})
    stem = f'{name}-{way}-{seed}'
    about = dict(teacher=TEACHER, hardware=f'{platform.machine()}, CPU, one thread')
    return fit_student(study, films[part], lessons, recipe, work/'distil'/stem, stem, **how, **about)

if __name__ == '__main__':
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument('what', choices=('train', 'measure'))
    a.add_argument('jobs', nargs='*', help='NETWORK, or NETWORK/WAY/SEED')
    a.add_argument('--work', type=Path, default='runs')
    a.add_argument('--out', type=Path, help='folder for an ensemble of each network')
    a = a.parse_args()
    torch.set_num_threads(1)
    if a.what=='train':
        for job in a.jobs: print(*train(job, data_dir(), a.work), flush=True)
