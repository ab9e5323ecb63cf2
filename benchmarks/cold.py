"""What a first film costs: `dce_explain` in a fresh process, and where its seconds go.

    python -m benchmarks cold --repeats 5

Each run is a process of its own that does what the command does, in seconds of the processor (other programs do not count) and by the
clock. The steps lie inside each other in no case; what is left is the start of Python and of the command. Goes to `results/cold.json`
beside the notebooks.
"""
import argparse, json, os, platform, resource, statistics, subprocess, sys, tempfile, time
from functools import wraps
from pathlib import Path

OUT = Path(__file__).resolve().parents[1]/'nbs'/'results'/'cold.json'
STEPS = dict(weights='load_ensemble', decode='load_radiograph', lungs='find_lungs', guard='guard', maps='_ask',
             words='explain', similar='similar_films')

def used(): return time.process_time()

def counted(seconds, name, f):
    "The function, with its seconds in a dictionary"
    @wraps(f)
    def call(*args, **kwargs):
        began = used()
        try: return f(*args, **kwargs)
        finally: seconds[name] = seconds.get(name, 0)+used()-began
    return call

def one(film, threads):
    "What a fresh process does; its seconds as JSON"
    seconds, out = {}, Path(tempfile.mkdtemp())/'film.html'
    began = used()
    from deepcovidexplainer.command import as_program
    as_program()
    from deepcovidexplainer import cli
    import deepcovidexplainer.pipeline as pipeline
    import torch
    torch.set_num_threads(threads)
    seconds['import'] = used()-began
    for name, f in STEPS.items(): setattr(pipeline, f, counted(seconds, name, getattr(pipeline, f)))
    from deepcovidexplainer.ensemble import Ensemble
    Ensemble.predict_many = counted(seconds, 'networks', Ensemble.predict_many)
    Ensemble.inputs = counted(seconds, 'clean', Ensemble.inputs)
    from deepcovidexplainer.explanation import Explanation
    Explanation.save = counted(seconds, 'write', Explanation.save)
    cli.dce_explain([str(film)], out=str(out), quiet=True)
    print(json.dumps(dict(seconds, total=used())))

def run(film, threads):
    "One process: its steps, and what it took by the clock"
    began, env = time.perf_counter(), {**os.environ, 'OMP_NUM_THREADS': str(threads)}
    command = [sys.executable, '-W', 'ignore', __file__, '--one', film, '--threads', str(threads)]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode: raise RuntimeError(done.stderr[-1500:])
    return dict(json.loads(done.stdout.splitlines()[-1]), clock=time.perf_counter()-began)

def main(film, repeats, threads):
    from deepcovidexplainer.core import package_file, write_json
    film = film or package_file('samples', 'covid-19.png')
    run(film, threads) # the disk's cache
    runs = [run(film, threads) for _ in range(repeats)]
    steps = {k: round(statistics.median(r.get(k, 0) for r in runs), 3) for k in runs[0]}
    steps['rest'] = round(steps['total']-sum(v for k, v in steps.items() if k not in ('total', 'clock')), 3)
    told = dict(
        processor_seconds=steps,
        clock=[round(r['clock'], 2) for r in runs],
        load=[round(v, 1) for v in os.getloadavg()],
        cores=os.cpu_count(),
        threads=threads,
        repeats=repeats,
        machine=platform.machine())
    write_json(OUT, told)
    print(json.dumps(told, indent=1))

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--film')
    p.add_argument('--repeats', type=int, default=5)
    p.add_argument('--threads', type=int, default=1)
    p.add_argument('--one', help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.one: one(a.one, a.threads)
    else: main(a.film, a.repeats, a.threads)
