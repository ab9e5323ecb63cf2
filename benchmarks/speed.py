"""What one film costs, warm, on this machine.

    python benchmarks/speed.py --repeats 7
    python -m benchmarks speed --before FOLDER     # in turns with an older version, a folder with its `deepcovidexplainer`

Medians of several repeats in one run: reading and preparing a film, predicting, and predicting with all heatmaps, each also as a multiple
of one forward pass of all members. With an older version both take turns in processes of their own, film by film, each with its own default
ensemble, in seconds of the processor, which go to `results/speed.json`.
"""
import argparse, json, os, statistics, subprocess, sys, tempfile, time
from pathlib import Path

def median(f, repeats):
    "Seconds of one call, median of several after one to warm up"
    f()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        f()
        times.append(time.perf_counter()-start)
    return statistics.median(times)

WORK = {'posteriors alone': dict(methods=()), 'three heatmaps': {}} # What is asked of `predict_and_explain`

def serve(kept, fast):
    "A line names the work and a film; seconds of the processor come back"
    import torch
    from deepcovidexplainer import load_ensemble, predict_and_explain
    torch.set_num_threads(1)
    if kept: __import__('deepcovidexplainer.core').core.keep_pages()
    ensemble = load_ensemble()
    if fast:
        from deepcovidexplainer.download import cache_dir
        from deepcovidexplainer.fast import fast_lungs
        ensemble = ensemble.faster()
        fast_lungs(cache_dir()/'fast')
    print(json.dumps(dict(networks=len(ensemble.members))), flush=True)
    for line in sys.stdin:
        name, film = json.loads(line)
        began = time.process_time()
        predict_and_explain(film, ensemble, **WORK[name])
        print(json.dumps(time.process_time()-began), flush=True)

class Version:
    "A process with one version of the package"
    def __init__(self, folder, *how):
        env = {**os.environ, 'PYTHONPATH': str(folder), 'OMP_NUM_THREADS': '1'}
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        this = str(Path(__file__).resolve())
        command = [sys.executable, '-W', 'ignore', this, '--serve', *how]
        self.child = subprocess.Popen(command, env=env, cwd=tempfile.gettempdir(), **pipes)
        self.networks = json.loads(self.child.stdout.readline())['networks']
    def ask(self, *what):
        print(json.dumps(what), file=self.child.stdin, flush=True)
        return json.loads(self.child.stdout.readline())
    def close(self):
        self.child.stdin.close()
        self.child.wait()

def in_turns(before, repeats):
    "Medians of each version, and of the ratios of pairs → `results/speed.json`"
    from deepcovidexplainer.core import data_dir, package_file, write_json
    here = Path(__file__).resolve().parents[1]
    versions = {
        'before': Version(before),
        'now': Version(here),
        'now, keep_pages': Version(here, '--kept'),
        'now, keep_pages, extra fast': Version(here, '--kept', '--fast')}
    films = {'336×410, PNG': package_file('samples', 'covid-19.png')}
    if data_dir(): films['1955×1841, DICOM with JPEG 2000'] = data_dir()/'dicom'/'RG1_J2KI.dcm'
    rows = []
    for what, film in films.items():
        for name in WORK:
            for v in versions.values(): v.ask(name, str(film)) # warm
            times = {k: [] for k in versions}
            for _ in range(repeats):
                for k, v in versions.items(): times[k].append(v.ask(name, str(film)))
            for k, t in times.items():
                ratio = statistics.median(a/b for a, b in zip(t, times['before']))
                seconds = round(statistics.median(t), 4)
                about = dict(film=what, work=name, version=k, networks=versions[k].networks)
                rows.append(dict(about, seconds=seconds, ratio=round(ratio, 3)))
                took = f'{seconds*1e3:7.0f} ms of the processor, {ratio:.2f} of before'
                print(f'{what:34} {name:18} {k:28} {took}', flush=True)
    for v in versions.values(): v.close()
    machine = dict(load=[round(v, 1) for v in os.getloadavg()], cores=os.cpu_count())
    write_json(here/'nbs'/'results'/'speed.json', dict(rows=rows, repeats=repeats, **machine))

def main(repeats):
    import torch
    from deepcovidexplainer import load_ensemble, load_radiograph, predict_and_explain
    from deepcovidexplainer.core import package_file
    from deepcovidexplainer.lungs import find_lungs
    path, ensemble = package_file('samples', 'covid-19.png'), load_ensemble()
    x, _ = ensemble.inputs(path)
    film = load_radiograph(path)
    jobs = {
        'forward passes of all members': lambda: ensemble.member_posteriors(x),
        'read the film': lambda: load_radiograph(path),
        'find the lungs': lambda: find_lungs(film),
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
    p.add_argument('--before', type=lambda f: Path(f).resolve(), help='folder with an older deepcovidexplainer')
    for hidden in ('--serve', '--kept', '--fast'): p.add_argument(hidden, action='store_true', help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.serve: serve(a.kept, a.fast)
    elif a.before: in_turns(a.before, a.repeats)
    else: main(a.repeats)
