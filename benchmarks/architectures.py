"""Measure every snapshot of the paper's six networks.

    DCE_DATA=folder/with/the/collections python benchmarks/architectures.py --work runs

Trains what is not trained yet (`train_default.py`; about three hours of one processor core in all) and keeps what every snapshot says of
validation, test and external films in `nbs/results/architectures.csv.gz`, from which the tutorial *Reproduce the paper*
makes its tables (recipes beside it in `architectures.json`). With `--out FOLDER` the snapshot with the smallest validation loss of each
network, or the mean of both stages' weights where its loss is smaller still, is written to `FOLDER/NAME`, kernels in 8 bits, calibrated
and measured, for `load_ensemble`.
"""
import argparse, json, shutil
from dataclasses import replace
from pathlib import Path

import numpy as np, pandas as pd, torch

from deepcovidexplainer.core import CLASSES, data_dir, package_file
from deepcovidexplainer.ensemble import Ensemble, Member, calibrate, save_ensemble
from deepcovidexplainer.scores import nll
from deepcovidexplainer.core import write_json
from deepcovidexplainer.models import load_weights, save_weights
from deepcovidexplainer.snapshots import average_snapshots
from train_default import RUNS, measured, numbers, study, train

PAPER_NETS = ['vgg16', 'vgg19', 'resnet18', 'resnet34', 'densenet161', 'densenet201']
NAMES = [*PAPER_NETS, 'resnet18_imbalanced', 'resnet18_scratch']

def ask(name, root, work):
    "Posteriors of every snapshot of a run, raw"
    out = work/name/'told.csv.gz'
    if out.exists(): return pd.read_csv(out)
    paths = train(name, root, work)
    t, films, _ = study(root, work, RUNS[name]['size'])
    seen = t.role.isin(['valid', 'test', 'external']).to_numpy()
    part = t[seen][['film', 'source', 'label', 'group', 'role']]
    told = {i:told_by(p, films[seen]) for i, p in enumerate(paths, 1)}
    said = {i:{c:q[:,k].round(4) for k, c in enumerate(CLASSES)} for i, q in told.items()}
    r = pd.concat([part.assign(run=name, snapshot=i, **p) for i, p in said.items()])
    r.to_csv(out, index=False)
    return r

def told_by(path, films, bs=64):
    "N×3 raw posteriors, in bfloat16 as in training, because single precision takes several times as long"
    model, card = load_weights(path)
    p = card.preprocess
    model.to(memory_format=torch.channels_last)
    def x(i):
        x = (np.asarray(films[i:i+bs], np.float32)[:, None]/255-p['mean'])/p['std']
        return torch.from_numpy(x).to(memory_format=torch.channels_last)
    with torch.inference_mode(), torch.autocast('cpu', torch.bfloat16):
        return torch.cat([model(x(i)).float().softmax(1) for i in range(0, len(films), bs)]).numpy()

def eighth(path, folder):
    "The member as it will be loaded: kernels in 8 bits"
    folder.mkdir(parents=True, exist_ok=True)
    model, card = load_weights(path)
    return Member(path.stem, *load_weights(save_weights(model, folder/path.name, card, bits=8)))

def ship(name, r, root, work, folder):
    """One network in 8 bits, calibrated and measured

    The mean of both stages' weights, or a snapshot where that has a smaller validation loss."""
    run = RUNS[name]
    start = work/run['init'].rsplit('-', 1)[0]/f"{run['init']}.safetensors"
    snapshots = [work/name/f'{name}-{i}.safetensors' for i in range(1, run['cycles']+1)]
    mean = average_snapshots([start, *snapshots], work/'averaged'/f'{name}.safetensors')
    t, films, _ = study(root, work, run['size'])
    def pick(role): return (t.role==role).to_numpy()
    def raw(path, role): return Ensemble([Member('x', *load_weights(path))]).posteriors(films[pick(role)])[0][0]
    v, y = r[r.role=='valid'], numbers(t[pick('valid')])
    loss = {p:nll(g[list(CLASSES)].to_numpy(), numbers(g)) for p, (_, g) in zip(snapshots, v.groupby('snapshot'))}
    loss[mean] = nll(raw(mean, 'valid'), y)
    best = min(loss, key=loss.get)
    small = eighth(best, folder/'.one')
    few = films[np.flatnonzero(pick('train'))[:800]]
    e = calibrate([replace(small, name=name)], films[pick('valid')], y, few, name=name)
    e.about = dict(data=e.members[0].card.data, scores=measured(e, t, films))
    save_ensemble(e, folder/name, bits=8)
    shutil.rmtree(folder/'.one')
    half = float(np.abs(raw(folder/name/f'{name}.safetensors', 'test')-raw(best, 'test')).max())
    f1 = e.about['scores']['test']['scores']['macro_f1']
    print(name, best.stem, 'macro-F1', f1, f'8 bits move posteriors by at most {half:.4f}', flush=True)

def cards_of(run, work):
    "What the cards of a run's snapshots say of their training"
    for path in sorted((work/run).glob(f'{run}-*.json')):
        card = json.loads(path.read_text())
        yield {k:card[k] for k in ('arch', 'preprocess', 'recipe')}

def main(work, names, out):
    root, done = data_dir(), []
    for name in names:
        r = ask(name, root, work)
        done.append(r)
        if out and name in PAPER_NETS and not (out/name/'ensemble.json').exists(): ship(name, r, root, work, out)
    table = package_file().parent/'nbs'/'results'/'architectures.csv.gz'
    table.parent.mkdir(exist_ok=True)
    pd.concat(done).to_csv(table, index=False)
    starts = [RUNS[n]['init'].rsplit('-', 1)[0] for n in names if RUNS[n]['init']!='scratch']
    runs = dict.fromkeys([*names, *starts])
    write_json(table.with_name('architectures.json'), {n:list(cards_of(n, work)) for n in runs})

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--work', type=Path, default='runs')
    p.add_argument('--names', nargs='+', choices=list(RUNS), default=NAMES)
    p.add_argument('--out', type=Path, help='folder for the best snapshot of each as an ensemble of one')
    torch.set_num_threads(1)
    main(**vars(p.parse_args()))
