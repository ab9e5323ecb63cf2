"""What fastai costs: training throughput of `radiograph_learner` + `radiograph_dls` against a bare PyTorch loop.

    python benchmarks/throughput.py

Same network and start, same augmented films in the same order, same batch, side, precision, loss, AdamW and schedule of one rate. The bare
loop has torch's `DataLoader` over a list of arrays and calls `augment`; the learner has fastai's loaders with their transforms. The two
take turns in one process on the CPU, and the medians of their epochs are compared, in seconds of processor time, so that a busy machine
does not blur them. Prints films a second and the overhead in per cent.
"""
import argparse, statistics, tempfile, time
from pathlib import Path

import numpy as np

CLOCK = time.process_time # seconds of the processor that this process used: other programs do not count

class PlainFilms:
    "What anybody would write to feed arrays to torch"
    def __init__(self, films, y, size): self.films, self.y, self.size, self.epoch = films, y, size, 0
    def __len__(self): return len(self.y)
    def __getitem__(self, key):
        import torch
        from deepcovidexplainer.loaders import augment
        i, draw = key
        x = augment(self.films[i], self.size, np.random.default_rng([0, self.epoch, draw]))
        return torch.from_numpy((x[None].astype(np.float32)/255-.5)/.25), int(self.y[i])

class PlainLoader:
    "Its epochs, drawn as the learner's are"
    def __init__(self, films, weights, bs): self.films, self.weights, self.bs = films, weights, bs
    def epoch(self, i):
        from torch.utils.data import DataLoader
        n, self.films.epoch = len(self.films), i
        drawn = np.random.default_rng([0, i]).choice(n, n, p=self.weights).tolist()
        return DataLoader(self.films, self.bs, sampler=list(zip(drawn, range(n))), drop_last=True)

def loaders(data, bs, size, n):
    "The learner's, and the bare loop's"
    from deepcovidexplainer.core import CLASSES, class_numbers
    from deepcovidexplainer.loaders import sample_weights
    from deepcovidexplainer.loaders import film_cache, radiograph_dls
    from deepcovidexplainer.sources import read_table
    from deepcovidexplainer.splits import patient_split
    from deepcovidexplainer.preprocess import Preprocess
    from deepcovidexplainer.synth import synth_dataset
    if not (data/'index.csv').exists(): synth_dataset(data, n_per_class=n, seed=0)
    t = read_table(data/'index.csv')
    recipe = Preprocess(size=size, equalize='hist+clahe', diffuse=False, unsharp=False, remove_text=False)
    films = film_cache(t, data, recipe, data/'cache', crop=None)
    valid = patient_split(t, 6)==0
    y = class_numbers(t.label[~valid], CLASSES)
    plain = PlainLoader(PlainFilms(films[~valid], y, size), sample_weights(t[~valid]), bs)
    return radiograph_dls(t, films, valid, size=size, bs=bs, device='cpu'), plain

class Ours:
    "An epoch of training with the learner, without its validation"
    def __init__(self, dls, arch, half):
        from deepcovidexplainer.learner import radiograph_learner
        self.learn = radiograph_learner(dls, arch, half=half)
        self.learn.create_opt()
        self.dls = dls
    def epoch(self, i):
        from fastai.callback.core import Callback, CancelFitException
        class NoValidation(Callback):
            began = ended = None
            def before_train(self): self.began = CLOCK()
            def after_train(self):
                self.ended = CLOCK()
                raise CancelFitException()
        self.dls.set_epoch(i)
        clock = NoValidation()
        with self.learn.no_bar(), self.learn.no_logging(): self.learn.fit(1, 1e-3, cbs=[clock])
        return clock.ended-clock.began

class Bare:
    "The same epoch as a loop that everybody could write"
    def __init__(self, batches, arch, half):
        import torch
        from deepcovidexplainer.models import create_model
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.model = create_model(arch).to(memory_format=torch.channels_last)
        norms = [m for m in self.model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        biases = [p for n, p in self.model.named_parameters() if n.endswith('bias') and p.ndim==1]
        plain = {id(p):p for p in (*(p for m in norms for p in m.parameters()), *biases)}
        decayed = dict(params=[p for p in self.model.parameters() if id(p) not in plain], weight_decay=.05)
        others = dict(params=list(plain.values()), weight_decay=0.)
        self.opt = torch.optim.AdamW([decayed, others], lr=1e-3, betas=(.9, .99), eps=1e-5)
        self.loss, self.half, self.batches = torch.nn.CrossEntropyLoss(label_smoothing=.05), half, batches
    def epoch(self, i):
        import torch
        self.model.train()
        began = CLOCK()
        for x, y in self.batches.epoch(i):
            with torch.autocast(x.device.type, torch.bfloat16, enabled=self.half): z = self.model(x)
            self.loss(z.float(), y).backward()
            self.opt.step()
            self.opt.zero_grad()
        return CLOCK()-began

def median_interval(x, level=.95):
    "Order statistics between which the median lies: needs six values or more"
    from scipy.stats import binom
    x = sorted(x)
    k = int(binom.ppf((1-level)/2, len(x), .5))
    return x[max(0, k-1)], x[min(len(x)-1, len(x)-k)]

def main(arch, bs, size, half, repeats, n, threads):
    import torch
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as d:
        dls, plain = loaders(Path(d), bs, size, n)
        for (a, b), (x, y) in zip(dls.train, plain.epoch(0), strict=True):
            assert torch.equal(a, x) and torch.equal(b, y), 'other films'
        both = dict(bare=Bare(plain, arch, half), learner=Ours(dls, arch, half))
        for run in both.values(): run.epoch(0) # warm
        times = {k:[] for k in both}
        for i in range(1, repeats+1):
            for k in (both if i%2 else reversed(both)): times[k].append(both[k].epoch(i))
    films = len(dls[0])*bs
    for k, v in times.items():
        speed, each = films/statistics.median(v), ', '.join(f'{s:.2f}' for s in v)
        print(f'{k:>8}: {speed:7.2f} films per processor second, epochs of {films} films in {each} s')
    ratios = [100*(a/b-1) for a, b in zip(times['learner'], times['bare'])]
    low, high = median_interval(ratios)
    interval = f'95 % interval of it {low:+.1f} to {high:+.1f}, pairs {min(ratios):+.1f} to {max(ratios):+.1f}'
    how = f'{arch}, {size} px, batch {bs}, {"bfloat16" if half else "float32"}, {threads} thread'
    print(f'overhead: {statistics.median(ratios):+.1f} % (median of {repeats} pairs; {interval}); {how}')

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--arch', default='resnet18')
    p.add_argument('--bs', type=int, default=16)
    p.add_argument('--size', type=int, default=128)
    p.add_argument('--half', action='store_true')
    p.add_argument('--repeats', type=int, default=7)
    p.add_argument('--n', type=int, default=32, help='films of each class')
    p.add_argument('--threads', type=int, default=1)
    main(**vars(p.parse_args()))
