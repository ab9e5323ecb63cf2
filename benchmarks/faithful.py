"""Do the heatmaps tell the truth? Every method and three baselines, on lesions, boxes and severity scores that radiologists gave.

    DCE_DATA=folder/with/the/collections python benchmarks/faithful.py --work runs/faithful

Writes `results/faithful.csv` (means over patients with intervals), `results/faithful_randomisation.csv` and `results/faithful.json` in
`nbs`, from which the tutorial *Compare methods* makes its tables. Resumable: films that are done for these weights are not done
again. `--one-by-one` measures the paper's networks, which `architectures.py --out` wrote, on lesions and boxes. The comparison with other
libraries needs `pip install deepcovidexplainer[benchmarks]`; it is left out, and said so, where they are missing.
"""
import argparse, json, os, warnings
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cv2, numpy as np, pandas as pd, torch

from deepcovidexplainer import load_ensemble, load_radiograph
from deepcovidexplainer.attribution import mean_attribution
from deepcovidexplainer.lungs import lung_zones, zone_shares
from deepcovidexplainer.attribution import Attribution
from deepcovidexplainer.forward import evaluating
from deepcovidexplainer.core import CLASSES, data_dir, fingerprint
from deepcovidexplainer.ensemble import Ensemble
from deepcovidexplainer.faithful import BASELINES, Case, agreement, fell, film_scores, randomization_check, summarise
from deepcovidexplainer.models import cam_layer
from deepcovidexplainer.pipeline import METHODS, _ask, ensemble_attributions

QUICK = ('cam', 'grad-cam', 'grad-cam++', 'lrp', 'lrp-epsilon')
COARSE = {
    'integrated-gradients':partial(METHODS['integrated-gradients'], n_steps=8),
    'occlusion':partial(METHODS['occlusion'], window=48, stride=32)}
# CAM is Grad-CAM, and the paper's LRP is LRP, on these networks
ALL = ('grad-cam', 'grad-cam++', 'lrp', 'lrp-alpha2-beta1', 'lrp-epsilon', *COARSE)
LOCAL, PERTURB = ('pointing', 'mass', 'rank', 'mass in lungs'), ('deletion', 'insertion', 'road')
ZONES = 'ABCDEF' # BrixIA: upper, middle, lower of the patient's right lung, then of the left
N_SHUFFLE, RECTIFIED = 12, 'resnet18'
COLUMNS = ['set', 'explained', 'method', 'measure', 'value', 'low', 'high', 'films', 'patients']
WITHIN = ('grad-cam', 'lrp') # Also measured with what lies outside the lungs cut off

# ---------------------------------------------------------------- films
def label_of(finding):
    "The class of a finding in Cohen et al.'s words; None when it is none of the three"
    kinds = ('Pneumocystis', 'SARS', 'Streptococcus', 'Legionella', 'Klebsiella', 'Pneumonia')
    return 'covid-19' if 'COVID-19' in finding else 'pneumonia' if any(k in finding for k in kinds) else None

def mask_of(folder, stem):
    "H×W bool, or None when nobody drew one"
    path = folder/f'{stem}.png'
    return cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) > 127 if path.exists() else None

def lesion_cases(root):
    "Films on which radiologists drew ground glass or consolidation; never trained on"
    folder = root/'annotations'/'lesions'
    paths, t = {p.stem: p for p in (folder/'images').iterdir()}, pd.read_csv(folder/'metadata.csv')
    for r in t.sort_values('filename').itertuples():
        stem = os.path.splitext(r.filename)[0]
        drawn = [mask_of(folder/kind, stem) for kind in ('ground_glass', 'consolidation')]
        drawn, label = [m for m in drawn if m is not None], label_of(r.finding)
        if drawn and label:
            lungs, patient = mask_of(folder/'lungs', stem), str(r.patientid)
            yield stem, partial(make_case, paths[stem], label, np.any(drawn, 0), lungs, patient)

def box_cases(root):
    "NIH films on which a radiologist boxed a pneumonia"
    t = pd.read_csv(root/'annotations'/'nih_boxes.csv')
    t, paths = t[t.finding == 'Pneumonia'], {p.name: p for p in (root/'darkcovidnet').rglob('*.png')}
    for name, boxes in t.groupby('image'): yield Path(name).stem, partial(boxed_case, paths[name], boxes)

def boxed_case(path, boxes):
    film = load_radiograph(path)
    truth = np.zeros(film.data.shape, bool)
    scale = np.array(truth.shape)/1024
    for b in boxes.itertuples():
        top, left = (np.array([b.y, b.x])*scale).round().astype(int)
        bottom, right = (np.array([b.y+b.h, b.x+b.w])*scale).round().astype(int)
        truth[top:bottom, left:right] = True
    return Case(film, 'pneumonia', truth, patient=path.name[:8])

def make_case(path, target, truth, lungs, patient): return Case(load_radiograph(path), target, truth, lungs, patient)

def severity(root):
    "Film → six zone scores, the mean of two readers"
    t = pd.read_csv(root/'annotations'/'brixia_scores.csv', encoding='utf-8-sig')
    scores = np.stack([(t[f'S-{z}']+t[f'J-{z}'])/2 for z in ZONES], 1)
    return {os.path.splitext(f)[0]: s for f, s in zip(t.filename, scores)}

# ---------------------------------------------------------------- maps
def explain_one(member, x, target, methods):
    "Maps of one network by the method's name"
    maps = ensemble_attributions(Ensemble([member]), x, target, [m for m in methods if m not in COARSE])
    asked = {k: f for k, f in COARSE.items() if k in methods}
    return maps | {k: Attribution(f(member.model, x, target)[0], k, target) for k, f in asked.items()}

def explain_all(ensemble, x, target, methods):
    "Maps of the ensemble by the method's name, and of each member by `method | member`"
    each = {m.name: explain_one(m, x, target, methods) for m in ensemble.members}
    mean = {k: mean_attribution([maps[k] for maps in each.values()]) for k in methods}
    return mean | {f'{k} | {name}': a for name, maps in each.items() for k, a in maps.items()}

def peers(model, x, target):
    "The same methods by other libraries, on the grid of `x`; those that are not installed are left out"
    c, out = CLASSES.index(target), {}
    layer = dict(model.named_modules()).get(cam_layer(model), cam_layer(model))
    for name, f in PEERS.items():
        try:
            with evaluating(model), torch.enable_grad(): low = f(model, layer, x.clone(), c)
        except ImportError: continue
        low = np.asarray(low.detach() if hasattr(low, 'detach') else low)
        low = torch.as_tensor(low, dtype=torch.float32).reshape(1, 1, *low.shape[-2:])
        wide = torch.nn.functional.interpolate(low, x.shape[-2:], mode='bilinear')[0, 0]
        out[name] = Attribution(wide.clamp(min=0), name, target)
    return out

def jacobgil(kind):
    def run(model, layer, x, c):
        import pytorch_grad_cam as p
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
        with getattr(p, kind)(model, [layer]) as cam: return cam(x, [ClassifierOutputTarget(c)])[0]
    return run

def torchcam(kind):
    def run(model, layer, x, c):
        from torchcam import methods
        with getattr(methods, kind)(model, layer) as cam: return cam(c, model(x), normalized=False)[0][0]
    return run

def captum(model, layer, x, c):
    from captum.attr import LayerGradCam
    return LayerGradCam(model, layer).attribute(x, c, relu_attributions=True)[0, 0]

PEERS = {
    'grad-cam, pytorch-grad-cam':jacobgil('GradCAM'),
    'grad-cam, torchcam':torchcam('GradCAM'),
    'grad-cam, Captum':captum,
    'grad-cam++, pytorch-grad-cam':jacobgil('GradCAMPlusPlus'),
    'grad-cam++, torchcam':torchcam('GradCAMpp')}

# ---------------------------------------------------------------- one film
def localisation(ensemble, case, methods, scores=None):
    "Rows of the measures, of zone correlation where there are severity scores, and of whether the answer was right"
    kept = {}
    def explain(e, x, target):
        kept.update(explain_all(e, x, target, methods))
        lungs = lungs_on(x, ensemble, case)
        return kept | within(kept, lungs) | contrasts(e, x, target, lungs)
    rows = film_scores(ensemble, case, explain, LOCAL, seed=seed_of(case))
    right = ensemble.predict(case.film, case.mask).label == case.target
    if scores is not None and np.ptp(scores) and case.mask.any(): rows += zone_rows(ensemble, case, kept, scores)
    return [{**r, 'right': bool(right)} for r in rows]

def seed_of(case): return int(fingerprint(case.film.source)[:6], 16) # another noise for every film

def lungs_on(x, ensemble, case):
    "The lungs that were found, on the grid of `x`; all of it when none were"
    top, left, bottom, right = ensemble.inputs(case.film, case.mask)[1] or (0, 0, *case.mask.shape)
    size, cut = tuple(x.shape[:1:-1]), case.mask[top:bottom, left:right].astype(np.float32)
    lungs = cv2.resize(cut, size, interpolation=cv2.INTER_AREA) > .5
    return lungs if lungs.any() else ~lungs

def within(maps, lungs):
    "The ensemble's maps with nothing but their positive part inside the lungs"
    return {f'{k} × lungs': Attribution(np.maximum(maps[k].data, 0)*lungs, k, maps[k].target) for k in WITHIN}

def contrasts(ensemble, x, target, lungs):
    "What speaks for the target rather than for a normal film, inside the lungs"
    evidence = _ask(ensemble, x, target, ('grad-cam',), None, None)[1]
    lrp = {c: ensemble_attributions(ensemble, x, c, ('lrp',))['lrp'].data for c in (target, 'normal')}
    both = {
        'grad-cam':evidence[target].data-evidence['normal'].data,
        'lrp':cv2.GaussianBlur(lrp[target]-lrp['normal'], (0, 0), .02*x.shape[-1])}
    return {f'{k} against normal × lungs': Attribution(np.maximum(d, 0)*lungs, k, target) for k, d in both.items()}

def zone_rows(ensemble, case, maps, scores):
    "Per map: the rank correlation of six zone shares with six scores"
    x, box = ensemble.inputs(case.film, case.mask)
    zones = lung_zones(case.mask)
    lungs = lungs_on(x, ensemble, case)
    plain = {n: Attribution(f(lungs, seed_of(case)), n, case.target) for n, f in BASELINES.items()}
    maps = {n: a for n, a in maps.items() if '|' not in n} | plain
    about = dict(film=case.film.source, patient=case.patient)
    def correlation(a):
        shares = [r['positive'] for r in zone_shares(a.on(case.film, box).data, zones, case.mask)[:6]]
        return float(agreement(dict(a=np.array([shares]), b=scores[None])).iloc[0, 1])
    return [dict(about, method=n, measure='zone correlation', score=correlation(a)) for n, a in maps.items()]

def asked_again(ensemble, case):
    "Rows of every measure for the first member, every method of ours beside other libraries'"
    first, kept = Ensemble(ensemble.members[:1], ensemble.temperature), {}
    def explain(e, x, target):
        maps = {k: a for k, a in explain_all(e, x, target, ALL).items() if '|' not in k}
        kept.update(maps | peers(e.members[0].model, x, target))
        return kept
    rows = film_scores(first, case, explain, LOCAL+PERTURB, seed=seed_of(case))
    same = agreement(kept)
    about = dict(film=case.film.source, patient=case.patient)
    alike = {p: float(same.loc[p, p.split(',')[0]]) for p in kept if p in PEERS}
    return rows+[dict(about, method=p, measure='agreement with ours', score=v) for p, v in alike.items()]

def cached(path, f):
    "Rows of `f`, kept for the next run"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = f()
        path.with_suffix('.tmp').write_text(json.dumps(rows))
        os.replace(path.with_suffix('.tmp'), path)
    return json.loads(path.read_text())

# ---------------------------------------------------------------- all films
def mixed(cases):
    "A fixed order without meaning, so that the first n are a fair sample"
    return sorted(cases, key=lambda c: fingerprint(c[0]))

def one_a_patient(cases, n):
    "The first `n` films of different patients"
    seen = {}
    for stem, make in cases: seen.setdefault(make.args[-1], (stem, make))
    return list(seen.values())[:n]

def table(rows, name):
    "Summary with the network that was explained in a column of its own"
    t = summarise(rows)
    parts = t.method.str.split(' | ', regex=False)
    t = t.assign(method=parts.str[0], explained=parts.str[1].fillna('ensemble'))
    return t[['explained', *[c for c in t if c != 'explained']]].assign(set=name)

def shuffled(ensemble, cases, names=ALL):
    "The randomisation check of the first member, on films of one target"
    net, made = ensemble.members[0].model, [make() for _, make in cases]
    x = torch.cat([ensemble.inputs(c.film, c.mask)[0] for c in made])
    target = torch.tensor([CLASSES.index(c.target) for c in made])
    methods = {k: COARSE.get(k, METHODS[k]) for k in names}
    return randomization_check(net, x, target, methods).to_dict('records')

def forgotten(ensemble, lesions, work):
    "Randomisation checks; guided Grad-CAM needs nn.ReLU, which the default's networks lack"
    few = one_a_patient(lesions, N_SHUFFLE)
    def guided_rows(): return shuffled(load_ensemble(RECTIFIED), few, ['guided-grad-cam'])
    rows = cached(work/f'shuffled-{N_SHUFFLE}.json', lambda: shuffled(ensemble, few))
    guided = cached(work/f'shuffled-guided-{N_SHUFFLE}.json', guided_rows)
    return pd.concat([pd.DataFrame(rows), pd.DataFrame(guided)], ignore_index=True)

def measure(ensemble, root, work, films, asked):
    "All tables"
    lesions, boxes, scores = mixed(lesion_cases(root))[:films], mixed(box_cases(root))[:films], severity(root)
    def run(part, cases, f):
        rows = [cached(work/part/f'{stem}.json', lambda: f(make(), stem)) for stem, make in cases]
        return [r for film in rows for r in film]
    found = pd.DataFrame(run('lesions', lesions, lambda c, s: localisation(ensemble, c, QUICK, scores.get(s))))
    print('lesions', flush=True)
    boxed = run('boxes', boxes, lambda c, s: localisation(ensemble, c, QUICK))
    print('boxes', flush=True)
    again = run('asked', one_a_patient(lesions, asked), lambda c, s: asked_again(ensemble, c))
    print('asked again', flush=True)
    zones = found.measure == 'zone correlation'
    out = [
        table(found[~zones], 'lesions'),
        table(found[~zones & found.right], 'lesions, answer right'),
        table(boxed, 'boxes'),
        table(found[zones], 'severity by zone'),
        table(again, 'one network, asked again').assign(explained=ensemble.members[0].name)]
    return pd.concat(out, ignore_index=True), forgotten(ensemble, lesions, work)

def places(ensemble, root, work, films):
    "Lesions and boxes alone, for an ensemble of one network"
    def rows(part, cases):
        for stem, make in mixed(cases)[:films]:
            told = cached(work/part/f'{stem}.json', lambda: localisation(ensemble, make(), QUICK))
            yield from (r for r in told if '|' not in r['method'])
    parts = {'lesions': lesion_cases, 'boxes': box_cases}
    t = pd.concat([table(list(rows(k, cases(root))), k) for k, cases in parts.items()], ignore_index=True)
    return t.assign(explained=ensemble.members[0].card.arch)

def key_of(ensemble):
    "Changes with the weights and with what is measured"
    def sums(m): return [[k, float(v.double().sum())] for k, v in m.model.state_dict().items()]
    weights = {m.name: fingerprint(sums(m)) for m in ensemble.members}
    return weights, fingerprint(dict(weights=weights, quick=QUICK, all=ALL, within=WITHIN, version=5))

def one_by_one(folders, root, work, out, films):
    "`faithful_architectures.csv`: the networks of the paper, each on its own"
    done = []
    for f in folders:
        e = load_ensemble(f)
        done.append(places(e, root, work/key_of(e)[1], films))
        print(f.name, flush=True)
    pd.concat(done)[COLUMNS].round(4).to_csv(out/'faithful_architectures.csv', index=False)

def installed(name):
    try: return version(name)
    except PackageNotFoundError: return None

def main(work, name, out, films, asked, folders):
    torch.set_num_threads(1)
    warnings.filterwarnings('ignore')
    out.mkdir(exist_ok=True)
    root = data_dir()
    if root is None: raise SystemExit('set DCE_DATA to the folder with the collections')
    if folders: return one_by_one(folders, root, work, out, films)
    ensemble = load_ensemble(name)
    weights, key = key_of(ensemble)
    t, forgot = measure(ensemble, root, work/key, films, asked)
    t[COLUMNS].round(4).to_csv(out/'faithful.csv', index=False)
    forgot.round(4).to_csv(out/'faithful_randomisation.csv', index=False)
    passes = {k: dict(similarity=round(float(r.similarity), 4), passes=bool(r.passes))
              for k, r in fell(forgot).iterrows()}
    about = dict(
        ensemble=name,
        members=[m.name for m in ensemble.members],
        explained_alone=ensemble.members[0].name,
        weights=weights,
        coarse={'integrated-gradients':'8 steps', 'occlusion':'48 px, stride 32'},
        films_shuffled=N_SHUFFLE,
        guided_on=RECTIFIED,
        fell=passes,
        versions={k: installed(k) for k in ('torch', 'captum', 'grad-cam', 'torchcam')})
    (out/'faithful.json').write_text(json.dumps(about, indent=1)+'\n')
    print(f'{len(t)} rows in {out.name}/faithful.csv')

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--work', type=Path, default='runs/faithful', help='what is done already')
    p.add_argument('--ensemble', dest='name', default='default')
    p.add_argument('--films', type=int, help='at most so many of each collection; default: all')
    p.add_argument('--asked', type=int, default=20, help='films on which the network is asked again')
    p.add_argument('--one-by-one', dest='folders', type=Path, nargs='+', help=(
        'folders with ensembles of one network each: their lesions and boxes alone, to faithful_architectures.csv'))
    p.add_argument('--out', type=Path, default=Path(__file__).parent.parent/'nbs'/'results')
    main(**vars(p.parse_args()))
