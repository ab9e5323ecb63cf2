"""Features and thumbnails of training films that an explanation may show as similar.

    DCE_DATA=folder/with/the/collections python benchmarks/similar.py --ensemble deepcovidexplainer/weights/default --work runs/default

Writes `similar.safetensors` (features of the ensemble's first network in half precision, thumbnails of 64×64 pixels) and `similar.json`
(labels, sources, terms, and the SHA-256 of the network that the features belong to) into the ensemble's folder. Films are drawn
at random, as many of each class, from the training films whose terms allow showing them: NIH and COVID-CXNet. Run it again whenever
the ensemble was trained again: features of other weights are ignored when they are read.
"""
import argparse, os
from pathlib import Path

import cv2, numpy as np, torch
from safetensors.numpy import save_file

from deepcovidexplainer.core import CLASSES, data_dir, sha256_of
from deepcovidexplainer.sources import read_index
from deepcovidexplainer.splits import assign_groups, assign_roles, kept_hashes
from deepcovidexplainer.ensemble import load_folder
from deepcovidexplainer.lungs import find_lungs
from deepcovidexplainer.core import write_json
from deepcovidexplainer.radiograph import load_radiograph

HOLD_OUT = () # As in `outside.py ship`: every adult source is trained on
TERMS = { # source → what has to be said where its films are shown
    'nih': dict(
        licence='NIH Clinical Center: free use with citation',
        attribution='NIH Clinical Center, ChestX-ray8: X. Wang, Y. Peng, L. Lu, Z. Lu, M. Bagheri, R. M. Summers, '
                    'CVPR 2017, doi:10.1109/CVPR.2017.369'),
    'covid-cxnet': dict(
        licence='CC BY 4.0',
        attribution='A. Haghanifar, M. Molahasani Majdabadi, S. Ko, COVID-CXNet dataset, '
                    'doi:10.6084/m9.figshare.12580328; scaled down')}
SIDE, LIMIT = 64, 1_000_000 # Pixels of a thumbnail's side, bytes of the file

def training_films(root, work):
    "Index of the films that the default ensemble was trained on and that may be shown"
    t = read_index(root)
    t = assign_roles(assign_groups(t, kept_hashes(t, root, work)), HOLD_OUT)
    return t[(t.role=='train') & t.source.isin(TERMS) & ~t.child]

def drawn(t, n, seed=0):
    "As many films of each class, no patient twice"
    each = [part.drop_duplicates('group').sample(n//len(CLASSES), random_state=seed) for _, part in t.groupby('label')]
    return [row for part in each for row in part.itertuples()]

def thumbnail(film):
    "SIDE×SIDE uint8, the whole film on black"
    h, w = film.shape
    scale = SIDE/max(h, w)
    small = cv2.resize(film.data, (max(1, round(w*scale)), max(1, round(h*scale))), interpolation=cv2.INTER_AREA)
    out = np.zeros((SIDE, SIDE), np.uint8)
    top, left = (SIDE-small.shape[0])//2, (SIDE-small.shape[1])//2
    out[top:top+small.shape[0], left:left+small.shape[1]] = np.round(small*255)
    return out

def look(ensemble, root, row):
    "(features, thumbnail) of one film"
    film = load_radiograph(root/row.film).resized(1024)
    x, _ = ensemble.inputs(film, find_lungs(film))
    with torch.inference_mode(): features = ensemble.members[0].model.forward_features(x).mean((2, 3))[0]
    return features.numpy().astype(np.float16), thumbnail(film)

def main(ensemble, work, n):
    folder, root = ensemble, data_dir()
    ensemble = load_folder(folder)
    pool = training_films(root, work)
    rows = drawn(pool, n)
    features, thumbnails = map(np.stack, zip(*(look(ensemble, root, r) for r in rows)))
    out = folder/'similar.safetensors'
    save_file(dict(features=features, thumbnails=thumbnails), out)
    os.chmod(out, 0o644)
    size = out.stat().st_size
    if size>LIMIT: raise SystemExit(f'{out.name} has {size:,} bytes, more than {LIMIT:,}: ask for fewer films with --n')
    member = ensemble.members[0]
    write_json(folder/'similar.json', dict(
        member=member.name,
        member_sha256=member.card.sha256,
        sha256=sha256_of(out),
        drawn_from=len(pool),
        terms=TERMS,
        films=[dict(film=r.film, label=r.label, source=r.source) for r in rows]))
    print(f'{len(rows)} of {len(pool)} films, {size:,} bytes, for {member.name}')

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--ensemble', type=Path, default='deepcovidexplainer/weights/default', help='folder of the ensemble')
    p.add_argument('--work', type=Path, default='runs/default', help='where hashes of near-duplicates are kept')
    p.add_argument('--n', type=int, default=120, help='films in all')
    main(**vars(p.parse_args()))
