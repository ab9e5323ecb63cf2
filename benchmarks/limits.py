"""How common is what an explanation warns of? Measured on films that chose nothing but the calibration.

    DCE_DATA=folder/with/the/collections python benchmarks/limits.py --work runs

Explains validation films (neither trained on nor tested on), as many of each class, and writes quantiles of what the table `LIMITS` of
28_explanation holds limits for to `results/limits.json` beside the notebooks. Run it again whenever the ensemble was trained again: that
notebook checks that its limits are still where it says they are. About two minutes of one core.
"""
import argparse
from pathlib import Path

import numpy as np, torch

from deepcovidexplainer import CLASSES, load_ensemble, predict_and_explain
from deepcovidexplainer.core import data_dir, package_file
from deepcovidexplainer.lungs import find_lungs
from deepcovidexplainer.explanation import inside_lungs, concentrated, spot
from deepcovidexplainer.words import rows_of
from deepcovidexplainer.core import write_json
from deepcovidexplainer.preprocess import text_mask
from deepcovidexplainer.splits import assign_roles
from generalise import index_of

LEVELS = (.05, .1, .2, .5, .8, .9, .95)

def measured(e):
    "Everything of one explanation that has a limit"
    a = e.attributions['grad-cam++']
    out = dict(overlap=a.checks['overlap'])
    for m, b in e.attributions.items(): out[f'text, {m}'] = b.share(text_mask(e.film.data))
    if not e.mask.any(): return out
    for m in e.attributions: out[f'outside, {m}'] = inside_lungs(rows_of(e.zones, m))[1]
    s, inside = spot(a.data, e.mask), list(inside_lungs(rows_of(e.zones, 'grad-cam++'))[0].values())
    if s is not None:
        out |= {'spot, area':s['area'], 'spot, together':s['together'], 'concentrated':float(concentrated(s))}
    return out | {'focus, first zone':inside[0], 'focus, first two':sum(inside[:2]), 'lungs':float(e.mask.mean())}

def quantiles(v):
    at = [round(float(q), 4) for q in np.quantile(v, LEVELS)]
    return dict(n=len(v), mean=round(float(v.mean()), 4), at=at)

def main(work, per_class):
    torch.set_num_threads(1)
    root, ensemble = data_dir(), load_ensemble()
    t = assign_roles(index_of(root, work), ()) # as in `outside.py ship`
    t = t[t.role=='valid']
    t = t[t.label.isin(CLASSES)].drop_duplicates('group').sample(frac=1, random_state=0)
    t = t.groupby('label').head(per_class)
    rows, chest = [], []
    for f in t.film:
        e = predict_and_explain(root/f, ensemble, ('grad-cam++', 'lrp'))
        if not e.doubts: rows.append(measured(e))
        chest += [find_lungs(np.ascontiguousarray(np.rot90(e.film.data, k))).chest for k in (1, 2, 3)]
    keys = dict.fromkeys(k for r in rows for k in r)
    values = {k:np.array([r[k] for r in rows if k in r]) for k in keys}
    write_json(package_file().parent/'nbs'/'results'/'limits.json', dict(
        members=[m.card.sha256 for m in ensemble.members],
        films=len(rows),
        drawn=len(t),
        levels=list(LEVELS),
        turned={'n':len(chest), 'most like an upright chest film':round(max(chest), 4)},
        quantiles={k:quantiles(v) for k, v in values.items()}))

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--work', type=Path, default='runs')
    p.add_argument('--per-class', type=int, default=40)
    main(**vars(p.parse_args()))
