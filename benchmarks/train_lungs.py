"""Train the lung network that ships with the package and measure it on films that nothing was learned from.

    DCE_DATA=folder/with/the/collections python benchmarks/train_lungs.py --work runs --out deepcovidexplainer/weights/lungs.safetensors

Nothing is learned from Montgomery, nor from any film of ieee8023 that has drawn lesions or is a copy of a film of Hannover: these
are measured, too (lungs with dense opacities). Resumable.
"""
import argparse, json
from pathlib import Path

import numpy as np

from deepcovidexplainer.core import data_dir
from deepcovidexplainer.lung_training import mask_pairs, dice_scores, save_lungs, train_lungs
from deepcovidexplainer.lungs import load_lungs
from generalise import index_of

def main(work, out):
    root = data_dir(); t = index_of(root, work)
    kept = t.reserved | t.group.isin(set(t.group[t.source=='hannover']))
    stem = t.film.map(lambda f: Path(f).stem)
    card = train_lungs(work/'lungs'/'lungs.safetensors', root, without=sorted(set(stem[kept])))
    net = load_lungs(work/'lungs'/'lungs.safetensors')
    d = dice_scores(net, *mask_pairs(root, ('ieee8023',), without=set(stem[~kept]))[:2])
    card['dice']['ieee8023, films not learned from'] = dict(n=len(d), median=round(float(np.median(d)), 4), p5=round(float(np.percentile(d, 5)), 4))
    save_lungs(net, out, card); print(json.dumps(card, indent=1))

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--work', type=Path, default='runs'); p.add_argument('--out', type=Path, default='runs/lungs/shipped.safetensors')
    main(**vars(p.parse_args()))
