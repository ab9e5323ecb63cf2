"""Kill the commands at random moments, start them again, and compare what they leave with an undisturbed run

    python -m benchmarks kill_commands                      # dce_explain FOLDER, dce_evaluate, dce_train: twenty kills each
    python -m benchmarks kill_commands --command train --kills 5 --seed 3

Real processes on drawn films, ended with SIGKILL, decoders and all, at moments spread over the time that an undisturbed run takes. After
each kill every file that is there under its own name must be whole. The same command goes on; when it has come to its end, everything must
be as the undisturbed run left it, but for times, and nothing half-written may lie about. Prints a row a command; exits 1 where anything
differs. About 40 minutes of one core.
"""
import argparse, json, os, re, shutil, signal, subprocess, sys, tempfile, time
from pathlib import Path

import numpy as np

from deepcovidexplainer.core import package_file, write_json

COMMANDS = ('explain', 'evaluate', 'train')
TIMES = ('time', 'minutes', 'seconds', 'made', 'date')

def films(folder):
    "A dozen drawn films with their table"
    from deepcovidexplainer.synth import synth_dataset
    synth_dataset(folder, n_per_class=4, seed=0)

def arguments(command, data, out):
    if command=='explain': return [data, '--out', out, '--methods', '']
    if command=='evaluate': return ['--data', data/'index.csv', '--out', out, '--n_boot', '20']
    small = '--sizes 64 --cycles 2 --epochs 1 --bs 4 --folds 2 --device cpu'
    return ['--table', data/'index.csv', '--out', out, *small.split()]

def start(command, data, out):
    run = data.parent/f'dce_{command}.py' # a command parses its arguments only as a program
    run.write_text(f'from deepcovidexplainer.cli import dce_{command}\n\ndce_{command}()\n')
    env = dict(os.environ, OMP_NUM_THREADS='1', PYTHONWARNINGS='ignore')
    line = [sys.executable, run, *map(str, arguments(command, data, out))]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, start_new_session=True)

def ended(child):
    "Wait for its end; what it printed is told where it failed"
    said = child.communicate()[0].decode(errors='replace')
    assert child.returncode==0, said[-2000:]

def plain(value):
    "JSON without times"
    if isinstance(value, dict): return {k:plain(v) for k, v in value.items() if k not in TIMES}
    return [plain(v) for v in value] if isinstance(value, list) else value

def content(path):
    "What a file holds, but for times; raises where it is not whole"
    b = path.read_bytes()
    if path.suffix=='.json': return plain(json.loads(b))
    if path.suffix=='.html':
        assert b.rstrip().endswith(b'</html>'), path
        return len(b)//1000
    if path.suffix=='.npy': return np.load(path).tobytes()
    if path.suffix in ('.safetensors', '.checkpoint'):
        from safetensors import safe_open
        with safe_open(path, 'np') as f: return {k:f.get_tensor(k).tobytes() for k in f.keys()}
    if path.suffix=='.csv':
        assert b.endswith(b'\n'), path
        return re.sub(rb'\d{4}-\d\d-\d\dT[\d:+]*', b'', b)
    return len(b)>0

def half(out): return [p for p in out.rglob('.*') if p.is_file()]

def left(out):
    "Path → content of every file that is not hidden"
    files = [p for p in sorted(out.rglob('*')) if p.is_file() and not p.name.startswith('.')]
    return {p.relative_to(out).as_posix():content(p) for p in files}

def run(command, data, out, after=None):
    "Start, and end it after so many seconds; how long it ran, None where it was ended. What it left is whole"
    began, child = time.monotonic(), start(command, data, out)
    try: child.wait(after)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        left(out) if out.exists() else None
        return None
    ended(child)
    return time.monotonic()-began

def compared(whole, out):
    "Files that differ from those of the undisturbed run, and files that are half-written"
    there = left(out)
    return [k for k in whole.keys()|there.keys() if whole.get(k)!=there.get(k)], half(out)

def row(command, data, kills, rng, work):
    "Undisturbed, disturbed, compared; begun afresh whenever it came to its end before it was ended often enough"
    for part in ('whole', 'killed'): (work/part).mkdir(exist_ok=True) # an ensemble bears the name of its folder
    out, apart, lying, runs, left_to_do = work/'killed'/command, [], [], 0, kills
    took = run(command, data, work/'whole'/command)
    whole = left(work/'whole'/command)
    assert whole, 'the undisturbed run left nothing'
    while left_to_do or out.exists():
        lasted = run(command, data, out, rng.uniform(.05, 1.)*took if left_to_do else None)
        if lasted is None:
            left_to_do -= 1
            continue
        a, b = compared(whole, out)
        apart += a
        lying += b
        runs += 1
        took = lasted if not left_to_do else min(took, lasted)
        shutil.rmtree(out)
    ended = f'dce_{command}: ended {kills} times, came to its end {runs} times'
    found = f'{len(whole)} files, {len(apart)} differ, {len(lying)} half-written'
    print(f'{ended}; {found}', *apart[:5], *lying[:5], flush=True)
    counts = dict(files=len(whole), differ=len(apart), half_written=len(lying))
    return dict(command=f'dce_{command}', kills=kills, ends=runs, **counts)

def keep(row, seed):
    "Beside the rows of other commands"
    path = package_file().parent/'nbs'/'results'/'kills.json'
    kept = json.loads(path.read_text(encoding='utf-8')) if path.is_file() else {}
    write_json(path, kept | {row['command']:row | dict(seed=seed)})

def main(command, kills, seed):
    rng, wrong = np.random.default_rng(seed), 0
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
        films(work/'films')
        for c in [command] if command else COMMANDS:
            told = row(c, work/'films', kills, rng, work)
            keep(told, seed)
            wrong += told['differ']+told['half_written']
    sys.exit(wrong>0)

if __name__=='__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--command', choices=COMMANDS)
    p.add_argument('--kills', type=int, default=20)
    p.add_argument('--seed', type=int, default=0)
    main(**vars(p.parse_args()))
