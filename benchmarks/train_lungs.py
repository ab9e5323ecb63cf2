r"""Train the lung network that ships with the package, and measure what ships.

    DCE_DATA=folder/with/the/collections python benchmarks/train_lungs.py --work runs --pictures folder \
        --out deepcovidexplainer/weights/lungs.safetensors
    DCE_DATA=folder/with/the/collections python benchmarks/train_lungs.py --work runs --measure --strange folder

The first command trains (resumable) and writes weights and card. Nothing is learned from Montgomery, nor from any film of ieee8023 that has
drawn lesions or is a copy of a film of Hannover. `--pictures` names a folder with pictures that are no chest films, from which the network
learns what those look like; the shipped one saw the pictures of Debian's package `opencv-doc` (`apt-get download opencv-doc && dpkg-deb -x
opencv-doc*.deb folder`).

The second measures `find_lungs`, as it is installed, on every adult film, on films turned, inverted and cut, and on pictures that nobody
learned from (`--strange`: `apt-get download gnome-backgrounds plasma-workspace-wallpapers`, unpacked with `dpkg-deb -x`), and writes the
numbers into the card beside the weights, which stay as they are. `--volumes` names a folder with CT volumes (benchmarks/ct_films.py): films
from the front and from the side.
"""
import argparse, json
from pathlib import Path

import cv2, numpy as np, pandas as pd, torch

from deepcovidexplainer.core import data_dir, package_file, sha256_of, write_json
from deepcovidexplainer.lung_training import dice, dice_scores, mask_files, mask_pairs, save_lungs, summary, train_lungs
from deepcovidexplainer.lungs import find_lungs, load_lungs
from deepcovidexplainer.models import imagenet_weights
from deepcovidexplainer.radiograph import load_radiograph
from generalise import index_of
from train_default import pictures_in

LEVELS = {'0.1 %':.001, '0.5 %':.005, '1 %':.01, '5 %':.05, 'median':.5} # Quantiles of `Lungs.gap` that the card tells
CHANGES = {
    'turned by 90°':lambda x: np.rot90(x),
    'turned by 180°':lambda x: np.rot90(x, 2),
    'turned by 270°':lambda x: np.rot90(x, 3),
    'inverted':lambda x: 1-x,
    'left half':lambda x: x[:, :x.shape[1]//2],
    'right half':lambda x: x[:, x.shape[1]//2:],
    'lowest 40 %':lambda x: x[int(.6*len(x)):]}

def held(t):
    "Films of ieee8023 that nothing is learned from: lesions were drawn on them, or Hannover shows the same patient"
    return (t.source=='ieee8023') & (t.reserved | t.group.isin(set(t.group[t.source=='hannover'])))

def stems(t): return {Path(f).stem for f in t.film}

def train(t, root, pictures, out):
    "Weights and their card"
    seen = [x for _, x in pictures_in(pictures, 1200, side=320)]
    card = train_lungs(out, root, seen, imagenet_weights(), without=stems(t[held(t)]))
    net = load_lungs(out)
    x, drawn = mask_pairs(root, ('ieee8023',), without=stems(t[~held(t)]))[:2]
    card['dice']['ieee8023, films not learned from'] = summary(dice_scores(net, x, drawn))
    save_lungs(net, out, card)

def said(x, **about):
    "A row: what `find_lungs` says of a picture"
    lungs = find_lungs(np.ascontiguousarray(x))
    return dict(about, found=lungs.found, chest=lungs.chest, turn=lungs.turn, doubt=lungs.doubt, gap=lungs.gap)

def kept(path, rows):
    "A table that is made once"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows()).to_csv(path, index=False)
    return pd.read_csv(path)

def small(root, film): return load_radiograph(root/film).resized(320).data

def films(t, root, work):
    "Adult films as they are, source by source"
    def rows(s, g): return [said(small(root, f), kind=s, name=f) for f in g.film]
    return pd.concat([kept(work/f'{s}.csv', lambda: rows(s, g)) for s, g in t.groupby('source')])

def changed(t, root, work, most):
    "Some films of each source, turned, inverted and cut"
    some = t.sample(frac=1, random_state=0).groupby('source').head(most)
    def rows():
        return [said(change(small(root, f)), kind=k, name=f) for f in some.film for k, change in CHANGES.items()]
    return kept(work/f'changed-{most}.csv', rows)

def strange(folder, work):
    "Pictures that are no films"
    def rows(): return [said(x/np.float32(255), kind='pictures', name=n) for n, x in pictures_in(folder, side=320)]
    return kept(work/'strange.csv', rows)

def kind_of(patient, degrees):
    if patient=='belly': return 'CT, belly'
    return 'CT, from the front' if abs(degrees)<=15 else 'CT, from the side'

def from_ct(folder, work):
    "Films made from CT, from the front and from the side"
    from ct_films import films as made
    def rows(): return [said(x, kind=kind_of(n, d), name=f'{n} {d}°') for n, d, x in made(folder)]
    return kept(work/'ct.csv', rows)

def overlaps(t, root):
    "Film by film: Dice of mask and field against the drawn lungs, and the share of these that the field covers"
    label, names = {Path(f).stem:l for f, l in zip(t.film, t.label)}, stems(t[held(t)])
    for film, mask, source in mask_files(root, ('montgomery', 'ieee8023')):
        if source=='ieee8023' and film.stem not in names: continue
        x = load_radiograph(film).resized(320)
        lungs = find_lungs(x)
        drawn = (cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE)>127).astype(np.uint8)*255
        drawn = cv2.resize(drawn, x.data.shape[::-1], interpolation=cv2.INTER_AREA)>127
        alike = dict(dice=dice(lungs.mask, drawn), field=dice(lungs.field, drawn))
        covered = float((lungs.field & drawn).sum()/drawn.sum())
        yield dict(source=source, label=label.get(film.stem, ''), **alike, covered=covered)

def dices(d):
    "The card's table of Dice coefficients"
    other = d[d.source=='ieee8023']
    part = {
        'montgomery':d[d.source=='montgomery'],
        'ieee8023, films not learned from':other,
        'ieee8023, COVID-19 not learned from':other[other.label=='covid-19']}
    def row(p):
        field, covered = (round(float(v.median()), 4) for v in (p.field, p.covered))
        return dict(summary(p.dice.to_numpy()), field=field, covered=covered)
    return {k:row(p) for k, p in part.items()}

def share(told): return round(float(told.mean()), 4)

def gaps(g): return {name:round(float(g.gap.quantile(q)), 3) for name, q in LEVELS.items()}

def measure(t, root, work, most, folder, volumes):
    "The card that ships, with what was measured"
    path = package_file('weights', 'lungs.safetensors')
    work = work/'lungs'/sha256_of(path)[:12]
    t = t[~t.child]
    d = kept(work/'dice.csv', lambda: overlaps(t, root))
    d['label'] = d.label.fillna('')
    plain, odd = films(t, root, work), [changed(t, root, work, most)]
    if folder: odd.append(strange(folder, work))
    if volumes: odd.append(from_ct(volumes, work))
    card = json.loads(path.with_suffix('.json').read_text(encoding='utf-8'))
    card['dice'], card['found'] = dices(d), {s:dict(n=len(g), share=share(g.found)) for s, g in plain.groupby('kind')}
    card['refused'] = {k:dict(n=len(g), share=share(~g.found)) for k, g in pd.concat(odd).groupby('kind', sort=False)}
    found = pd.concat([plain, *odd]).query('found')
    card['gap'] = {k:dict(n=len(g), **gaps(g)) for k, g in found.groupby('kind', sort=False)}
    write_json(path.with_suffix('.json'), card)
    print(json.dumps(card, indent=1, ensure_ascii=False))

def main(work, out, pictures, measure_only, most, folder, volumes):
    torch.set_num_threads(1)
    root = data_dir()
    t = index_of(root, work)
    if measure_only: measure(t, root, work, most, folder, volumes)
    else: train(t, root, pictures, out)

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--work', type=Path, default='runs')
    p.add_argument('--out', type=Path, default='runs/lungs/shipped.safetensors')
    p.add_argument('--pictures', type=Path)
    p.add_argument('--measure', dest='measure_only', action='store_true')
    p.add_argument('--most', type=int, default=25, help='films of each source to turn, invert and cut')
    p.add_argument('--strange', dest='folder', type=Path)
    p.add_argument('--volumes', type=Path)
    main(**vars(p.parse_args()))
