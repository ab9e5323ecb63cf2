"""Kill a screening run again and again, go on, and compare its table with one that was left alone.

    python -m benchmarks screen_kills              # 20 kills of the local engine
    python -m benchmarks screen_kills --engine ray --kills 5

A real process screens drawn films with the ensemble that ships. At random moments it is ended with SIGKILL: the driver alone, the driver
with its workers, or one worker (of Ray: an actor), after which the driver has to go on. The same command goes on each time. At the end
every row must equal that of an undisturbed local run to the last bit, but for the time it took; no film may be there twice, none may be
missing, no half-written shard may lie about, and no process may be left. Prints a table and writes JSON with `--out`; the exit status is 1
when anything differs.
"""
import argparse, json, os, random, signal, subprocess, sys, tempfile, time
from pathlib import Path

RUN = '''
import json, sys
from deepcovidexplainer.screen import screen
screen(sys.argv[1], sys.argv[2], batch=2, workers=2, engine=sys.argv[3], progress=False)'''
WHOM = ('driver', 'all', 'worker')

def processes():
    "PID → parent, command line, environment"
    found = {}
    for p in Path('/proc').iterdir():
        if not p.name.isdigit(): continue
        try:
            parent = int((p/'stat').read_text().rpartition(')')[2].split()[1])
            found[int(p.name)] = parent, (p/'cmdline').read_bytes(), (p/'environ').read_bytes()
        except OSError: pass
    return found

def start(films, out, engine, mark):
    command = [sys.executable, '-W', 'ignore', '-c', RUN, films, out, engine]
    env = dict(os.environ, SCREEN_KILLS=mark)
    return subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL, start_new_session=True)

def ours(mark, driver=None):
    "Processes of a run, but its driver; those that are ending do not count"
    marked = f'SCREEN_KILLS={mark}'.encode()
    return [pid for pid, (_, command, env) in processes().items() if marked in env and command and pid!=driver]

def workers(mark, driver):
    "Processes that hold an ensemble"
    told, names = processes(), (b'deepcovidexplainer.screen import work', b'MapWorker')
    return [pid for pid in ours(mark, driver) if any(n in told[pid][1] for n in names)]

def shards(out): return len(list(out.glob('films/*.parquet')))

def wait_for_work(out, child):
    "Until another shard is there; False where the run ended before"
    before = shards(out)
    while child.poll() is None:
        if shards(out)>before: return True
        time.sleep(.01)
    return False

def kill(films, out, engine, whom, rng, mark):
    "Start, wait, end somebody; what happened"
    before, child = shards(out), start(films, out, engine, mark)
    if not wait_for_work(out, child): return None
    time.sleep(rng.random()*1.5)
    crew = workers(mark, child.pid)
    if whom=='worker':
        victims = crew[:1]
        if not victims or child.poll() is not None:
            child.wait()
            return None
    else: victims = [child.pid, *(crew if whom=='all' else [])]
    for pid in victims:
        try: os.kill(pid, signal.SIGKILL)
        except OSError: pass
    if whom=='worker':
        wait_for_work(out, child)
        child.kill() # the driver went on
    child.wait()
    left = wait_for_end(mark)
    return dict(whom=whom, before=before, after=shards(out), parts=len(list(out.glob('films/*.part'))), left=left)

def wait_for_end(mark, seconds=30):
    "Processes that are still there after a while, and how long the others took"
    began = time.time()
    while (alive := ours(mark)) and time.time()-began<seconds: time.sleep(.1)
    for pid in alive: os.kill(pid, signal.SIGKILL)
    return dict(processes=len(alive), seconds=round(time.time()-began, 1))

def compare(calm, out):
    "What differs, in words"
    import pandas as pd
    from deepcovidexplainer.screen import films_table
    a, b = (films_table(f).drop(columns=['time', 'seconds']) for f in (calm, out))
    if not b.path.is_unique: yield 'a film is there twice'
    if list(a.path)!=list(b.path): yield 'other films'
    if any(out.glob('films/*.part')): yield 'a half-written shard'
    try: pd.testing.assert_frame_equal(a, b, check_exact=True)
    except AssertionError as error: yield str(error)

def line(i, done):
    "What is printed of one kill"
    left = done['left']
    counts = f'{done["before"]:>14}{done["after"]:>7}{done["parts"]:>12}{left["processes"]:>16}'
    return f'{i:>4}  {done["whom"]:8}{counts} (after {left["seconds"]} s)'

def main(engine, kills, n, seed, out):
    from deepcovidexplainer.synth import synth_dataset
    rng, began, rows = random.Random(seed), time.time(), []
    with tempfile.TemporaryDirectory() as tmp:
        films, calm, killed = (Path(tmp)/k for k in ('films', 'calm', 'killed'))
        synth_dataset(films, n_per_class=n, seed=0)
        (films/'broken.png').write_bytes((films/'normal-000.png').read_bytes()[:2000])
        assert start(films, calm, 'local', f'{os.getpid()}-calm').wait()==0, 'the undisturbed run failed'
        head = f'{"shards before":>14}{"after":>7}{"parts left":>12}{"processes left":>16}'
        print(f'{"kill":>4}  {"whom":8}{head}', flush=True)
        for i in range(kills):
            done = kill(films, killed, engine, WHOM[i%3], rng, f'{os.getpid()}-{i}')
            if done is None:
                print(f'{i+1:>4}  not: it had finished', flush=True)
                break
            rows.append(done)
            print(line(i+1, done), flush=True)
        status = start(films, killed, engine, f'{os.getpid()}-last').wait()
        wrong, of = list(compare(calm, killed)), shards(calm)
    left = sum(r['left']['processes'] for r in rows)
    equal, took = '; '.join(wrong) or 'the table equals the undisturbed one', time.time()-began
    print(f'\n{len(rows)} kills of {engine}; {of} shards; {equal}; {left} processes left ({took:.0f} s)')
    told = dict(engine=engine, kills=rows, shards=of, wrong=wrong, left=left)
    if out: Path(out).write_text(json.dumps(told, indent=1)+'\n')
    return 1 if wrong or status or left or len(rows)<kills else 0

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--engine', default='local', choices=('local', 'ray'))
    p.add_argument('--kills', type=int, default=20)
    p.add_argument('--films', type=int, default=50, help='of each class')
    p.add_argument('--seed', type=int, default=0, help='of the moments')
    p.add_argument('--out', help='JSON')
    a = p.parse_args()
    sys.exit(main(a.engine, a.kills, a.films, a.seed, a.out))
