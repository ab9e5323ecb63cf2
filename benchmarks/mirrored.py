"""Is the heart on the right? The weights that tell, and how often they are right about sources they did not learn from

    DCE_DATA=folder/with/the/collections python -m benchmarks mirrored --work runs

Up to 150 films of each source (300 of NIH), each as it is and flipped from left to right. Films as they came count as not mirrored, which
is nearly always so. A logistic regression is fitted to what the lung network sees around the lungs (`Lungs.around`), once without each
source: no film of its patients, nor a copy of one, is learned from. What that says of the source left out goes to
`results/mirrored.json` beside the notebooks; the weights from all sources, which ship, go to `weights/mirrored.json`. Films are looked at
in portions that are kept. About ten minutes of one core.
"""
import argparse
from pathlib import Path

import numpy as np, pandas as pd, torch
from sklearn.linear_model import LogisticRegression

from deepcovidexplainer.core import data_dir, fingerprint, package_file, sha256_of, write_json, write_whole
from deepcovidexplainer.guard import LIMITS
from deepcovidexplainer.lungs import find_lungs
from deepcovidexplainer.radiograph import load_radiograph
from deepcovidexplainer.scores import rate
from deepcovidexplainer.sources import read_index
from deepcovidexplainer.splits import assign_groups, kept_hashes

FILMS, MORE, PORTION, C, SIDE = 150, dict(nih=300), 50, .01, 512

def drawn(t):
    "Some films of each source"
    some = [g.sample(min(len(g), MORE.get(s, FILMS)), random_state=0) for s, g in t.groupby('source')]
    return pd.concat(some).reset_index(drop=True)

def seen(films, root):
    "N×2×112×8×8: around the lungs of each film and of its mirror image; NaN where no lungs were found"
    out = np.full((len(films), 2, 112, 8, 8), np.nan, np.float16)
    for i, f in enumerate(films):
        x = load_radiograph(root/f).resized(SIDE).data
        for k, view in enumerate((x, np.ascontiguousarray(x[:, ::-1]))):
            lungs = find_lungs(view)
            if lungs.found: out[i, k] = lungs.around
    return out

def all_seen(t, root, work):
    "`seen`, in portions from disk"
    parts, lungs = [], sha256_of(package_file('weights', 'lungs.safetensors'))
    for i in range(0, len(t), PORTION):
        films = list(t.film[i:i+PORTION])
        path = work/f'around-{fingerprint([lungs, films])}.npy'
        if not path.exists():
            made = seen(films, root)
            def write(p):
                with open(p, 'wb') as f: np.save(f, made)
            write_whole(path, write)
            print(f'{i+len(films)} of {len(t)} films', flush=True)
        parts.append(np.load(path))
    return np.concatenate(parts).astype(np.float32)

def odd(x):
    "The left half of what is lost when a view and its mirror image are averaged, as rows"
    return (x-x[..., ::-1])[..., :4].reshape(len(x), -1)

def fitted(plain, flipped, scale):
    "Weights of the left half, 112×8×4, for features as they are"
    a, b = odd(plain/scale), odd(flipped/scale)
    x, y = np.r_[a, b, -a, -b], np.repeat([0, 1, 1, 0], len(a))
    w = LogisticRegression(C=C, fit_intercept=False, max_iter=1000).fit(x, y).coef_[0]
    return w.reshape(112, 8, 4)/scale[..., :4]

def told(x, w): return (np.concatenate([w, -w[..., ::-1]], -1)*x).sum((1, 2, 3))

def rows(t, plain, flipped, at):
    "Rates of some films"
    limit = LIMITS['mirrored']
    return dict(films=int(at.sum()), found=rate(flipped[at]>limit), false_alarms=rate(plain[at]>limit))

def main(work):
    torch.set_num_threads(1)
    work.mkdir(parents=True, exist_ok=True)
    root = data_dir()
    every = read_index(root)
    every = assign_groups(every, kept_hashes(every, root, work))
    t = drawn(every)
    x = all_seen(t, root, work)
    there = np.isfinite(x[:, :, 0, 0, 0]).all(1)
    print(f'lungs on {there.sum()} of {len(t)} films and on their mirror images')
    t, x = t[there].reset_index(drop=True), x[there]
    scale = np.broadcast_to(x[:, 0].std((0, 2, 3), keepdims=True)[0]+1e-3, (112, 8, 8))
    plain, flipped = np.zeros(len(t)), np.zeros(len(t))
    for s in sorted(set(t.source)):
        held = (t.source==s).to_numpy()
        learn = ~t.group.isin(set(t.group[held])).to_numpy()
        w = fitted(x[learn, 0], x[learn, 1], scale)
        plain[held], flipped[held] = told(x[held, 0], w), told(x[held, 1], w)
    w = fitted(x[:, 0], x[:, 1], scale)
    sources, adult = {s:(t.source==s).to_numpy() for s in sorted(set(t.source))}, ~t.child.to_numpy()
    limit, lungs = LIMITS['mirrored'], sha256_of(package_file('weights', 'lungs.safetensors'))
    name = 'adults of all sources'
    out = dict(
        about=dict(limit=limit, intervals='95 %, Wilson', lungs=lungs),
        left_out={s:rows(t, plain, flipped, at) for s, at in (sources | {name:adult}).items()},
        learned_from={name:rows(t, told(x[:, 0], w), told(x[:, 1], w), adult)},
        false_alarms=[dict(film=t.film[i], odds=round(float(plain[i]), 2))
                      for i in np.argsort(-plain) if plain[i]>limit])
    write_json(package_file().parent/'nbs'/'results'/'mirrored.json', out)
    short = [[[float(f'{v:.3g}') for v in r] for r in c] for c in w]
    half = '112×8×4 weights of the left half of Lungs.around'
    what = f'log-odds of a heart on the right: {half}; the right half has their negatives'
    write_json_short(package_file()/'weights'/'mirrored.json', dict(what=what, lungs=lungs, weights=short))
    for k, v in out['left_out'].items():
        found, alarms = v['found']['value'], v['false_alarms']['value']
        print(f"{k:24} {v['films']:5} films: {found:.3f} of the flipped found, {alarms:.4f} false alarms")

def write_json_short(path, value):
    import json
    text = json.dumps(value, separators=(',', ':'), ensure_ascii=False)+'\n'
    write_whole(path, lambda p: p.write_text(text, encoding='utf-8'))

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--work', type=Path, default='runs')
    main(**vars(p.parse_args()))
