"""Is it the disease that it sees, or the source? And what passes for a chest film?

    DCE_DATA=folder/with/the/collections python benchmarks/audit.py --work runs/audit

Writes `results/audit.json` beside the notebooks, from which the page *Shortcut audit* makes its tables. Films are looked at in portions
that are kept, by ensemble and lung network: a run that was stopped goes on, and new weights are looked at afresh. About twenty minutes of
one core.
"""
import argparse, hashlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2, numpy as np, pandas as pd, pydicom, torch
from pydicom.data import get_testdata_file
from skimage import data as pictures
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from deepcovidexplainer.core import CLASSES, data_dir, fingerprint, package_file, sha256_of
from deepcovidexplainer.sources import read_index
from deepcovidexplainer.splits import assign_groups, assign_roles, kept_hashes
from deepcovidexplainer.ensemble import Ensemble, Member, average_posteriors
from deepcovidexplainer.scores import _draws, _ends, _ranking, bootstrap_ci, compare, measure, rate
from deepcovidexplainer.guard import LIMITS, guard
from deepcovidexplainer.lungs import find_lungs
from deepcovidexplainer.core import write_json
from deepcovidexplainer.core import write_whole
from deepcovidexplainer.models import load_weights
from deepcovidexplainer.pipeline import ensemble_attributions
from deepcovidexplainer.preprocess import text_mask
from deepcovidexplainer.radiograph import load_radiograph
from deepcovidexplainer.training import Recipe, Study, fit_networks
from deepcovidexplainer.zoo import load_ensemble
from ct_films import SIDE, films as ct_films
from generalise import FROZEN, recipe_of
from train_default import pictures_in

PER_CELL, PORTION, MAPS, SEED = 36, 32, 12, 0 # films of each class of each source beyond the test fold; films a portion; heatmaps a class
# Views of each film: as it is; lungs blacked out; all but the lungs blacked out; letters left in, where there are any
VIEWS = ('intact', 'border', 'lungs', 'letters')

def keep(path, save, *args, **kw):
    "Write arrays whole or not at all"
    def write(p):
        with open(p, 'wb') as f: save(f, *args, **kw)
    write_whole(path, write)

def table(root, work, ensemble):
    "Every film with group and role; near-duplicates are searched once"
    t = read_index(root)
    away = tuple(ensemble.about['data']['films'].get('external', ()))
    t = assign_roles(assign_groups(t, kept_hashes(t, root, work)), away)
    return t[t.source!='kermany'].reset_index(drop=True)

def some(t, n): return t.sample(min(n, len(t)), random_state=SEED)

def chosen(t):
    "The test fold, and some films of every class of every source"
    rest = t[t.label.isin(CLASSES) & (t.role!='test') & ~t.child]
    return pd.concat([t[t.role=='test'], *(some(g, PER_CELL) for _,g in rest.groupby(['source', 'label']))])

# --- what is kept of a film ---

def small(x):
    "16×16 thumbnail and 32-bin histogram of a whole film"
    thumb = cv2.resize(x, (16, 16), interpolation=cv2.INTER_AREA).ravel()
    return np.r_[thumb, np.histogram(x, 32, (0, 1))[0]/x.size].astype(np.float32)

def variants(film, lungs, ensemble):
    "View → cleaned film; a view that makes no sense is left out"
    x, p, place = film.data, ensemble.preprocess, (lungs.box, lungs.field) if ensemble.crop=='lungs' else ()
    def clean(x, p=p): return np.round(p.clean(x, *place)*255).astype(np.uint8)
    out = dict(intact=clean(x))
    if lungs.found:
        wide = cv2.dilate(lungs.mask.astype(np.uint8), np.ones((9, 9)))>0
        out |= dict(border=clean(np.where(wide, 0, x)), lungs=clean(np.where(wide, x, 0)))
    if p.field is None and text_mask(x).any(): out['letters'] = clean(x, replace(p, remove_text=not p.remove_text))
    return out

def portion(films, ensemble):
    "Posteriors and features of every view of some films, and what the guard says"
    found = [find_lungs(f) for f in films]
    views = [variants(f, l, ensemble) for f,l in zip(films, found)]
    at = [(i, VIEWS.index(v)) for i,vs in enumerate(views) for v in vs]
    members, features = ensemble.posteriors(np.stack([x for vs in views for x in vs.values()]))
    told = average_posteriors(members)
    p, f = np.full((len(films), 4, 3), np.nan), np.full((len(films), 4, features.shape[1]), np.nan, np.float16)
    for k,(i,v) in enumerate(at): p[i,v], f[i,v] = told[k], features[k]
    typical = ensemble.typicality.typical(f[:,0].astype(float))
    doubts = [' '.join(guard(film, l, SimpleNamespace(typical=known))) for film,l,known in zip(films, found, typical)]
    return dict(p=p, f=f, outlined=np.array([l.found for l in found]), doubts=np.array(doubts, dtype='U40'))

def looked_at(t, root, ensemble, work, key):
    "Every portion, from disk where it was looked at before"
    parts = []
    for i in range(0, len(t), PORTION):
        names = list(t.film[i:i+PORTION])
        path = work/f'{key}-{fingerprint(names)}.npz'
        if not path.exists():
            out = portion([load_radiograph(root/f).resized(512) for f in names], ensemble)
            keep(path, np.savez, **out)
            print(f'{min(i+PORTION, len(t))} of {len(t)} films', flush=True)
        parts.append(dict(np.load(path)))
    return {k:np.concatenate([p[k] for p in parts]) for k in parts[0]}

def thumbnails(t, root, work):
    "`small` of every film of the index"
    path = work/f'small-{fingerprint(list(t.film))}.npy'
    if not path.exists(): keep(path, np.save, np.stack([small(load_radiograph(root/f).data) for f in t.film]))
    return np.load(path)

# --- scores ---

def numbers(labels): return np.array([CLASSES.index(c) for c in labels])
def span(v, ends, n):
    value, low, high = (round(float(x), 4) for x in (v, *ends))
    return dict(value=value, low=low, high=high, n=int(n))

def graded(p, y, group, names=('macro_f1', 'balanced_accuracy', 'auroc normal', 'auroc covid-19')):
    "Some scores with patient-bootstrap intervals"
    v, ci = measure(p, y), bootstrap_ci(p, y, group)
    return {k:span(v[k], ci[k], len(y)) for k in names if v[k]==v[k]}

def macro_auc(p, y, group):
    "Mean one-versus-rest AUROC over any number of classes"
    def auc(w): return dict(auc=np.mean([_ranking(w, p[:,k], y==k)[0] for k in range(p.shape[1])], 0))
    return span(auc(np.ones((1, len(y))))['auc'][0], _ends(_draws(auc, len(y), group, 2000, SEED)['auc']), len(y))

def classifier(n):
    "A logistic regression on at most 64 components"
    fit = LogisticRegression(C=.1, max_iter=2000, class_weight='balanced')
    return make_pipeline(StandardScaler(), PCA(min(64, n), random_state=SEED), fit)

def out_of_fold(x, y, group):
    "Posteriors of a logistic regression for films whose patients it has not seen"
    p = np.zeros((len(y), y.max()+1))
    for fit, held in StratifiedGroupKFold(5, shuffle=True, random_state=SEED).split(x, y, group):
        p[held] = classifier(min(x.shape[1], len(fit)-1)).fit(x[fit], y[fit]).predict_proba(x[held])
    return p

def blacked_out(t, root, p, work):
    "N×3×S×S uint8 films of DarkCovidNet (intact, lungs blacked out, lungs alone), and whether lungs were outlined"
    path = work/f'views-{fingerprint(dict(films=list(t.film), recipe=p.to_dict()))}.npz'
    if not path.exists():
        out, there = np.zeros((len(t), 3, p.size, p.size), np.uint8), np.zeros(len(t), bool)
        for i,f in enumerate(t.film):
            film = load_radiograph(root/f).resized(512)
            mask = find_lungs(film).mask
            there[i] = mask.any()
            wide = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9)))>0
            views = (film.data, np.where(wide, 0, film.data), np.where(wide, film.data, 0))
            for k,x in enumerate(views): out[i,k] = np.round(p.clean(x.astype(np.float32))*255)
        keep(path, np.savez, films=out, there=there)
    kept = np.load(path)
    return kept['films'], kept['there']

def retrained(t, root, work):
    "The plain recipe trained anew on films without lungs and on lungs alone: DarkCovidNet, the test fold held out"
    t = t[(t.collection=='darkcovidnet') & t.role.isin(['train', 'valid', 'test'])].reset_index(drop=True)
    p = recipe_of('hist+clahe', 160)
    films, there = blacked_out(t, root, p, work)
    t, films = t[there].reset_index(drop=True), films[there]
    fit, test = (t.role!='test').to_numpy(), (t.role=='test').to_numpy()
    part = t[fit].reset_index(drop=True)
    y, g, rows = numbers(t.label[test]), t.group[test].to_numpy(), []
    valid = (part.role=='valid').to_numpy()
    how = dict(lr=1e-3, balance='class', strength=.3, frozen=FROZEN, half=True)
    recipe = Recipe('efficientnet_lite0', 'imagenet', (160,), 1, 6, **how)
    study = Study(part, root, valid, CLASSES)
    for k,view in enumerate(VIEWS[:3]):
        paths = fit_networks(study, recipe, work/f'retrained-{view}', films[fit,k], 'snapshot', say=None)
        q = average_posteriors(Ensemble([Member('one', *load_weights(paths[0]))]).posteriors(films[test,k])[0])
        rows.append(dict(view=view, films=int(fit.sum()), **graded(q, y, g)))
    return rows

def inputs(d, x):
    "Name → what a simple classifier is given"
    def f(v): return d['f'][:,VIEWS.index(v)].astype(np.float32)
    return {
        'features of the network':f('intact'),
        'features, lungs blacked out':f('border'),
        'features, lungs alone':f('lungs'),
        '16-pixel thumbnail':x[:,:256],
        'histogram':x[:,256:]}

# --- the questions ---

def masked(t, d):
    "The ensemble itself on the test fold: as it is, without lungs, with lungs alone"
    at = (t.role=='test').to_numpy() & d['outlined']
    y, g = numbers(t.label[at]), t.group[at].to_numpy()
    rows = []
    for v in VIEWS[:3]:
        p = d['p'][at, VIEWS.index(v)]
        row = dict(view=v, **graded(p, y, g))
        if v!='intact':
            c = compare(d['p'][at, 0], p, y, g, ['macro_f1']).loc['macro_f1']
            row['loss of macro_f1'] = span(c.difference, (c.low, c.high), len(y))
        rows.append(dict(row, **{f'called {c}':round(float((p.argmax(1)==k).mean()), 4) for k,c in enumerate(CLASSES)}))
    return rows

def probes(t, d, x):
    """Simple classifiers of the class, patients held out

    Over all sources, and inside NIH, where the source tells nothing."""
    nih = (t.source=='nih') & t.label.isin(['normal', 'pneumonia'])
    rows = []
    for name, part in {'all sources':t.label.isin(CLASSES), 'inside NIH':nih}.items():
        at = part.to_numpy() & d['outlined']
        y, g = numbers(t.label[at]), t.group[at].to_numpy()
        rows += [dict(films=name, given=given, auc=macro_auc(out_of_fold(z[at], y, g), y, g))
                 for given,z in inputs(d, x).items()]
    return rows

def sources(t, d, x):
    "Simple classifiers of the source among films of one class"
    rows = []
    for label in ('normal', 'covid-19'):
        n = t[t.label==label].groupby('source').group.nunique()
        known = sorted(n[n>=10].index)
        at = ((t.label==label) & t.source.isin(known)).to_numpy() & d['outlined']
        at &= t.source.map(t[at].source.value_counts()).fillna(0).ge(10).to_numpy()
        y, g = pd.factorize(t.source[at], sort=True)[0], t.group[at].to_numpy()
        films = dict(films=label, sources=', '.join(sorted(set(t.source[at]))))
        rows += [dict(films, given=given, auc=macro_auc(out_of_fold(z[at], y, g), y, g))
                 for given,z in inputs(d, x).items()]
    return rows

def baselines(t, small_of, p_test):
    "Thumbnail and histogram trained on all training films, on the test fold and the hospitals never seen"
    fit, test, rows = (t.role=='train').to_numpy(), (t.role=='test').to_numpy(), []
    y, g = numbers(t.label[test]), t.group[test].to_numpy()
    told = {'ensemble':p_test}
    for name, part in (('16-pixel thumbnail', slice(0, 256)), ('histogram', slice(256, None))):
        model = classifier(min(small_of[:,part].shape[1], 64)).fit(small_of[fit][:,part], numbers(t.label[fit]))
        told[name] = model.predict_proba(small_of[test][:,part])
        away = t[t.role=='external']
        said = model.predict(small_of[(t.role=='external').to_numpy()][:,part])
        right = said==numbers(away.label)
        called = {f'{s}, called what it is':rate(right[(away.source==s).to_numpy()]) for s in sorted(set(away.source))}
        rows.append(dict(given=name, **graded(told[name], y, g), **called))
    for r in rows:
        c = compare(told['ensemble'], told[r['given']], y, g, ['macro_f1']).loc['macro_f1']
        r['ensemble ahead by'] = span(c.difference, (c.low, c.high), len(y))
    return [dict(given='ensemble', **graded(p_test, y, g)), *rows]

def strata(t, d):
    "The test fold in parts in which a short cut is closed"
    test, nih = t.role=='test', t.source=='nih'
    opaque = t.quality.isin(['Lung Opacity', 'No Lung Opacity / Not Normal'])
    contradicted = (t.label=='pneumonia') & (t.quality=='Normal') | (t.label=='normal') & opaque
    parts = {
        'whole test fold':test,
        'adults only':test & ~(t.age<18),
        'AP films of NIH, all of ieee8023':test & (~nih | (t.view=='AP')),
        'PA films of NIH, all of ieee8023':test & (~nih | (t.view=='PA')),
        'NIH alone (normal or pneumonia)':test & nih,
        'NIH alone, AP':test & nih & (t.view=='AP'),
        'NIH alone, PA':test & nih & (t.view=='PA'),
        'NIH alone, adults':test & nih & ~(t.age<18),
        'NIH, labels that radiologists contradict left out':test & nih & ~contradicted}
    rows = []
    for name, at in parts.items():
        at = at.to_numpy()
        p, y, g = d['p'][at, 0], numbers(t.label[at]), t.group[at]
        counts = dict(films=int(at.sum()), patients=int(g.nunique()))
        rows.append(dict(stratum=name, **counts, **graded(p, y, g.to_numpy(), ('macro_f1', 'auroc normal'))))
    return rows

def letters(t, d):
    "What letters do: each film that has some, with and without them"
    p, q = d['p'][:,0], d['p'][:,3]
    at = ~np.isnan(q[:,0])
    rows = []
    for label in ('all', *CLASSES):
        of_class = (t.label==label).to_numpy() | (label=='all')
        part = at & of_class
        change = abs(p[part]-q[part]).max(1)
        median, high = round(float(np.median(change)), 4), round(float(np.percentile(change, 95)), 4)
        changes = rate(p[part].argmax(1)!=q[part].argmax(1), t.group[part].to_numpy())
        rows.append(dict(films=label, with_letters=int(part.sum()), of=int(of_class.sum()), median_change=median,
                         p95_change=high, decision_changes=changes))
    return rows

def share(m, where):
    "Part of the positive relevance that lies there"
    m = np.maximum(m, 0)
    return float(m[where].sum()/max(m.sum(), 1e-12))

def film_maps(film, lungs, label, ensemble):
    "Method → map; and a blind one, even over what the networks see"
    x, box = ensemble.inputs(film, lungs)
    shown = ensemble.seen(lungs)
    seen = np.zeros(film.shape)
    top, left, bottom, right = box or (0, 0, *film.shape)
    seen[top:bottom, left:right] = 1
    if shown is not None: seen = shown.astype(float)
    maps = ensemble_attributions(ensemble, x, label, ('grad-cam', 'grad-cam++', 'lrp'), film, box, shown)
    return {m:a.data for m,a in maps.items()} | {'blind map':seen}

def relevance_rows(t, d, root, ensemble):
    "Shares outside the lungs and on letters, film by film and map by map"
    test = t[(t.role=='test').to_numpy() & d['outlined']]
    few = pd.concat([test[test.label==c].drop_duplicates('group').pipe(some, MAPS) for c in CLASSES])
    for f, label in zip(few.film, few.label):
        film = load_radiograph(root/f).resized(512)
        lungs = find_lungs(film)
        for name, m in film_maps(film, lungs, label, ensemble).items():
            outside, letters = share(m, ~lungs.mask), share(m, text_mask(film.data))
            yield dict(film=f, label=label, method=name, outside=outside, letters=letters)

def relevance(t, d, root, ensemble, work, key):
    "Where heatmaps lie: share of the positive relevance outside the lungs, beside that of a blind map"
    path = work/f'{key}-relevance.csv'
    if not path.exists():
        rows = pd.DataFrame(list(relevance_rows(t, d, root, ensemble)))
        write_whole(path, lambda p: rows.to_csv(p, index=False))
    r, rng = pd.read_csv(path), np.random.default_rng(SEED)
    def mean(v):
        drawn = v.to_numpy()[rng.integers(0, len(v), (2000, len(v)))].mean(1)
        return span(v.mean(), np.percentile(drawn, [2.5, 97.5]), len(v))
    wide, rows = r.pivot(index='film', columns='method', values='outside'), []
    for m, g in r.groupby('method'):
        rows.append(dict(method=m, outside=mean(g.outside), letters=mean(g.letters)))
        if m!='blind map': rows[-1]['outside, less than the blind map by'] = mean(wide['blind map']-wide[m])
    return rows

REASONS = ('colour', 'lungs', 'turned', 'mirrored', 'view', 'unlike')

def alarms(t, d):
    "The guard on real frontal films, source by source"
    rows = []
    for s in sorted(set(t.source)):
        at = (t.source==s).to_numpy()
        doubts = d['doubts'][at]
        because = {f'because {k}':int(sum(k in x.split() for x in doubts)) for k in REASONS}
        rows.append(dict(source=s, doubted=rate(doubts!=''), not_outlined=rate(~d['outlined'][at]), **because))
    return rows
SLICES = {
    'CT of the body':'693_J2KI.dcm',
    'CT, 128 pixels':'CT_small.dcm',
    'CT of the head':'J2K_pixelrep_mismatch.dcm',
    'MR, 64 pixels':'MR_small.dcm',
    'bone scan':'JPEG2000.dcm',
    'ultrasound':'ExplVR_BigEnd.dcm'}
PHOTOGRAPHS = ('astronaut', 'camera', 'coffee', 'chelsea', 'coins', 'moon', 'clock', 'rocket', 'cell', 'retina',
               'brick', 'grass', 'gravel', 'page', 'text')
ABUSES = {
    'inverted':lambda x: 1-x,
    'on its side':lambda x: np.rot90(x).copy(),
    'upside down':lambda x: np.rot90(x, 2).copy(),
    'cut in half (left)':lambda x: x[:, :x.shape[1]//2].copy(),
    'lungs cut off':lambda x: x[int(.6*len(x)):].copy()}

def from_ct(patient, degrees):
    "The kind of a film that was made from CT"
    part = 'belly' if patient=='belly' else 'chest'
    return f'{part} from the side, made from CT' if degrees in SIDE else f'{part} from the front, made from CT'

def strangers(t, root, folder, ct):
    "(kind, name, picture) of what is no upright frontal chest film, and of the same patients from the front"
    shown = {n:getattr(pictures, n)() for n in PHOTOGRAPHS}
    for n,x in shown.items(): yield 'photographs and textures', n, x
    for n,x in shown.items():
        if x.ndim==3: yield 'the colour ones in grey', n, cv2.cvtColor(x[..., :3], cv2.COLOR_RGB2GRAY)/np.float32(255)
    for n,x in pictures_in(folder) if folder else (): yield 'photographs from elsewhere, in grey', n, x/np.float32(255)
    yield 'photographs and textures', 'Shepp–Logan phantom', pictures.shepp_logan_phantom().astype(np.float32)
    yield 'photographs and textures', 'noise', np.random.default_rng(0).random((256, 256)).astype(np.float32)
    for name, file in SLICES.items():
        path = get_testdata_file(file, download=False)
        if path:
            yield 'CT, MR and other pictures of patients', name, path
            x = pydicom.dcmread(path).pixel_array.astype(np.float32)
            x = x[0] if x.ndim>2 and x.shape[-1]!=3 else x
            yield 'the same pictures without their headers', name, (x-x.min())/max(np.ptp(x), 1e-6)
    for patient, degrees, x in ct_films(ct) if ct else (): yield from_ct(patient, degrees), f'{patient}, {degrees}°', x
    real = pd.concat([some(g, 8) for _,g in t[t.role=='external'].groupby('source')])
    for how, change in ABUSES.items():
        for f in real.film: yield f'real films, {how}', f, change(load_radiograph(root/f).resized(512).data)

def detections(t, root, ensemble, folder, ct, work, key):
    "The guard on strangers"
    path = work/f'{key}-strangers-{folder.name if folder else ""}-{ct.name if ct else ""}.csv'
    if not path.exists():
        rows = []
        for kind, name, picture in strangers(t, root, folder, ct):
            try: film = load_radiograph(picture).resized(512)
            except ValueError as e:
                rows.append(dict(kind=kind, name=name, doubts='refused'))
                print(name, e)
                continue
            lungs = find_lungs(film)
            rows.append(dict(kind=kind, name=name, doubts=' '.join(guard(film, lungs, ensemble.predict(film, lungs)))))
        write_whole(path, lambda p: pd.DataFrame(rows).to_csv(p, index=False))
    r = pd.read_csv(path, keep_default_na=False)
    rows = []
    for kind, g in r.groupby('kind', sort=False):
        caught, named = (g.doubts!='').to_numpy(), not (kind.startswith('real') or kind.endswith('made from CT'))
        missed = list(g['name'][~caught]) if named else []
        rows.append(dict(kind=kind, caught=rate(caught), view_alone=int((g.doubts=='view').sum()), missed=missed))
    return rows

def key_of(ensemble, lungs):
    "Changes with the networks, with the lung network and with the guard's limits"
    members, typicality = ''.join(m.card.sha256 for m in ensemble.members), ensemble.typicality
    limits = f'{ensemble.temperature} {typicality.threshold} {typicality.bias} {sorted(LIMITS.items())}'
    return hashlib.sha256((members+lungs+limits).encode()).hexdigest()[:12]

def told_of(t, ensemble, lungs):
    "What the page says of the films and the networks"
    films = {s:int(n) for s,n in t.source.value_counts().sort_index().items()}
    members = {m.name:m.card.sha256 for m in ensemble.members}
    return dict(ensemble=ensemble.name, members=members, lungs=lungs, films=int(len(t)), sources=films,
                intervals='95 %; patient bootstrap (2,000) or Wilson')

def main(work, out, weights, pictures_folder, ct):
    torch.set_num_threads(1)
    work.mkdir(parents=True, exist_ok=True)
    root, ensemble = data_dir(), load_ensemble(weights)
    lungs = sha256_of(package_file('weights', 'lungs.safetensors'))
    key = key_of(ensemble, lungs)
    every = table(root, work, ensemble)
    small_of = thumbnails(every, root, work)
    t = chosen(every)
    x = small_of[t.index]
    t = t.reset_index(drop=True)
    d = looked_at(t, root, ensemble, work, key)
    test = (t.role=='test').to_numpy()
    where = every.index[every.role=='test']
    assert list(every.film[where])==list(t.film[test])
    write_json(out, dict(
        about=told_of(t, ensemble, lungs),
        masked=masked(t, d),
        retrained=retrained(every, root, work),
        probes=probes(t, d, x),
        sources=sources(t, d, x),
        baselines=baselines(every, small_of, d['p'][test, 0]),
        strata=strata(t, d),
        letters=letters(t, d),
        relevance=relevance(t, d, root, ensemble, work, key),
        alarms=alarms(t, d),
        detections=detections(every, root, ensemble, pictures_folder, ct, work, key)))
    print(out)

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--work', type=Path, default='runs/audit')
    p.add_argument('--weights', default='default')
    p.add_argument('--out', type=Path, default=package_file().parent/'nbs'/'results'/'audit.json')
    p.add_argument('--pictures', dest='pictures_folder', type=Path, help=(
        'folder with pictures that are no chest films and that the guard did not learn from; the results that ship saw '
        "Debian's packages gnome-backgrounds and plasma-workspace-wallpapers"))
    p.add_argument('--ct', type=Path, help='folder with CT volumes, from which films are made (see `ct_films.py`)')
    main(**vars(p.parse_args()))
