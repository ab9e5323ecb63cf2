"""The paper's networks, taught: each learns from the labels and from what a better ensemble says of the same pictures

    DCE_DATA=folder/with/the/collections python -m benchmarks distil train resnet18 --work runs
    DCE_DATA=folder/with/the/collections python -m benchmarks distil measure --work runs

The teacher is `whole-film`, the default of version 0.1: it sees whole films, as the paper's networks do, and never saw Hannover,
Shenzhen, Montgomery or the test fold of DarkCovidNet. What it says of 8,192 pictures is computed once and kept; all students learn
from the same (`teach`, `fit_student`). A job is NETWORK, or NETWORK/WAY/SEED. Resumable: a run that was stopped goes on after its last
epoch. `measure` writes `results/distil.json` beside the notebooks and, with `--out FOLDER`, an ensemble of each network for
`load_ensemble`.
"""
import argparse, json, platform
from dataclasses import replace
from pathlib import Path

import numpy as np, torch
from sklearn.metrics import f1_score

from deepcovidexplainer.core import class_numbers, data_dir, package_file, write_json
from deepcovidexplainer.ensemble import Member, average_posteriors, calibrate
from deepcovidexplainer.ensemble import majority_vote, max_prediction, save_ensemble
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
STUDENT = Recipe(cycles=4, epochs=3, sizes=(96, 160, 160, 160), draws=4096, lr=1e-3, half=True)
DEAR, SMALL = ('vgg16', 'vgg19', 'densenet161', 'densenet201'), (96, 128, 128, 128) # Networks that cost ten times as much see less
FIRST_BLOCKS = tuple(f'features.{i}' for i in (0, 2, 5, 7)) # The first four convolutions of a VGG
WAYS = { # Share of the teacher in the loss, and what else is changed
    'both':dict(share=.7), 'labels':dict(share=0.), 'teacher':dict(share=1.), 'hasty':dict(share=.7, epochs=1),
    'varied':dict(share=.7, move=.1, mixed=.5), # each picture moved anew, every other one mixed
    'matched':dict(share=.7, match=1.), # and which pictures look alike to the teacher
    'imagenet':dict(share=.7, epochs=1, lr=1e-4, frozen=FIRST_BLOCKS), # VGG from ImageNet: release/imagenet_vgg.py
}

def roles(root, work):
    """Every film but children's collections, with roles

    Labels that radiologists contradict and films of other diseases teach as well."""
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

def lessons_of(t, films, work, features=False):
    "What the teacher says of pictures of the training films"
    part = t.lesson.to_numpy()
    mine = t[part].assign(label=t.taught[part]).reset_index(drop=True)
    teacher, weights = load_ensemble(TEACHER), evenly_and_home(mine)
    return teach(mine, films[part], teacher, work/'distil', DRAWS, SIDE, weights=weights, features=features)

def job_of(text):
    "(network, way, seed)"
    name, way, seed = text.split('/') if '/' in text else (text, 'both', '0')
    return name, way, int(seed)

def start_of(name, way, work):
    "Weights that a student starts from"
    if way=='imagenet': return str(work/'starts'/f'{name}.safetensors')
    path = START/name/f'{name}.safetensors'
    return str(path) if path.exists() else 'scratch'

def train(text, root, work):
    "Snapshots of one student"
    name, way, seed = job_of(text)
    t = roles(root, work)
    films = film_cache(t, root, recipe_of('hist+clahe'), work/'films')
    part = t.role.isin(['train', 'valid']).to_numpy()
    mine = t[part].reset_index(drop=True)
    study = Study(mine, root, (mine.role=='valid').to_numpy())
    how = dict(WAYS[way])
    lessons = lessons_of(t, films, work, 'match' in how)
    changed = {k:how.pop(k) for k in ('epochs', 'lr', 'frozen') if k in how}
    sizes = SMALL if name in DEAR else STUDENT.sizes
    recipe = replace(STUDENT, arch=name, init=start_of(name, way, work), seed=seed, sizes=sizes, **changed)
    stem = f'{name}-{way}-{seed}'
    about = dict(teacher=TEACHER, hardware=f'{platform.machine()}, CPU, one thread')
    return fit_student(study, films[part], lessons, recipe, work/'distil'/stem, stem, **how, **about)

# ---------------------------------------------------------------- what the students know
def trained(work):
    "Job → its snapshots, of the runs that are whole: those of the first cycle, at a smaller size, are left out"
    runs = {}
    for name in NETWORKS:
        for way in WAYS:
            for path in sorted((work/'distil').glob(f'{name}-{way}-?/{name}-{way}-?-{STUDENT.cycles}.safetensors')):
                stem = path.stem.rsplit('-', 1)[0]
                runs[stem] = [path.with_name(f'{stem}-{i+1}.safetensors') for i in range(1, STUDENT.cycles)]
    return runs

def ensemble_of(stem, paths, t, films):
    "The snapshots of a run, calibrated on the validation films"
    def pick(role): return np.flatnonzero((t.role==role).to_numpy())
    members = [Member(p.stem, *load_weights(p)) for p in paths]
    valid, few = pick('valid'), pick('train')[:800]
    return calibrate(members, films[valid], class_numbers(t.label[valid]), films[few], name=stem)

def f1(y, p): return float(f1_score(y, p.argmax(1), average='macro'))

def interval(group, score, n_boot=2000):
    "[value, low, high] of a function of row numbers, patients drawn again"
    rng = np.random.default_rng(0)
    ids, where = np.unique(group, return_inverse=True)
    rows = [np.flatnonzero(where==i) for i in range(len(ids))]
    picked = (np.concatenate([rows[k] for k in rng.integers(0, len(ids), len(ids))]) for _ in range(n_boot))
    low, high = np.quantile([score(i) for i in picked], (.025, .975))
    return [round(float(v), 4) for v in (score(np.arange(len(group))), low, high)]

def together(told, names, y, group):
    "SCPA, PM and vote of several networks, each the mean of its snapshots"
    members = np.stack([told[n] for n in names])
    mean = average_posteriors(members)
    said = dict(SCPA=mean.argmax(1), PM=max_prediction(members), vote=majority_vote(members))
    row = {k:round(float(f1_score(y, v, average='macro')), 4) for k,v in said.items()}
    return dict(networks=list(names), macro_f1=interval(group, lambda i: f1(y[i], mean[i])), rules=row)

def left_out(p, t):
    "AUC of COVID-19 (Hannover) against normal (Shenzhen, Montgomery), none of which was trained on"
    away = t[t.role=='external']
    positive, group = (away.label=='covid-19').to_numpy(), away.group.to_numpy()
    scores = {'covid-19':p[:,2], 'not normal':1-p[:,0]}
    return {k:auc(v, positive, group) for k,v in scores.items()}

def minutes(paths):
    "Minutes of one core: this run, and the training that it started from"
    _, card = load_weights(paths[-1])
    start = Path(card.recipe['init']).with_suffix('.json')
    before = json.loads(start.read_text())['recipe'] if start.is_relative_to(START) else {}
    earlier = sum(r.get('minutes', 0) for r in before.get('runs', [before]))
    return dict(here=card.recipe['minutes'], before=round(earlier, 1))

def measure_one(stem, paths, t, films, root, teacher):
    "(row, ensemble, what it says of the test films)"
    e = ensemble_of(stem, paths, t, films)
    at, away = ((t.role==r).to_numpy() for r in ('test', 'external'))
    y, group = class_numbers(t.label[at]), t.group[at].to_numpy()
    said = e.posteriors(films[at])[0]
    p = average_posteriors(said)
    outside = average_posteriors(e.posteriors(films[away])[0])
    name, way, seed = stem.rsplit('-', 2)
    sizes = e.members[0].card.recipe['sizes']
    def ahead(i): return f1(y[i], p[i])-f1(y[i], teacher[i])
    row = dict(
        network=name,
        way=way,
        seed=int(seed),
        sizes=sizes,
        films=int(at.sum()),
        macro_f1=interval(group, lambda i: f1(y[i], p[i])),
        snapshots=[round(f1(y, q), 4) for q in said],
        less_teacher=interval(group, ahead),
        minutes=minutes(paths),
        left_out=left_out(outside, t),
        exchange=exchange_scores(exchanged(e, t, root)))
    return row, e, p

def kept_rows(before, rows):
    "Rows that runs elsewhere gave, or other recipes, before those that were measured now"
    def key(r): return r['network'], r['way'], r['seed'], tuple(r['sizes'])
    now = {key(r) for r in rows}
    return [r for r in before if key(r) not in now]+rows

def measure(root, work, out):
    "Rows of every run, the networks together, and an ensemble of each network"
    t = roles(root, work)
    def seen(size): return film_cache(t, root, recipe_of('hist+clahe', size), work/'films')
    whole = film_cache(t, root, recipe_of('hist+clahe'), work/'films')
    at = (t.role=='test').to_numpy()
    y, group = class_numbers(t.label[at]), t.group[at].to_numpy()
    teacher = average_posteriors(load_ensemble(TEACHER).posteriors(whole[at])[0])
    rows, told = [], {}
    for stem, paths in trained(work).items():
        films = seen(load_weights(paths[-1])[1].preprocess['size'])
        row, e, p = measure_one(stem, paths, t, films, root, teacher)
        rows.append(row)
        print(stem, row['macro_f1'], row['less_teacher'], flush=True)
        if row['way'] not in ('both', 'imagenet') or row['seed']: continue
        told[row['network']] = p
        if out:
            e.about = dict(data=e.members[0].card.data, scores=measured(e, t, films))
            save_ensemble(e, out/row['network'], bits=8)
    groups = [list(told), ['vgg19', 'densenet161']]
    sets = [together(told, g, y, group) for g in groups if len(g)>1 and set(g)<=set(told)]
    beside = dict(name=TEACHER, macro_f1=interval(group, lambda i: f1(y[i], teacher[i])))
    path = package_file().parent/'nbs'/'results'/'distil.json'
    before = json.loads(path.read_text()) if path.exists() else dict(students=[], together=[])
    students = kept_rows(before['students'], rows)
    write_json(path, dict(teacher=beside, students=students, together=sets or before['together']))

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
    else: measure(data_dir(), a.work, a.out)
