"""What an archive costs: screening beside the bare networks, a loop film by film, and Ray, on real films in one run.

    python -m benchmarks archive                     # 200 films, every way
    python -m benchmarks archive --films 5000 --ways "ours, 2 workers" --out flat.json   # memory over a long run
    python -m benchmarks archive --reference         # the distributions behind `drift`: the test films of the card

Films of the public collections (`DCE_DATA`), drawn with a seed and listed again where there are too few. Each way runs in a process of its own, on one
thread a process, and is timed by the clock and in processor seconds, its own start (measured on one film) taken off. On a machine that others use
only processor seconds can be compared. Where the time goes comes from the columns of the table; memory is the sum over driver and workers, each page
counted in full in each process. Needs the extras screen, ray, fast and benchmarks.
"""
import argparse, json, os, resource, subprocess, sys, tempfile, time
from pathlib import Path

STEPS = ('fetch', 'decode', 'lungs', 'clean', 'networks', 'explain')

def sources(n, seed=0, spread=1):
    "Paths of real films"
    from deepcovidexplainer.core import data_dir
    from deepcovidexplainer.sources import read_index
    t = read_index(data_dir(), ['darkcovidnet', 'hannover', 'shenzhen', 'montgomery'])
    films = [str(data_dir()/f) for f in t.film.sample(min(n, len(t)), random_state=seed)]
    return (films*(n//len(films)+1))[:n]

def archive(folder, films):
    "The films under other names in one folder: links, so that each is a file of its own"
    folder.mkdir(parents=True)
    for i, f in enumerate(films): os.symlink(f, folder/f'{i:06}{Path(f).suffix}')
    return folder

# One way each: films → (films done, seconds by the clock, seconds of the processor)
def timed(work):
    began, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter()-began, time.process_time()-used

def inputs(paths):
    from deepcovidexplainer import load_ensemble, load_radiograph
    e = load_ensemble()
    return e, [e.inputs(load_radiograph(p).resized(1024))[0] for p in paths]

def batches(x, bs): return (x[i:i+bs] for i in range(0, len(x), bs))

def bare(paths, bs):
    import torch
    e, x = inputs(paths)
    ready = [torch.cat(b) for b in batches(x, bs)]
    e.member_posteriors(ready[0])
    def work():
        for b in ready: e.member_posteriors(b)
    return timed(work)

def judged(paths, bs=32):
    "Our networks' part alone, films clean and at hand"
    e, x = inputs(paths)
    return predicted(e, x, bs)

def predicted(e, x, bs):
    e.predict_many(x=x[:bs], bs=bs)
    return timed(lambda: e.predict_many(x=x, bs=bs))

def fast(paths, bs=32):
    "The same by ONNX Runtime"
    e, x = inputs(paths)
    return predicted(e.faster(), x, bs)

def film_by_film(paths):
    from deepcovidexplainer import predict_and_explain
    predict_and_explain(paths[0], methods=())
    return timed(lambda: [predict_and_explain(p, methods=()) for p in paths])

def xrv_loop(paths, theirs):
    "Decode, normalise, crop, resize, one film at a time, as torchxrayvision's scripts do; with our networks or with one DenseNet-121 of theirs"
    import numpy as np, torch, torchxrayvision as xrv
    from PIL import Image
    from deepcovidexplainer import load_ensemble
    e = load_ensemble()
    size = 224 if theirs else e.preprocess.size
    crop, resize = xrv.datasets.XRayCenterCrop(), xrv.datasets.XRayResizer(size, engine='cv2')
    net = xrv.models.DenseNet(weights=None).eval() if theirs else None
    def one(path):
        x = xrv.datasets.normalize(np.asarray(Image.open(path).convert('L')), 255)
        x = torch.from_numpy(resize(crop(x[None]))).float()[None]
        with torch.inference_mode(): net(x) if theirs else e.member_posteriors(x/1024)
    one(paths[0])
    return timed(lambda: [one(p) for p in paths])

def ours(folder, out, workers, engine):
    from deepcovidexplainer.screen import screen
    engine, _, how = engine.partition('+')
    screen(folder, out, workers=workers, engine=engine, fast=how=='fast', progress=False)

WAYS = {
    'bare networks, batches of 32 (the ceiling)': lambda p, d: bare(p, 32),
    'bare networks, one by one': lambda p, d: bare(p, 1),
    'our networks on clean films': lambda p, d: judged(p),
    'our networks on clean films, fast': lambda p, d: fast(p),
    'film by film (predict_and_explain)': lambda p, d: film_by_film(p),
    'a loop as of torchxrayvision, our networks': lambda p, d: xrv_loop(p, False),
    'a loop as of torchxrayvision, its DenseNet-121': lambda p, d: xrv_loop(p, True)}
SCREENS = {
    'ours, 1 worker': (1, 'local'),
    'ours, 2 workers': (2, 'local'),
    'ours, 1 worker, fast': (1, 'local+fast'),
    'ours, 2 workers, fast': (2, 'local+fast'),
    'ours on Ray, 2 actors': (2, 'ray')}

def environment():
    from deepcovidexplainer.screen import _MEMORY, _THREADS
    return {**os.environ, **_THREADS, **_MEMORY}

def call(*args):
    "This script as a process of its own"
    done = subprocess.run([sys.executable, '-W', 'ignore', __file__, *map(str, args)], env=environment(), capture_output=True, text=True)
    if done.returncode: raise RuntimeError(done.stderr[-1500:])
    return done.stdout

def resident(mark):
    "MB of all processes that carry a mark"
    total = 0
    for p in Path('/proc').iterdir():
        if not p.name.isdigit(): continue
        try:
            if mark in (p/'environ').read_bytes(): total += int((p/'statm').read_text().split()[1])*os.sysconf('SC_PAGE_SIZE')
        except OSError: pass
    return total/1e6

def screened(folder, out, workers, engine, every=1.):
    "Seconds, processor seconds, memory over time"
    mark = f'ARCHIVE_RUN={os.getpid()}-{time.time_ns()}'
    before, began, memory = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter(), []
    child = subprocess.Popen([sys.executable, '-W', 'ignore', __file__, '--screen', folder, out, str(workers), engine], env={**environment(), 'ARCHIVE_RUN': mark.split('=')[1]}, stderr=subprocess.PIPE, text=True)
    while child.poll() is None:
        memory.append(resident(mark.encode()))
        time.sleep(every)
    if child.returncode: raise RuntimeError(child.stderr.read()[-1500:])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter()-began, sum(getattr(after, k)-getattr(before, k) for k in ('ru_utime', 'ru_stime')), memory

def steps(out):
    "Mean seconds of a film in each step, and of writing its row"
    from deepcovidexplainer.screen import Table, films_table
    t = films_table(out)
    found = {s: float(sum(v[s] or 0 for v in t.seconds)/len(t)) for s in STEPS}
    rows = t.astype(object).where(t.notna(), None).drop(columns=['members', 'doubts', 'prediction_set', 'zones']).to_dict('records')
    with tempfile.TemporaryDirectory() as tmp:
        table = Table(tmp)
        (Path(tmp)/'films').mkdir()
        found['write'] = timed(lambda: table.write(0, rows))[0]/len(rows)
    return found

def flat(memory):
    "Median of the last third over that of the first, starts left out"
    import numpy as np
    busy = memory[len(memory)//6:]
    third = max(1, len(busy)//3)
    return float(np.median(busy[-third:])/np.median(busy[:third])) if len(busy)>=6 else None

def main(n, ways, out):
    films, rows = sources(n), []
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        (tmp/'list.json').write_text(json.dumps(films))
        folder, single = archive(tmp/'films', films), archive(tmp/'one', films[:1])
        for name in [*WAYS, *SCREENS]:
            if ways and name not in ways: continue
            try:
                if name in WAYS: row = json.loads(call('--way', name, '--list', tmp/'list.json').splitlines()[-1])
                else:
                    workers, engine = SCREENS[name]
                    place = tmp/name
                    start = screened(single, place.with_suffix('.one'), workers, engine)
                    total = screened(folder, place, workers, engine)
                    # one worker starts for one film; the others' starts cost their processors, not the clock
                    row = dict(clock=total[0]-start[0], processor=total[1]-start[1], start=start[0], megabytes=max(total[2]), flat=flat(total[2]), memory=[round(m) for m in total[2]], steps=steps(place))
            except Exception as error:
                print(f'{name}: {str(error)[-300:]}', flush=True)
                continue
            rows.append(dict(way=name, films=n, **row))
            print(f'{name:48} {n/row["clock"]:7.2f} films/s by the clock, {row["processor"]/n*1e3:7.1f} ms of the processor a film', *([f'{row["megabytes"]:.0f} MB', f'memory last/first third {row["flat"]:.2f}' if row['flat'] else '', f'start {row["start"]:.1f} s'] if 'flat' in row else []), flush=True)
    told = summary(rows)
    print(json.dumps(told, indent=1))
    if out: Path(out).write_text(json.dumps(dict(films=n, load=os.getloadavg(), cores=os.cpu_count(), rows=rows, **told), indent=1)+'\n')

def summary(rows):
    "Ratios, where the time goes, and a million films on paper"
    by = {r['way']: r for r in rows}
    speed = {k: {c: r['films']/r[c] for c in ('clock', 'processor')} for k, r in by.items()}
    pairs = [('ours, 1 worker', 'bare networks, batches of 32 (the ceiling)'), ('our networks on clean films', 'bare networks, batches of 32 (the ceiling)'), ('our networks on clean films, fast', 'our networks on clean films'), ('ours, 1 worker, fast', 'ours, 1 worker'),
             ('ours, 2 workers, fast', 'film by film (predict_and_explain)'), ('ours, 2 workers', 'film by film (predict_and_explain)'),
             ('ours on Ray, 2 actors', 'ours, 2 workers'), ('ours, 2 workers', 'a loop as of torchxrayvision, our networks')]
    ratios = {f'{a} ÷ {b}': {c: round(speed[a][c]/speed[b][c], 3) for c in speed[a]} for a, b in pairs if a in by and b in by}
    one = by.get('ours, 1 worker')
    return dict(ratios=ratios, milliseconds={k: round(1e3*v, 2) for k, v in one['steps'].items()} if one else {}, core_hours_for_a_million={k: round(1e6*r['processor']/r['films']/3600, 1) for k, r in by.items()})

def make_reference(cache):
    "The measures of the card's test films → `deepcovidexplainer/results/screen_reference.json`"
    from deepcovidexplainer.core import data_dir
    from deepcovidexplainer.evaluation import card_films
    from deepcovidexplainer.screen import films_table, screen
    from deepcovidexplainer.screen_report import film_measures
    from deepcovidexplainer.zoo import load_ensemble
    t = card_films(load_ensemble(), data_dir(), cache)
    assert t.attrs['same'], 'not the films that the card names'
    with tempfile.TemporaryDirectory() as tmp:
        films = [data_dir()/f for f in t.film[t.role=='test']]
        told = screen(films, tmp, workers=1)
        here, version = film_measures(tmp), films_table(tmp, ['ensemble_version']).ensemble_version.iloc[0]
    measures = {k: sorted(float(f'{v:.4g}') for v in here[k].dropna()) for k in here}
    path = Path(__file__).resolve().parent.parent/'deepcovidexplainer'/'results'/'screen_reference.json'
    path.write_text(json.dumps(dict(ensemble_version=version, films=len(films), judged=int(here.normal.notna().sum()), measures=measures))+'\n')
    print(told, path.name)

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--films', type=int, default=200)
    p.add_argument('--ways', help='names of ways, separated by semicolons')
    p.add_argument('--out', help='JSON')
    p.add_argument('--reference', action='store_true', help='make the distributions behind drift')
    p.add_argument('--cache', help='folder for the hashes of films')
    p.add_argument('--way', help=argparse.SUPPRESS)
    p.add_argument('--list', help=argparse.SUPPRESS)
    p.add_argument('--screen', nargs=4, help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.screen: ours(a.screen[0], a.screen[1], int(a.screen[2]), a.screen[3])
    elif a.way:
        import torch
        torch.set_num_threads(1)
        clock, processor = WAYS[a.way](json.loads(Path(a.list).read_text()), None)
        print(json.dumps(dict(clock=clock, processor=processor)))
    elif a.reference: make_reference(a.cache or tempfile.mkdtemp())
    else: main(a.films, a.ways and [w.strip() for w in a.ways.split(';')], a.out)
