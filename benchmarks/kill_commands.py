"""Kill the commands at random moments, start them again, and compare what they leave with an undisturbed run

    python -m benchmarks kill_commands                      # dce_explain FOLDER, dce_evaluate, dce_train: twenty kills each
    python -m benchmarks kill_commands --command train --kills 5 --seed 3

Real processes on drawn films, ended with SIGKILL, decoders and all, at moments spread over the time that an undisturbed run takes. After
each kill every file that is there under its own name must be whole. The same command goes on; when it has come to its end, everything must
be as the undisturbed run left it, but for times, and nothing half-written may lie about. Prints a row a command; exits 1 where anything
differs. About 40 minutes of one core.
"""
import argparse, json, os, re, signal, subprocess, sys, tempfile, time
from pathlib import Path

import numpy as np

COMMANDS = ('explain', 'evaluate', 'train')
TIMES = ('time', 'minutes', 'seconds', 'made', 'date')

def films(folder):
    "A dozen drawn films with their table"
    from deepcovidexplainer.synth import synth_dataset
    synth_dataset(folder, n_per_class=4, seed=0)

def arguments(command, data, out):
    if command=='explain': return [data, '--out', out, '--methods', '']
    if command=='evaluate': return ['--data', data/'index.csv', '--out', out, '--n_boot', '20']
    return ['--table', data/'index.csv', '--out', out, '--sizes', '32', '--cycles', '2', '--epochs', '1', '--bs', '4', '--folds', '2', '--device', 'cpu']

def start(command, data, out):
    run = data.parent/f'dce_{command}.py' # a command parses its arguments only as a program
    run.write_text(f'from deepcovidexplainer.cli import dce_{command}\n\ndce_{command}()\n')
    env = dict(os.environ, OMP_NUM_THREADS='1', PYTHONWARNINGS='ignore')
    return subprocess.Popen([sys.executable, run, *map(str, arguments(command, data, out))], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, start_new_session=True)

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
    if path.suffix=='.html': assert b.rstrip().endswith(b'</html>'), path; return len(b)//1000
    if path.suffix=='.npy': return np.load(path).tobytes()
    if path.suffix in ('.safetensors', '.checkpoint'):
        from safetensors import safe_open
        with safe_open(path, 'np') as f: return {k:f.get_tensor(k).tobytes() for k in f.keys()}
    if path.suffix=='.csv': assert b.endswith(b'\n'), path; return re.sub(rb'\d{4}-\d\d-\d\dT[\d:+]*', b'', b)
    return len(b)>0

def half(out): return [p for p in out.rglob('.*') if p.is_file()]

def left(out): return {p.relative_to(out).as_posix():content(p) for p in sorted(out.rglob('*')) if p.is_file() and not p.name.startswith('.')}

def kill(command, data, out, after):
    "Start, wait, end it; whether it was still running"
    child = start(command, data, out)
    try: child.wait(after); alive = False
    except subprocess.TimeoutExpired: alive = True
    try: os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError: pass
    child.communicate(); left(out) if out.exists() else None
    return alive

def row(command, data, kills, rng, work):
    "Undisturbed, disturbed, compared"
    for part in ('whole', 'killed'): (work/part).mkdir(exist_ok=True) # an ensemble bears the name of its folder
    began = time.monotonic(); ended(start(command, data, work/'whole'/command)); took = time.monotonic()-began
    hit = sum(kill(command, data, work/'killed'/command, rng.uniform(.1, 1.)*took) for _ in range(kills))
    ended(start(command, data, work/'killed'/command))
    whole, killed = left(work/'whole'/command), left(work/'killed'/command)
    assert whole, 'the undisturbed run left nothing'
    other = sorted(k for k in whole.keys()|killed.keys() if whole.get(k)!=killed.get(k)); lying = half(work/'killed'/command)
    print(f'dce_{command}: ended {hit} times of {kills} (a run takes {took:.0f} s); {len(whole)} files, {len(other)} differ, {len(lying)} half-written', *other[:5], *lying[:5], flush=True)
    return len(other)+len(lying)

def main(command, kills, seed):
    rng, wrong = np.random.default_rng(seed), 0
    with tempfile.TemporaryDirectory() as work:
        work = Path(work); films(work/'films')
        for c in [command] if command else COMMANDS: wrong += row(c, work/'films', kills, rng, work)
    sys.exit(wrong>0)

if __name__=='__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0]); p.add_argument('--command', choices=COMMANDS)
    p.add_argument('--kills', type=int, default=20); p.add_argument('--seed', type=int, default=0)
    main(**vars(p.parse_args()))
