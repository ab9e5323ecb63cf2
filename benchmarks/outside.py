r"""Networks that see nothing but the lungs: trained with whole hospitals left out, measured there, and trained on everything to ship.

    DCE_DATA=folder/with/the/collections python benchmarks/outside.py train A/0 A/1 A/2 B/0 B/1 B/2 \
        all/0 all/1 all/2 all/3 all/4 --work runs
    DCE_DATA=folder/with/the/collections python benchmarks/outside.py measure --work runs
    DCE_DATA=folder/with/the/collections python benchmarks/outside.py train cut/A/0 without-rsna/A/0 192/A/0 224/A/0 --work runs
    DCE_DATA=folder/with/the/collections python benchmarks/outside.py ablate --work runs
    DCE_DATA=folder/with/the/collections python benchmarks/outside.py ship --work runs --out deepcovidexplainer/weights/default

A run is FOLD/SEED, or VARIANT/FOLD/SEED for a recipe with one part changed: fold A leaves Hannover, Shenzhen, Montgomery, JSRT and
OpenIST out together, B leaves ieee8023 out, `all` nothing. One stage, 300 steps of 32 films drawn evenly from the sources, the weights of
three snapshots averaged: about seven minutes of one core (half as long again without a memory allocator that keeps its pages, such as
jemalloc). Resumable; what is finished is not done again.
"""
import argparse, json
from dataclasses import replace
from pathlib import Path

import cv2, numpy as np, pandas as pd, torch
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from deepcovidexplainer.core import CLASSES, class_numbers, data_dir, fingerprint, kept_array, package_file
from deepcovidexplainer.core import write_json, write_whole
from deepcovidexplainer.ensemble import Ensemble, Member, calibrate, save_ensemble
from deepcovidexplainer.evaluation import card_scores
from deepcovidexplainer.exchange import exchange_scores, exchange_test, outside_share
from deepcovidexplainer.loaders import film_cache, sample_weights
from deepcovidexplainer.lungs import find_lungs, lung_box
from deepcovidexplainer.models import load_weights
from deepcovidexplainer.pipeline import predict_and_explain
from deepcovidexplainer.preprocess import equalize_field, widened
from deepcovidexplainer.radiograph import load_radiograph
from deepcovidexplainer.scores import apply_temperature, calibration, conformal_threshold, fit_bcts, prediction_sets
from deepcovidexplainer.sources import OTHER
from deepcovidexplainer.splits import assign_roles
from deepcovidexplainer.training import Recipe, Study, fit_networks
from deepcovidexplainer.zoo import load_ensemble
from generalise import FROZEN, index_of
from train_default import about_data

FOLDS = dict(A=('hannover', 'shenzhen', 'montgomery', 'jsrt', 'openist'), B=('ieee8023',), all=())

def _auc(score, positive):
    n, rank = int(positive.sum()), rankdata(score)
    return float((rank[positive].sum()-n*(n+1)/2)/(n*(len(score)-n)))

INWARD = 2e-5 # Weight of the squared gradients outside the lungs: at the start about as large as the cross-entropy
RECIPE = Recipe('efficientnet_lite0', 'imagenet', (160,), cycles=3, epochs=1, draws=3200, balance='source',
                crop='lungs', field=.0125, frozen=FROZEN, average=True)
CUT = replace(RECIPE, field=None) # To the lungs, nothing blanked
WHOLE = replace(CUT, crop=None)
VARIANTS = {
    '':RECIPE,
    '192':replace(RECIPE, sizes=(192,)),
    '224':replace(RECIPE, sizes=(224,)),
    'without-rsna':RECIPE,
    'fda':replace(RECIPE, mix=.5),
    'cut':CUT,
    'cut-swap':replace(CUT, swap=.5),
    'cut-swap-80':replace(CUT, swap=.8),
    'cut-twins':replace(CUT, twins=1.),
    'cut-inward':replace(CUT, inward=INWARD),
    'whole':WHOLE,
    'swap':replace(WHOLE, swap=.5),
}
LEFT_OUT = {'without-rsna':('rsna',)} # Collections that a variant does without

def study(root, work, fold, variant=''):
    "Films with roles, and their lungs; films of other diseases in the sources left out are measured, too"
    t = index_of(root, work)
    recipe = VARIANTS[variant]
    films = film_cache(t, root, recipe.kept(), work/'films', recipe.crop, fields=recipe.fields)
    t = assign_roles(t, FOLDS[fold])
    t.loc[t.source.isin(FOLDS[fold]) & (t.label==OTHER), 'role'] = 'external'
    t.loc[t.collection.isin(LEFT_OUT.get(variant, ())) & t.role.isin(['train', 'valid']), 'role'] = 'left out'
    return t, films

def member(fold, seed, root, work, variant=''):
    "The averaged weights of one run, trained if they are not there"
    stem = f'{variant or "lungs"}-{fold}-{seed}'
    t, films = study(root, work, fold, variant)
    part = t.role.isin(['train', 'valid']).to_numpy()
    t, films = t[part].reset_index(drop=True), films[part]
    valid = (t.role=='valid').to_numpy()
    study_of, recipe = Study(t, Path(root), valid), replace(VARIANTS[variant], seed=seed)
    return fit_networks(study_of, recipe, work/'outside'/stem, films, stem)[0]

def main_train(jobs, work):
    torch.set_num_threads(1)
    for job in jobs:
        variant, fold, seed = ('', *job.split('/')) if job.count('/')==1 else job.split('/')
        print(member(fold, int(seed), data_dir(), work, variant), flush=True)

# ---------------------------------------------------------------- what is said of hospitals never seen
RIM = .00625 # Around the lung field when an ensemble is asked: one pixel; training saw fields from seven pixels narrower to ten wider

def members_of(fold, work):
    "The runs of a fold"
    paths = sorted((work/'outside').glob(f'lungs-{fold}-?.safetensors'))
    loaded = [load_weights(p) for p in paths]
    for _, card in loaded: card.preprocess = dict(card.preprocess, field=RIM)
    return [Member(p.stem.replace('lungs-all', 'lungs'), model, card) for p,(model, card) in zip(paths, loaded)]

def ensemble_of(fold, work): return Ensemble(members_of(fold, work), name=f'fold {fold}')

def seen_films(t, root, work):
    "Films as `predict` sees them; training draws from films that were cut with room around the lungs"
    return film_cache(t, root, replace(RECIPE, field=RIM).preprocess(), work/'films', 'lungs', ready=True)

def _one_said(member, films, at, path):
    "Uncalibrated posteriors (N×3) and features of one network, asked once"
    if not path.exists():
        p, f = Ensemble([member]).posteriors(films[at])
        def write(q):
            with open(q, 'wb') as out: np.savez(out, p=p[0], f=f)
        write_whole(path, write)
    kept = np.load(path)
    return kept['p'], kept['f']

def said(fold, root, work):
    "Films of a fold that were not trained on, their uncalibrated posteriors (M×N×3) and features (N×d)"
    t, _ = study(root, work, fold)
    films = seen_films(t, root, work)
    asked = ~t.role.isin(['train', 'left out']) | ((t.collection=='rsna') & (t.label==OTHER))
    at = asked.to_numpy()
    key, members = fingerprint([list(t.film[at]), RIM, 'as predict sees them']), members_of(fold, work)
    told = [_one_said(m, films, at, work/'outside'/f'said-{m.name}-{m.card.sha256[:8]}-{key}.npz') for m in members]
    return t[at].reset_index(drop=True), np.stack([p for p,_ in told]), told[0][1]

def auc(score, positive, group, n_boot=2000):
    "(value, low, high, n): area under the ROC curve, patients drawn again"
    value, rng, draws = _auc(score, positive), np.random.default_rng(0), []
    ids, where = np.unique(group, return_inverse=True)
    rows = [np.flatnonzero(where==i) for i in range(len(ids))]
    for _ in range(n_boot):
        i = np.concatenate([rows[k] for k in rng.integers(0, len(ids), len(ids))])
        if 0<positive[i].sum()<len(i): draws.append(_auc(score[i], positive[i]))
    low, high = np.quantile(draws, (.025, .975))
    counts = dict(n=int(len(score)), positive=int(positive.sum()))
    return dict(value=round(value, 4), low=round(float(low), 4), high=round(float(high), 4), **counts)

def thumbnails(t, root, work):
    "N×256: every film at 16 pixels a side"
    def small(f): return cv2.resize(load_radiograph(root/f).data, (16, 16), interpolation=cv2.INTER_AREA).ravel()
    path = work/'films'/f'thumbnails-{fingerprint(list(t.film))}.npy'
    return kept_array(path, lambda: np.stack([small(f) for f in t.film]).astype(np.float32))

def shapes(films):
    "N×145: the lung field at 12 pixels a side and its share of the box, nothing else"
    small = [cv2.resize(f, (12, 12), interpolation=cv2.INTER_AREA).ravel()/255 for f in films[...,1]]
    return np.c_[np.stack(small), [f.mean()/255 for f in films[...,1]]].astype(np.float32)

def simple(x, t, fold):
    "Posteriors of a logistic regression trained on the training films, drawn as the networks' are, for every film"
    fit = (t.role=='train').to_numpy()
    part = t[fit].reset_index(drop=True)
    m = make_pipeline(StandardScaler(), LogisticRegression(C=.03, max_iter=2000))
    m.fit(x[fit], part.label, logisticregression__sample_weight=sample_weights(part, 'source')*len(part))
    return m.predict_proba(x)[:, [list(m.classes_).index(c) for c in CLASSES]]

def films_of(source, label):
    "Films of one class from one source, asked of a table"
    return lambda t: (t.source==source) & (t.label==label)

def away(label):
    "Films of one class from the sources left out"
    return lambda t: (t.role=='external') & (t.label==label)

def from_ieee8023(label):
    return lambda t: films_of('ieee8023', label)(t) & (t.role=='external')

def ill_or_normal(source):
    "What a question asks of one source, with its score"
    return films_of(source, OTHER), films_of(source, 'normal'), ('not normal',)

AWAY_A = 'COVID-19 (Hannover) or normal (Shenzhen, Montgomery, JSRT, OpenIST)'
AWAY_B = 'COVID-19 or other pneumonia, ieee8023'
QUESTIONS = { # fold → name → (films of the positive class, films of the other, scores: COVID-19, or anything but normal)
    'A':{
        AWAY_A:(lambda t: t.source=='hannover', away('normal'), ('covid-19', 'not normal')),
        'Tuberculosis or normal, Shenzhen':ill_or_normal('shenzhen'),
        'Tuberculosis or normal, Montgomery':ill_or_normal('montgomery'),
        'Lung nodule or normal, JSRT':ill_or_normal('jsrt')},
    'B':{
        AWAY_B:(from_ieee8023('covid-19'), from_ieee8023('pneumonia'), ('covid-19 rather than pneumonia',))}}
SCORES = {
    'covid-19':lambda p: p[:,2],
    'not normal':lambda p: 1-p[:,0],
    'covid-19 rather than pneumonia':lambda p: p[:,2]/(p[:,1]+p[:,2])}

def told_by(fold, root, work):
    """Films of a fold that were not trained on, and what is said of them: name → N×3

    By the ensemble, by each seed, by a thumbnail and by the field's shape alone."""
    t, p, _ = said(fold, root, work)
    every, films = study(root, work, fold)
    where = every.film.isin(t.film).to_numpy()
    told = {'ensemble':p.mean(0), **{f'seed {i}':q for i,q in enumerate(p)}}
    plain = {'16-pixel thumbnail':thumbnails(every, root, work), 'shape of the lung field':shapes(films)}
    for name, x in plain.items():
        told[name] = simple(x, every, fold)[where]
    return t, told

def answers(fold, root, work):
    "The leave-one-source-out table: ensemble, each seed, thumbnail, shape of the field alone"
    t, told = told_by(fold, root, work)
    rows = []
    for question, (yes, no, scores) in QUESTIONS[fold].items():
        at = (yes(t)|no(t)).to_numpy()
        positive, group = yes(t).to_numpy()[at], t.group.to_numpy()[at]
        rows += [dict(fold=fold, question=question, score=s, given=name, **auc(SCORES[s](q[at]), positive, group))
                 for s in scores for name,q in told.items()]
    return rows

def operating(root, work, sensitivity=.85):
    "Specificity on hospitals left out, at the threshold that gives this sensitivity on Hannover, left out as well"
    t, told = told_by('A', root, work)
    rows = []
    for score in ('covid-19', 'not normal'):
        for name, q in told.items():
            s = SCORES[score](q)
            limit = np.quantile(s[(t.source=='hannover').to_numpy()], 1-sensitivity, method='lower')
            for source in ('shenzhen', 'montgomery', 'jsrt', 'openist'):
                at = ((t.source==source) & (t.label=='normal')).to_numpy()
                specificity = round(float((s[at]<limit).mean()), 4)
                rows.append(dict(score=score, given=name, source=source, n=int(at.sum()), specificity=specificity))
    return rows

def second_opinion(root, work, n=1500):
    """AUC of a head of its own for “something else may be wrong here”

    Normal against any disease, on the features of the first network of fold A."""
    t, _ = study(root, work, 'A')
    films, e = seen_films(t, root, work), Ensemble(members_of('A', work)[:1])
    ill = t.label.isin(['pneumonia', 'covid-19']) & (t.role=='train') | (t.collection=='rsna') & (t.label==OTHER)
    parts = [t[(t.role=='train') & (t.label=='normal')], t[ill]]
    learned = np.concatenate([g.sample(min(n, len(g)), random_state=0).index for g in parts])
    asked = np.flatnonzero((t.role=='external') & t.label.isin(['normal', OTHER]))
    features = e.posteriors(films[np.concatenate([learned, asked])])[1]
    head = make_pipeline(StandardScaler(), LogisticRegression(C=.01, max_iter=2000))
    head.fit(features[:len(learned)], t.label[learned]!='normal')
    score = head.predict_proba(features[len(learned):])[:,1]
    away, rows = t.loc[asked].reset_index(drop=True), []
    for source, what in (('shenzhen', 'tuberculosis'), ('montgomery', 'tuberculosis'), ('jsrt', 'lung nodule')):
        at = (away.source==source).to_numpy()
        ill, group = (away.label[at]==OTHER).to_numpy(), away.group[at].to_numpy()
        rows.append(dict(source=source, disease=what, **auc(score[at], ill, group)))
    return rows

def balanced(t):
    "Weights under which every source of every class counts the same"
    w = 1/t.groupby(['label', 'source']).film.transform('size')
    w = w/w.groupby(t.label).transform('sum')
    return (w/w.sum()).to_numpy()

def outside_fit(parts):
    "Temperature, a constant a class and the sets' threshold, from parts (table, M×N×3) of sources left out"
    t = pd.concat([a for a,_ in parts], ignore_index=True)
    p, y = np.concatenate([q.mean(0) for _,q in parts]), class_numbers(t.label)
    i = np.random.default_rng(0).choice(len(t), 4000, p=balanced(t))
    temperature, bias = fit_bcts(p[i], y[i])
    return temperature, bias-bias.mean(), conformal_threshold(apply_temperature(p, temperature, bias)[i], y[i])

def trained(work): return [f for f in 'AB' if list((work/'outside').glob(f'lungs-{f}-?.safetensors'))]

def left_out(root, work):
    "(fold, table, M×N×3) of films of sources left out, of the three classes; of B also validation films of pneumonia"
    for fold in trained(work):
        t, p, _ = said(fold, root, work)
        away = (t.role=='external') & t.label.isin(CLASSES)
        lone = (t.role=='valid') & (t.label=='pneumonia') & (t.source=='nih') # no source left out holds pneumonia alone
        at = (away | lone).to_numpy()
        yield fold, t[at].reset_index(drop=True), p[:,at]

def _sure(name, given, q, y, held, n=None):
    "One row on how sure the answers are; held: whether the set holds the truth"
    over = {'covid_over_half':q[:,2]>.5, 'not_normal_over_half':q[:,0]<.5}
    measured = dict(ece=calibration(q, y)['ece'], coverage=float(held.mean()), right=float((q.argmax(1)==y).mean()),
                    **{k:float(v.mean()) for k,v in over.items()})
    return dict(source=name, given=given, n=n or len(y), **{k:round(v, 4) for k,v in measured.items()})

def of_others(parts, source):
    "The same parts without one source"
    for _, t, p in parts:
        rest = t.source!=source
        if rest.any(): yield t[rest].reset_index(drop=True), p[:,rest.to_numpy()]

def calibrated_outside(root, work):
    """Calibration error and coverage on each source left out, fitted on the other sources left out

    And of all of them, every source of a class counting the same."""
    parts, ways = list(left_out(root, work)), ('as the networks gave it', 'calibrated')
    rows, told = [], []
    for fold, t, p in parts:
        for source in sorted(t.source[t.role=='external'].unique()):
            at = ((t.source==source) & (t.role=='external')).to_numpy()
            temperature, bias, threshold = outside_fit(list(of_others(parts, source)))
            y, q = class_numbers(t.label[at]), apply_temperature(p[:,at], temperature, bias).mean(0)
            raw, truth = p[:,at].mean(0), (np.arange(len(y)), y)
            held = [prediction_sets(v, threshold)[truth] for v in (raw, q)]
            rows += [_sure(source, way, v, y, h) for way,v,h in zip(ways, (raw, q), held)]
            told.append((t[at], raw, q, y, held[1]))
    t = pd.concat([a for a,*_ in told], ignore_index=True)
    raw, q, y, held = (np.concatenate([v[k] for v in told]) for k in range(1, 5))
    i = np.random.default_rng(0).choice(len(t), 4000, p=balanced(t))
    return rows+[_sure('all, balanced', way, v[i], y[i], held[i], len(t)) for way,v in zip(ways, (raw, q))]

def exchange_pairs(t, n=150, few=None, seed=0):
    "Films of sources left out, at most `n` a class, and as many bodies of the training films, or of a few of them"
    rng = np.random.default_rng(seed)
    away = t[(t.role=='external') & t.label.isin(['normal', 'covid-19'])]
    films = pd.concat([g.sample(min(n, len(g)), random_state=seed) for _,g in away.groupby('label')])
    train = t[t.role=='train']
    w = 1/np.sqrt(train.source.map(train.source.value_counts()))
    drawn = rng.choice(len(train), few or len(films), p=(w/w.sum()).to_numpy())
    bodies = train.film.to_numpy()[drawn]
    return films, rng.choice(bodies, len(films)) if few else bodies

def exchanged(e, t, root, n=150, few=None, seed=0):
    "`exchange_test` of films of sources left out on bodies of the training films, or on a few bodies all alike"
    films, bodies = exchange_pairs(t, n, few, seed)
    return exchange_test(e, [root/f for f in films.film], list(films.label), [root/f for f in bodies])

def exchange_counts(t, root, few=None):
    "Class → films of the exchange: the pairs of which both show two lungs"
    films, bodies = exchange_pairs(t, few=few)
    shown = {f:find_lungs(load_radiograph(root/f).resized(512).data).found for f in {*films.film, *bodies}}
    told = films.label[[shown[a] and shown[b] for a,b in zip(films.film, bodies)]]
    return {c:int(n) for c,n in told.value_counts().sort_index().items()}

def shares(x):
    "Share of the evidence outside the lungs by each method, of the evidence on the blank, and the area outside"
    outside = {m:outside_share(x, m) for m in x.attributions}
    blank = {f'{m}, on the blank':a.checks.get('hidden', np.nan) for m,a in x.attributions.items()}
    return {**outside, **blank, 'area':float(1-x.mask.mean())}

def evidence(e, t, root, n=20, seed=0):
    "Median share of the evidence outside the lungs on films of sources left out, and the area outside"
    away = t[(t.role=='external') & t.label.isin(CLASSES)]
    films = pd.concat([g.sample(min(n, len(g)), random_state=seed) for _,g in away.groupby('source')])
    told = (predict_and_explain(root/f, e, ('grad-cam', 'grad-cam++', 'lrp'), max_side=512) for f in films.film)
    rows = [shares(x) for x in told if x.usable]
    return dict(pd.DataFrame(rows).median().dropna().round(4), n=len(rows)) # whole films have no blank

def looked_at(ensemble, t, root, folder):
    "Exchange, common bodies and evidence of one ensemble on the sources left out; measured once for the same weights"
    key = fingerprint([[m.card.sha256 for m in ensemble.members], ensemble.preprocess.to_dict(), list(t.film)])
    path = folder/f'looked-{key}.json'
    if not path.exists():
        own, common = (exchange_scores(exchanged(ensemble, t, root, few=few)) for few in (None, 8))
        write_json(path, dict(exchange=own, common_bodies=common, evidence=evidence(ensemble, t, root)))
    return json.loads(path.read_text(encoding='utf-8'))

# ---------------------------------------------------------------- what each part of the recipe is worth
def variant_members(variant, fold, work):
    "The runs of a variant"
    for path in sorted((work/'outside').glob(f'{variant}-{fold}-?.safetensors')):
        model, card = load_weights(path)
        if VARIANTS[variant].field is not None: card.preprocess = dict(card.preprocess, field=RIM)
        yield Member(path.stem, model, card)

def answered(variant, run, asked, p, **beside):
    "Rows of the leave-one-source-out table for what one run says"
    home = ((asked.role=='test') & asked.label.isin(CLASSES)).to_numpy()
    f1 = f1_score(class_numbers(asked.label[home]), p[home].argmax(1), average='macro')
    for question, (yes, no, scores) in QUESTIONS['A'].items():
        at = (yes(asked)|no(asked)).to_numpy()
        positive, group = yes(asked).to_numpy()[at], asked.group.to_numpy()[at]
        for s in scores:
            area = auc(SCORES[s](p[at]), positive, group)
            about = dict(variant=variant, run=run, question=question, score=s)
            yield dict(about, macro_f1=round(float(f1), 4), **beside, **area)

def measured_films(t): return t[t.role.isin(['external', 'test'])].reset_index(drop=True)

def ablated(variant, root, work, known=()):
    "Rows of each run of a variant that is not known yet, with its macro-F1 on the test fold and its background gap"
    t = study(root, work, 'A', variant)[0]
    asked, recipe = measured_films(t), VARIANTS[variant]
    seen = recipe if recipe.field is None else replace(recipe, field=RIM)
    films = film_cache(asked, root, seen.preprocess(), work/'films', recipe.crop, ready=True)
    for m in variant_members(variant, 'A', work):
        if m.name in known: continue
        e = Ensemble([m])
        gap = exchange_scores(exchanged(e, t, root))
        yield from answered(variant, m.name, asked, e.posteriors(films)[0][0], exchange=gap)

MARGINS = (.06, 0., .15) # Around the lungs: as an ensemble sees a film, closer, wider

def view(pair, size, margin, mirrored):
    "size×size uint8: a kept film and its lung field, cut with another margin"
    top, left, bottom, right = lung_box(pair[...,1]>127, margin) or (0, 0, *pair.shape[:2])
    part = pair[top:bottom,left:right]
    film, field = np.moveaxis(cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA), -1, 0)
    x = equalize_field(film, widened(field>127, RIM))
    return np.ascontiguousarray(x[:,::-1]) if mirrored else x

def viewed(root, work, known=()):
    "Rows of each run of the recipe that is not known yet, asked about six views: three margins, mirrored or not"
    t, films = study(root, work, 'A')
    asked = measured_films(t)
    pairs = films[t.role.isin(['external', 'test']).to_numpy()]
    for path in sorted((work/'outside').glob('lungs-A-?.safetensors')):
        if f'{path.stem} once' in known: continue
        model, card = load_weights(path)
        card.preprocess = dict(card.preprocess, field=RIM)
        e = Ensemble([Member(path.stem, model, card)])
        told = []
        for margin in MARGINS:
            for mirrored in (False, True):
                x = np.stack([view(q, RECIPE.sizes[-1], margin, mirrored) for q in pairs])
                told.append(e.posteriors(x)[0][0])
        yield from answered('one view', f'{path.stem} once', asked, told[0], exchange=None)
        yield from answered('six views', f'{path.stem} six', asked, np.mean(told, 0), exchange=None)

ORDER = (*VARIANTS, 'one view', 'six views')

def main_ablate(work, out):
    "Measure every run that was not measured before; the rest stays"
    rows = json.loads(out.read_text(encoding='utf-8')) if out.exists() else []
    known = {r['run'] for r in rows}
    def runs(name): return {p.stem for p in (work/'outside').glob(f'{name}-A-?.safetensors')}
    def keep(more):
        rows.extend(more)
        write_json(out, sorted(rows, key=lambda r: (ORDER.index(r['variant']), r['run'])))
    for variant in filter(None, VARIANTS):
        if runs(variant)-known: keep(ablated(variant, data_dir(), work, known))
    if runs('lungs'): keep(viewed(data_dir(), work, known))

NAMES = ('lungs alone, sources left out', 'the default of version 0.1')

def main_measure(work, out, beside):
    root = data_dir()
    t, _ = study(root, work, 'A')
    result = {}
    for name, which in zip(NAMES, (ensemble_of('A', work), beside and load_ensemble(beside))):
        if which: result[name] = looked_at(which, t, root, work/'outside')
        print(name, result.get(name), flush=True)
    result['exchange_films'] = dict(exchange=exchange_counts(t, root), common_bodies=exchange_counts(t, root, few=8))
    result['answers'] = [r for fold in trained(work) for r in answers(fold, root, work)]
    result['calibration'] = calibrated_outside(root, work)
    result['operating'] = operating(root, work)
    result['second_opinion'] = second_opinion(root, work)
    write_json(out, result)

def main_count(work, out):
    "How many films the exchange was made with, beside what it gave"
    root = data_dir()
    t, _ = study(root, work, 'A')
    result = json.loads(Path(out).read_text(encoding='utf-8'))
    result['exchange_films'] = dict(exchange=exchange_counts(t, root), common_bodies=exchange_counts(t, root, few=8))
    write_json(out, result)

def main_ship(work, out):
    "The five networks that were trained on every adult source, calibrated by what was said of the sources left out"
    root, members = data_dir(), members_of('all', work)
    t, _ = study(root, work, 'all')
    films = seen_films(t, root, work)
    def pick(role): return (t.role==role).to_numpy()
    few = np.sort(np.random.default_rng(0).permutation(np.flatnonzero(pick('train')))[:800])
    e = calibrate(members, films[pick('valid')], class_numbers(t.label[pick('valid')]), films[few], name='default')
    e.temperature, e.bias, e.threshold = outside_fit([(a, p) for _,a,p in left_out(root, work)])
    e.typicality.threshold *= 1.1
    test = t[pick('test')].reset_index(drop=True)
    p, f = e.posteriors(films[pick('test')])
    odd, names = ~e.typicality.typical(f), [m.name for m in members]
    scores = card_scores(test, p, odd, names, e.temperature, e.threshold, bias=e.bias)
    outside = [r for fold in trained(work) for r in answers(fold, root, work)]
    e.about = dict(data=about_data(t), scores=scores, outside=outside)
    e.about['calibration_outside'] = calibrated_outside(root, work)
    save_ensemble(e, out)
    print(e, e.temperature, e.bias, e.threshold, e.about['scores']['test']['scores']['macro_f1'])

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('what', choices=('train', 'measure', 'count', 'ablate', 'ship'))
    p.add_argument('jobs', nargs='*', help='FOLD/SEED, or VARIANT/FOLD/SEED')
    p.add_argument('--work', type=Path, default='runs')
    p.add_argument('--out', type=Path, help='results/outside.json, or the folder of the ensemble')
    p.add_argument('--beside', help='another ensemble to be measured by the same script: a name or a folder')
    a = p.parse_args()
    torch.set_num_threads(1)
    results = package_file().parent/'nbs'/'results'
    if a.what=='train': main_train(a.jobs, a.work)
    if a.what=='measure': main_measure(a.work, a.out or results/'outside.json', a.beside)
    if a.what=='count': main_count(a.work, a.out or results/'outside.json')
    if a.what=='ablate': main_ablate(a.work, a.out or results/'ablations.json')
    if a.what=='ship': main_ship(a.work, a.out or a.work/'shipped')
