"""What one film costs, warm, on this machine.

    python benchmarks/speed.py --repeats 7

Medians of several repeats in one run: reading and preparing a film, predicting, and predicting with all heatmaps, each also as a
multiple of one forward pass of all members.
"""
import argparse, statistics, time

import torch

from deepcovidexplainer import load_ensemble, load_radiograph, predict_and_explain
from deepcovidexplainer.core import package_file
from deepcovidexplainer.lungs import find_lungs

def median(f, repeats):
    "Seconds of one call, median of several after one to warm up"
    f()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        f()
        times.append(time.perf_counter()-start)
    return statistics.median(times)

def main(repeats):
    path, ensemble = package_file('samples', 'covid-19.png'), load_ensemble()
    x, _ = ensemble.inputs(path)
    jobs = {
        'forward passes of all members': lambda: ensemble.member_posteriors(x),
        'read the film': lambda: load_radiograph(path),
        'find the lungs': lambda f=load_radiograph(path): find_lungs(f),
        'prepare the film, lungs included': lambda: ensemble.inputs(path),
        'predict_and_explain, methods=()': lambda: predict_and_explain(path, methods=()),
        'predict_and_explain, three heatmaps': lambda: predict_and_explain(path)}
    seconds = {k: median(f, repeats) for k, f in jobs.items()}
    floor = seconds['forward passes of all members']
    print(f'{len(ensemble.members)} members, {torch.get_num_threads()} threads, median of {repeats}')
    for k, s in seconds.items(): print(f'{k:36} {s*1e3:8.0f} ms {s/floor:6.1f}×')

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--repeats', type=int, default=7)
    main(**vars(p.parse_args()))
