"""Train the lung network that ships with the package, and say how often it finds lungs on every source.

    DCE_DATA=folder/with/the/collections python benchmarks/train_lungs.py --work runs/lungs --out deepcovidexplainer/weights/lungs.safetensors

Nothing is learned from Montgomery, nor from any film that is external, reserved or a copy of such a film; those of ieee8023 that
are reserved are measured: lungs with dense opacities.
"""
import argparse, json
from pathlib import Path

import numpy as np, torch

from deepcovidexplainer.core import data_dir
from deepcovidexplainer.lungs import _mask_pairs, dice_scores, fit_lungs, lung_doubt, lung_mask, measure_lungs, save_lungs, train_lungs
from deepcovidexplainer.radiograph import load_radiograph
from generalise import index_of

def main(work, out):
    root = data_dir(); work.mkdir(parents=True, exist_ok=True)
    t = index_of(root, Path('runs'))
    kept = t[t.reserved | t.group.isin(set(t.group[t.source=='hannover']))]
    without = sorted({Path(f).stem for f in kept.film})
    card = train_lungs(work/'lungs.safetensors', root, without=without)
    print(json.dumps(card, indent=1))

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--work', type=Path, default='runs/lungs'); p.add_argument('--out', type=Path, default='runs/lungs/lungs.safetensors')
    main(**vars(p.parse_args()))
