"""Kill a training run again and again, resume it, and compare it with one that was left alone.

    python benchmarks/kill_resume.py

A real process trains a ResNet-18 on drawn films (CPU, one thread) and is ended with SIGKILL: at random moments of an epoch, while its
checkpoint is being written, and while a snapshot is being written. The same command goes on each time. At the end every snapshot, its
card (which holds the log) and the checkpoint must equal those of an undisturbed run to the bit, but for the time they took, and no
half-written file may lie about. Prints a table; the exit status is 1 when anything differs.
"""
import argparse, json, os, random, signal, subprocess, sys, tempfile, time
from fnmatch import fnmatch
from pathlib import Path

CYCLES, EPOCHS = 5, 3
PLAN = ['epoch', 'checkpoint', 'epoch', 'snapshot', 'epoch', 'checkpoint', 'epoch', 'snapshot', 'epoch', 'checkpoint'] # where the kills go
PATIENCE = {'checkpoint':.1, 'snapshot':.02} # seconds that such a file takes, roughly
FILES = {'checkpoint':'.snapshot.checkpoint.*', 'snapshot':'.snapshot-*.safetensors.*'} # what is half-written then

def prepare(data):
    "Films, index and cleaned cache, once for all runs"
    from deepcovidexplainer.synth import synth_dataset
    synth_dataset(data, n_per_class=10, seed=0)
    films(data)

def films(data):
    from deepcovidexplainer.loaders import film_cache
    from deepcovidexplainer.sources import read_table
    from deepcovidexplainer.preprocess import Preprocess
    t = read_table(data/'index.csv')
    recipe = Preprocess(size=64, equalize='hist+clahe', diffuse=False, unsharp=False, remove_text=False)
    return t, film_cache(t, data, recipe, data/'cache', crop=None), recipe

def train(data, out):
    "What is killed; tells its parent when an epoch begins and when a file is begun"
    import safetensors.torch, torch
    from fastai.callback.core import Callback
    from deepcovidexplainer.loaders import radiograph_dls
    from deepcovidexplainer.splits import patient_split
    from deepcovidexplainer.learner import radiograph_learner
    from deepcovidexplainer.models import Card
    from deepcovidexplainer.snapshots import fit_snapshots
    class Tell(Callback):
        def before_epoch(self): print('epoch', self.epoch, flush=True)
    save = safetensors.torch.save_file
    def telling(tensors, path, **kw):
        print('writes', Path(path).name, flush=True)
        save(tensors, path, **kw)
    safetensors.torch.save_file = telling
    torch.set_num_threads(1)
    t, x, recipe = films(data)
    learn = radiograph_learner(radiograph_dls(t, x, patient_split(t, 4)==0, size=64, bs=4), 'resnet18')
    with learn.no_bar(), learn.no_logging():
        card = Card('resnet18', recipe.to_dict(), crop=None)
        fit_snapshots(learn, out, card, CYCLES, EPOCHS, sizes=(48, 48, 64, 64, 64), cbs=[Tell()])

def start(data, out):
    line = [sys.executable, '-W', 'ignore', __file__, '--data', data, '--out', out]
    return subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=dict(os.environ, OMP_NUM_THREADS='1'))

def undisturbed(data, out):
    "Its epochs' length in seconds"
    child, times = start(data, out), []
    for line in child.stdout: times += [time.time()]*line.startswith('epoch')
    assert child.wait()==0, 'the undisturbed run failed'
    return min(b-a for a, b in zip(times, times[1:]))

def kill(data, out, where, epoch, length, rng):
    "Start, wait for the moment, end it; says what happened, None when it had finished before"
    child = start(data, out)
    try:
        for line in child.stdout:
            if line==f'epoch {epoch}\n': break
        else: return None
        wait = rng.random()*length
        if where=='epoch':
            time.sleep(wait)
            seen = f'{wait:.2f} s into epoch {epoch+1}'
        else: seen = half_written(out, where, child, rng)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
    return seen

def half_written(out, where, child, rng):
    "Wait until such a file is begun, and a little longer"
    names = (line.split()[1] for line in child.stdout if line.startswith('writes'))
    begun = next((out/name for name in names if fnmatch(name, FILES[where])), None)
    if begun is None: return None
    time.sleep(rng.random()*PATIENCE[where])
    return f'{"while" if begun.exists() else "around the time when"} {begun.name.rsplit(".", 1)[0][1:]} was written'

def epochs_done(out):
    from safetensors import safe_open
    path = out/'snapshot.checkpoint'
    if not path.exists(): return 0
    with safe_open(path, 'np') as f: return int(f.metadata()['epoch'])

def next_epoch(done, where, rng):
    "The epoch to end it in: the next one, or the one after it; snapshots are written at a cycle's end only"
    if where=='snapshot': return done//EPOCHS*EPOCHS+EPOCHS-1
    return done+(where=='epoch' and rng.random()<.5)

def content(path):
    "A file's bytes; of card and checkpoint everything but the time it took: safetensors writes notes in any order"
    if path.suffix=='.json':
        card = json.loads(path.read_text())
        del card['recipe']['minutes']
        return card
    if path.suffix!='.checkpoint': return path.read_bytes()
    from safetensors import safe_open
    with safe_open(path, 'np') as f:
        notes = {k:v for k, v in f.metadata().items() if k!='seconds'}
        return notes, {k:f.get_tensor(k).tobytes() for k in f.keys()}

def compare(a, b):
    "Names whose content differs or that one side lacks"
    names = sorted({p.name for f in (a, b) for p in f.iterdir()})
    return [n for n in names if not (a/n).exists() or not (b/n).exists() or content(a/n)!=content(b/n)], names

def main(seed):
    rng, began = random.Random(seed), time.time()
    with tempfile.TemporaryDirectory() as d:
        d = Path(d)
        data, calm, out = d/'data', d/'calm', d/'killed'
        prepare(data)
        length = undisturbed(data, calm)
        print(f'{"kill":>4}  {"epochs done":>11}  killed', flush=True)
        kills = 0
        for i, where in enumerate(PLAN):
            done = epochs_done(out)
            said = kill(data, out, where, next_epoch(done, where, rng), length, rng)
            kills += said is not None
            print(f'{i+1:>4}  {done:>11}  {said or "not: it had finished"}', flush=True)
        done, child = epochs_done(out), start(data, out)
        child.stdout.read()
        status = child.wait()
        print(f'{"last":>4}  {done:>11}  left alone, status {status}')
        wrong, names = compare(calm, out)
    print(f'\n{len(names)} files compared: {", ".join(names)}')
    outcome = f'different: {", ".join(wrong)}' if wrong else 'all equal but for the time they took'
    print(f'{kills} kills;', outcome, f'({time.time()-began:.0f} s)')
    return 1 if wrong or status or kills<len(PLAN) else 0

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--seed', type=int, default=0, help='of the moments')
    p.add_argument('--data', type=Path, help=argparse.SUPPRESS)
    p.add_argument('--out', type=Path, help=argparse.SUPPRESS)
    a = p.parse_args()
    sys.exit(train(a.data, a.out) if a.data else main(a.seed))
