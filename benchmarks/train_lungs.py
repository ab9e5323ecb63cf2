"""Train the lung network that ships with the package, and measure what ships.

    DCE_DATA=folder/with/the/collections python benchmarks/train_lungs.py --work runs --pictures folder --out deepcovidexplainer/weights/lungs.safetensors
    DCE_DATA=folder/with/the/collections python benchmarks/train_lungs.py --work runs --measure --strange folder

The first command trains (resumable) and writes weights and card. Nothing is learned from Montgomery, nor from any film of ieee8023 that has
drawn lesions or is a copy of a film of Hannover. `--pictures` names a folder with pictures that are no chest films, from which the network learns
what those look like; the shipped one saw the pictures of Debian's package `opencv-doc` (`apt-get download opencv-doc && dpkg-deb -x opencv-doc*.deb folder`).

The second measures `find_lungs`, as it is installed, on every adult film, on films turned, inverted and cut, and on pictures that nobody learned from
(`--strange`: `apt-get download gnome-backgrounds plasma-workspace-wallpapers`, unpacked with `dpkg-deb -x`), and writes the numbers into the card beside
the weights, which stay as they are. `--volumes` names a folder with CT volumes (benchmarks/ct_films.py): films from the front and from the side.
"""
import argparse, json
from pathlib import Path

import cv2, numpy as np, pandas as pd, torch

from deepcovidexplainer.core import data_dir, package_file, sha256_of, write_json
from deepcovidexplainer.lung_training import dice, dice_scores, load_pair, mask_files, save_lungs, train_lungs
from deepcovidexplainer.lungs import find_lungs, load_lungs
from deepcovidexplainer.radiograph import load_radiograph
from generalise import index_of
from train_default import pictures_in

LEVELS = (.001, .005, .01, .05, .5) # Quantiles of `Lungs.gap` that the card tells
CHANGES = {'turned by 90°':lambda x: np.rot90(x), 'turned by 180°':lambda x: np.rot90(x, 2), 'turned by 270°':lambda x: np.rot90(x, 3), 'inverted':lambda x: 1-x,
           'left half':lambda x: x[:, :x.shape[1]//2], 'right half':lambda x: x[:, x.shape[1]//2:], 'lowest 40 %':lambda x: x[int(.6*len(x)):]}

def held(t):
    "Films of ieee8023 that nothing is learned from: lesions were drawn on them, or Hannover shows the same patient"
    return (t.source=='ieee8023') & (t.reserved | t.group.isin(set(t.group[t.source=='hannover'])))

def train(root, work, pictures, out):
    "Weights and card"
    t = index_of(root, work); stem = t.film.map(lambda f: Path(f).stem)
    seen = [x for _, x in pictures_in(pictures, 1200, side=320)]
    card = train_lungs(out, root, seen, without=sorted(set(stem[held(t)])))
    print(json.dumps(card, indent=1))

def row(x, **about):
    lungs = find_lungs(np.ascontiguousarray(x))
    return dict(about, found=lungs.found, chest=lungs.chest, turn=lungs.turn, doubt=lungs.doubt, gap=lungs.gap)

def kept(path, make):
    "A table that is made once"
    if not path.exists(): path.parent.mkdir(parents=True, exist_ok=True); pd.DataFrame(make()).to_csv(path, index=False)
    return pd.read_csv(path)

def small(root, film): return load_radiograph(root/film).resized(320).data

def measure_films(t, root, work):
    "What `find_lungs` says of every adult film, source by source"
    return pd.concat([kept(work/f'{s}.csv', lambda: [row(small(root, f), kind='as it is', source=s, name=f) for f in g.film]) for s, g in t.groupby('source')])

def measure_changed(t, root, work, most=25):
    "… of some films of each source, turned, inverted and cut"
    some = t.groupby('source').sample(frac=1, random_state=0).groupby('source').head(most)
    return pd.concat([kept(work/f'changed-{s}.csv', lambda: [row(change(small(root, f)), kind=k, source=s, name=f) for f in g.film for k, change in CHANGES.items()]) for s, g in some.groupby('source')])

if __name__ == '__main__':
    torch.set_num_threads(1); work = Path('/tmp/lt/work'); root = data_dir(); t = index_of(root, work); t = t[~t.child]
    out = work/'lungs'/sha256_of(package_file('weights', 'lungs.safetensors'))[:12]
    print(len(t)); measure_changed(t, root, out); print('changed', flush=True); measure_films(t, root, out)
