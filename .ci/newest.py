"""On a user's versions of everything: every module imports, and training works.

    python .ci/newest.py import
    python .ci/newest.py train
"""
import importlib, pkgutil, sys, tempfile
from pathlib import Path

def import_all():
    "Import every module of the installed package"
    import deepcovidexplainer
    names = [m.name for m in pkgutil.iter_modules(deepcovidexplainer.__path__) if not m.name.startswith('_')]
    for name in names: importlib.import_module(f'deepcovidexplainer.{name}')
    print(f'{len(names)} modules')

def train():
    "Drawn films, an index, a learner, two snapshots, an answer from each"
    from deepcovidexplainer.learner import radiograph_learner
    from deepcovidexplainer.loaders import film_cache, radiograph_dls
    from deepcovidexplainer.models import Card, load_weights
    from deepcovidexplainer.preprocess import Preprocess
    from deepcovidexplainer.snapshots import fit_snapshots
    from deepcovidexplainer.sources import read_table
    from deepcovidexplainer.splits import patient_split
    from deepcovidexplainer.synth import synth_dataset
    with tempfile.TemporaryDirectory() as tmp:
        folder, recipe = Path(tmp), Preprocess(size=64)
        synth_dataset(folder, n_per_class=8, seed=0)
        table = read_table(folder/'index.csv')
        films = film_cache(table, folder, recipe, folder/'cache', crop=None)
        dls = radiograph_dls(table, films, patient_split(table, 4) == 0, size=64, bs=6)
        learn = radiograph_learner(dls, 'resnet18')
        with learn.no_bar(), learn.no_logging():
            card = Card('resnet18', recipe.to_dict(), crop=None)
            paths = fit_snapshots(learn, folder/'run', card, cycles=2, epochs=1)
        models = [load_weights(p)[0] for p in paths]
        x, _ = dls.valid.one_batch() if hasattr(dls.valid, 'one_batch') else next(iter(dls.valid))
        shapes = [tuple(m.eval()(x).shape) for m in models]
    assert len(shapes) == 2 and all(s == (len(x), 3) for s in shapes), shapes
    print(f'{len(paths)} snapshots of {learn.model.__class__.__name__}, each with its card')

if __name__ == '__main__': {'import': import_all, 'train': train}[sys.argv[1]]()
