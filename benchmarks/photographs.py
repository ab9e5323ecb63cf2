"""Is it a photograph of a film? Weights that tell in grey, and how often they are right about sources and cameras they did not learn from

    DCE_DATA=folder/with/the/collections python -m benchmarks photographs --work runs

Up to 600 adults' films, no more from one collection than from another, each as it came and as four cameras of `guard_rates.py` show it;
children's films and drawn ones, as they came; and films that were turned a little, framed in black, blurred or noisy, which stay films. A
logistic regression is fitted to what the lung network saw of the whole picture (`Lungs.whole`): once without each collection, and once
without each collection and each camera in turn. What that says of what was left out goes to `results/photographs.json` beside the
notebooks; the weights from all, which ship, go to `weights/photo.json`. No photograph here was taken with a real camera. Films are looked
at in portions that are kept. About ten minutes of one core.
"""
import argparse
from pathlib import Path

import cv2, numpy as np, torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from deepcovidexplainer.core import CLASSES, data_dir, fingerprint, package_file, sha256_of, write_json, write_whole
from deepcovidexplainer.guard import LIMITS
from deepcovidexplainer.lungs import find_lungs
from deepcovidexplainer.radiograph import load_radiograph
from deepcovidexplainer.scores import rate
from deepcovidexplainer.sources import read_index
from deepcovidexplainer.synth import synth_radiograph
from guard_rates import SIDE, as_it_came, evenly, filling, in_a_bezel, in_any_room, photograph
from mirrored import write_json_short

FILMS, CHILDREN, DRAWN, PORTION, C = 600, 100, 60, 50, .01
CAMERAS = {'at an angle':photograph, 'in a bezel':in_a_bezel, 'filling the picture':filling, 'in any room':in_any_room}

def roughly(x, rng):
    "A film that was turned a little, framed in black or white, blurred or noisy, and is a film all the same"
    h, w = x.shape
    what = rng.integers(4)
    if what==0: return cv2.warpAffine(x, cv2.getRotationMatrix2D((w/2, h/2), rng.uniform(-10, 10), 1), (w, h))
    if what==1:
        border = (int(v*max(h, w)) for v in rng.uniform(0, .1, 4))
        return cv2.copyMakeBorder(x, *border, cv2.BORDER_CONSTANT, value=float(rng.random()<.2))
    if what==2: return cv2.GaussianBlur(x, (0, 0), rng.uniform(.5, 3.5))
    return np.clip(x+rng.normal(0, rng.uniform(.01, .05), x.shape), 0, 1).astype(np.float32)

def kept(path, make):
    if not path.exists():
        made = make()
        def write(p):
            with open(p, 'wb') as f: np.save(f, made)
        write_whole(path, write)
        print(path.name, flush=True)
    return np.load(path)

def seen(films, root, first, change):
    "N×336: of each film as a camera shows it"
    def whole(i, f):
        x = change(load_radiograph(root/f).resized(SIDE).data, np.random.default_rng([first+i, 7]))
        return find_lungs(x).whole
    return np.stack([whole(i, f) for i, f in enumerate(films)])

def all_seen(films, root, work, change=as_it_came):
    "`seen`, in portions from disk"
    lungs = sha256_of(package_file('weights', 'lungs.safetensors'))
    def portion(i):
        p = films[i:i+PORTION]
        path = work/f'whole-{fingerprint([lungs, p, change.__name__])}.npy'
        return kept(path, lambda: seen(p, root, i, change))
    return np.concatenate([portion(i) for i in range(0, len(films), PORTION)])

def drawn():
    return np.stack([find_lungs(synth_radiograph(CLASSES[i%3], seed=i)[0].data).whole for i in range(DRAWN)])

def fitted(plain, photos):
    "Weights and a constant for features as they are; both kinds weigh the same"
    x, y = np.concatenate([plain, photos]), np.r_[np.zeros(len(plain)), np.ones(len(photos))]
    scale = StandardScaler().fit(x)
    m = LogisticRegression(C=C, max_iter=2000, class_weight='balanced').fit(scale.transform(x), y)
    w = m.coef_[0]/scale.scale_
    return w, float(m.intercept_[0]-(w*scale.mean_).sum())

def told(x, w): return x@w[0]+w[1]

def learned(x, rough, extra, cameras):
    "`fitted` to films as they came and as some cameras show them"
    return fitted(np.concatenate([x[:, 0], rough, extra]), np.concatenate([x[:, c] for c in cameras]))

def held_out(x, source, rough, rough_source, extra):
    """The score of each film and view, and of each rough film, by weights that did not learn from its source

    By all cameras, and without each."""
    out, told_rough = np.zeros((len(CAMERAS)+1, *x.shape[:2])), np.zeros(len(rough))
    for s in sorted(set(source)):
        held, rough_held = source==s, rough_source==s
        for k in range(len(CAMERAS)+1): # 0: learn from all cameras
            cameras = [c+1 for c in range(len(CAMERAS)) if c+1!=k]
            w = learned(x[~held], rough[~rough_held], extra, cameras)
            out[k, held] = told(x[held], w)
            if k==0: told_rough[rough_held] = told(rough[rough_held], w)
    return out, told_rough

def main(work):
    torch.set_num_threads(1)
    work.mkdir(parents=True, exist_ok=True)
    root = data_dir()
    limit = LIMITS['photo']
    t = read_index(root)
    young = evenly(t[t.source=='kermany'], CHILDREN)
    t = evenly(t[~t.child & (t.source!='kermany')], FILMS).reset_index(drop=True)
    x = np.stack([all_seen(list(t.film), root, work, c) for c in (as_it_came, *CAMERAS.values())], 1)
    extra = np.concatenate([all_seen(list(young.film), root, work), drawn()])
    rough = all_seen(list(t.film[::2]), root, work, roughly)
    source = t.source.to_numpy()
    out, told_rough = held_out(x, source, rough, source[::2], extra)
    came = out[0, :, 0]
    rows = {
        'films as they came':dict(refused=rate(came>limit), without_camera=None),
        'turned a little, framed, blurred or noisy':dict(refused=rate(told_rough>limit), without_camera=None)}
    for k, c in enumerate(CAMERAS, 1):
        rows[f'photographed {c}'] = dict(refused=rate(out[0, :, k]>limit), without_camera=rate(out[k, :, k]>limit))
    by_source = {s:rate(came[source==s]>limit) for s in sorted(set(source))}
    alarms = [dict(film=t.film[i], odds=round(float(came[i]), 2)) for i in np.argsort(-came) if came[i]>limit]
    lungs = sha256_of(package_file('weights', 'lungs.safetensors'))
    about = dict(limit=limit, intervals='95 %, Wilson', lungs=lungs, films=len(t))
    results = dict(about=about, kinds=rows, false_alarms=by_source, films=alarms)
    write_json(package_file().parent/'nbs'/'results'/'photographs.json', results)
    w, c = learned(x, rough, extra, range(1, x.shape[1]))
    what = 'log-odds of a photograph of a film: weights of Lungs.whole, and a constant'
    weights = dict(what=what, lungs=lungs, weights=[float(f'{v:.4g}') for v in w], constant=round(c, 4))
    write_json_short(package_file()/'weights'/'photo.json', weights)
    for k, r in rows.items():
        new = r['without_camera']['value'] if r['without_camera'] else float('nan')
        print(f"{k:34} {r['refused']['value']:.4f} {new:.4f}")
    print('99, 99.5, 100 % of films as they came:', np.percentile(came, (99, 99.5, 100)).round(2),
          'extra, learned from:', told(extra, (w, c)).max().round(2), by_source)

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--work', type=Path, default='runs')
    main(**vars(p.parse_args()))
