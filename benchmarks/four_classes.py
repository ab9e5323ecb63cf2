"""Tuberculosis as a fourth class: trained with one of its two collections, measured on the other.

    DCE_DATA=folder/with/the/collections python -m benchmarks four_classes train montgomery/0 shenzhen/0 --work runs
    DCE_DATA=folder/with/the/collections python -m benchmarks four_classes measure --work runs

A run is AWAY/SEED: the collection that is left out, and the seed. The recipe is that of `outside.py`: EfficientNet-Lite0 from ImageNet, the
lung field alone, 160 pixels, 300 steps of 32 films, about seven minutes of one core. Resumable; what is finished is not done again.
"""
import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np, torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from deepcovidexplainer.core import CLASSES, class_numbers, data_dir, package_file, write_json
from deepcovidexplainer.ensemble import Member, average_posteriors, calibrate
from deepcovidexplainer.loaders import film_cache, sample_weights
from deepcovidexplainer.models import load_weights
from deepcovidexplainer.scores import calibration, confusion, measure, prediction_sets, rate
from deepcovidexplainer.sources import OTHER
from deepcovidexplainer.splits import assign_roles
from deepcovidexplainer.training import Study, fit_networks
from generalise import index_of
from outside import RECIPE, RIM, auc, shapes, thumbnails
from train_default import about_data

FOURTH = 'tuberculosis'
FOUR = (*CLASSES, FOURTH)
COLLECTIONS = ('montgomery', 'shenzhen')

def study(root, work, away):
    "Films with roles, tuberculosis a class, one of its collections left out; and their lungs"
    t = index_of(root, work)
    films = film_cache(t, root, RECIPE.preprocess(), work/'films', crop='lungs')
    t = t.assign(label=t.label.where(~((t.label==OTHER) & (t.quality==FOURTH)), FOURTH))
    return assign_roles(t, (away,), classes=FOUR), films

def member(away, seed, root, work):
    "The averaged weights of one run, trained if they are not there"
    stem = f'four-without-{away}-{seed}'
    t, films = study(root, work, away)
    part = t.role.isin(['train', 'valid']).to_numpy()
    t, films = t[part].reset_index(drop=True), films[part]
    part = Study(t, Path(root), (t.role=='valid').to_numpy(), FOUR)
    return fit_networks(part, replace(RECIPE, seed=seed), work/'four'/stem, films, stem)[0]

def main_train(jobs, work):
    for job in jobs:
        away, seed = job.split('/')
        print(member(away, int(seed), data_dir(), work), flush=True)

# ---------------------------------------------------------------- what is said of the collection left out
def ensemble_of(away, t, films, work):
    "The runs without a collection, calibrated on the validation films"
    paths = sorted((work/'four').glob(f'four-without-{away}-?.safetensors'))
    members = [Member(p.stem, *load_weights(p)) for p in paths]
    for m in members: m.card.preprocess = dict(m.card.preprocess, field=RIM)
    valid, few = (t.role=='valid').to_numpy(), t[t.role=='train'].sample(400, random_state=0).sort_index().index
    return calibrate(members, films[valid], class_numbers(t.label[valid], FOUR), films[few], name=f'without {away}')

def simple(x, t):
    "Posteriors of a logistic regression trained on the same films, drawn as the networks' are, for every film"
    fit = (t.role=='train').to_numpy()
    part = t[fit].reset_index(drop=True)
    m = make_pipeline(StandardScaler(), LogisticRegression(C=.03, max_iter=2000))
    m.fit(x[fit], part.label, logisticregression__sample_weight=sample_weights(part, 'source')*len(part))
    return m.predict_proba(x)[:, [list(m.classes_).index(c) for c in FOUR]]

SCORES = {FOURTH:lambda p: p[:,FOUR.index(FOURTH)], 'not normal':lambda p: 1-p[:,FOUR.index('normal')]}

def answers(away, t, told):
    "Tuberculosis or normal: in the collection left out, and in validation films of the one that was learned from"
    other = next(c for c in COLLECTIONS if c!=away)
    asked = {'left out':(t.source==away) & (t.role=='external'), 'learned from':(t.source==other) & (t.role=='valid')}
    for what, at in asked.items():
        at = at.to_numpy()
        ill, group = (t.label[at]==FOURTH).to_numpy(), t.group[at].to_numpy()
        source = away if what=='left out' else other
        for given, p in told.items():
            for name, score in SCORES.items():
                yield dict(source=source, role=what, score=name, given=given, **auc(score(p[at]), ill, group))

def called(away, t, p, e):
    "What the networks call the films of the collection left out, and whether their sets hold the truth"
    at = ((t.source==away) & (t.role=='external')).to_numpy()
    p, y, group = p[at], class_numbers(t.label[at], FOUR), t.group[at].to_numpy()
    said, sets = p.argmax(1), prediction_sets(p, e.threshold)
    held = sets[np.arange(len(y)), y]
    def shares(i): return {d:rate((said==j)[y==i], group[y==i]) for j, d in enumerate(FOUR)}
    rows = {c:shares(i) for i, c in enumerate(FOUR) if (y==i).any()}
    return dict(called=rows, confusion=confusion(p, y).tolist(), ece=round(calibration(p, y)['ece'], 4),
                coverage=rate(held, group), set_size=round(float(sets.sum(1).mean()), 3))

def old_classes(t, p):
    "Test films of the three classes: what the fourth costs"
    at = (t.role=='test').to_numpy()
    p, y, group = p[at], class_numbers(t.label[at], FOUR), t.group[at].to_numpy()
    scores = {k:round(v, 4) for k,v in measure(p, y, FOUR).items() if v==v}
    fourth = rate(p.argmax(1)==FOUR.index(FOURTH), group)
    return dict(n=len(y), patients=len(set(group)), scores=scores, called_tuberculosis=fourth)

def one(away, root, work):
    "Everything that is measured of the runs without one collection"
    t, films = study(root, work, away)
    e = ensemble_of(away, t, films, work)
    at = t.role.isin(['external', 'valid', 'test']).to_numpy()
    part = t[at].reset_index(drop=True)
    p = average_posteriors(e.posteriors(films[at])[0])
    told = {
        'networks':p,
        '16-pixel thumbnail':simple(thumbnails(t, root, work), t)[at],
        'shape of the lung field':simple(shapes(films), t)[at]}
    return dict(
        members=[m.name for m in e.members],
        data=about_data(t),
        temperature=round(e.temperature, 3),
        coverage_promised=e.coverage,
        answers=list(answers(away, part, told)),
        outside=called(away, part, p, e),
        test=old_classes(part, p))

def main_measure(work, out):
    root = data_dir()
    done = {c for c in COLLECTIONS if list((work/'four').glob(f'four-without-{c}-?.safetensors'))}
    steps = RECIPE.cycles*RECIPE.draws//RECIPE.bs
    result = dict(classes=FOUR, recipe=dict(arch=RECIPE.arch, size=RECIPE.sizes[-1], steps=steps))
    result['without'] = {c:one(c, root, work) for c in COLLECTIONS if c in done}
    write_json(out, result)
    print(*(r for c in result['without'].values() for r in c['answers']), sep='\n')

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('what', choices=('train', 'measure'))
    p.add_argument('jobs', nargs='*', default=[f'{c}/0' for c in COLLECTIONS], help='AWAY/SEED')
    p.add_argument('--work', type=Path, default='runs')
    p.add_argument('--out', type=Path, help='default: nbs/results/four_classes.json')
    a = p.parse_args()
    torch.set_num_threads(1)
    if a.what=='train': main_train(a.jobs, a.work)
    else: main_measure(a.work, a.out or package_file().parent/'nbs'/'results'/'four_classes.json')
