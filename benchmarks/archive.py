"""What an archive costs: screening beside the bare networks, a loop film by film, and Ray, on real films in one run.

    python -m benchmarks archive                     # 200 films, every way
    python -m benchmarks archive --films 5000 --ways "ours, 2 workers" --out flat.json   # memory over a long run
    python -m benchmarks archive --before FOLDER     # also film by film as an older version did it: a folder with its `deepcovidexplainer`
    python -m benchmarks archive --reference         # the distributions behind `drift`: the test films of the card

Films of the public collections (`DCE_DATA`), drawn with a seed and listed again where there are too few. What needs no workers runs in one
process on one thread, way after way; workers, Ray and an older version have processes of their own. All are timed by the clock and in
processor seconds, their start (measured on one film) taken off. On a machine that others use only processor seconds can be compared, and so
is where the time goes. Memory is the sum over driver and workers, each page counted in full in each process. The answers so far are written
after each way. Needs the extras screen, ray, fast and benchmarks.
"""
import argparse, json, os, resource, subprocess, sys, tempfile, time
from contextlib import contextmanager
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
    "The networks as timm builds them, nothing else"
    import torch
    e, x = inputs(paths)
    ready = [torch.cat(b) for b in batches(x, bs)]
    def run(b):
        for m in e.members: m.model(b)
    def work():
        for b in ready: run(b)
    with torch.inference_mode():
        run(ready[0])
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
    """Decode, normalise, crop, resize, one film at a time, as torchxrayvision's scripts do

    With our networks or with one DenseNet-121 of theirs."""
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

@contextmanager
def cpu_clock(seconds, step):
    "As the columns of the table, in seconds of the processor"
    began = time.process_time()
    try: yield
    finally: seconds[step] = time.process_time()-began

def here(paths, fast=False):
    "Screening in this process, its start taken off, and what each step takes of the processor"
    from deepcovidexplainer import screen as room
    room._clock = cpu_clock
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        folders = archive(tmp/'one', paths[:1]), archive(tmp/'films', paths)
        def run(folder): room.screen(folder, tmp/f'{folder.name}.out', workers=0, fast=fast, progress=False)
        start, total = (timed(lambda: run(f)) for f in folders)
        return *(b-a for a, b in zip(start, total)), dict(steps=steps(tmp/'films.out'))

def ours(folder, out, workers, engine):
    from deepcovidexplainer.screen import screen
    engine, _, how = engine.partition('+')
    screen(folder, out, workers=workers, engine=engine, fast=how=='fast', progress=False)

BEFORE = 'film by film (predict_and_explain), an older version'

CEILING, ALONE = 'bare networks, batches of 32 (the ceiling)', 'film by film (predict_and_explain)'
HERE, HERE_FAST = 'ours, in one process', 'ours, in one process, fast'
CLEAN, CLEAN_FAST = 'our networks on clean films', 'our networks on clean films, fast'
LOOP, LOOP_THEIRS = (f'a loop as of torchxrayvision, {n}' for n in ('our networks', 'its DenseNet-121'))
ONE, TWO, RAY = 'ours, 1 worker', 'ours, 2 workers', 'ours on Ray, 2 actors'
ONE_FAST, TWO_FAST = 'ours, 1 worker, fast', 'ours, 2 workers, fast'
WAYS = {
    BEFORE: film_by_film,
    CEILING: lambda p: bare(p, 32),
    HERE: here,
    HERE_FAST: lambda p: here(p, True),
    ALONE: film_by_film,
    CLEAN: judged,
    CLEAN_FAST: fast,
    'bare networks, one by one': lambda p: bare(p, 1),
    LOOP: lambda p: xrv_loop(p, False),
    LOOP_THEIRS: lambda p: xrv_loop(p, True)}
SCREENS = {
    ONE: (1, 'local'),
    TWO: (2, 'local'),
    ONE_FAST: (1, 'local+fast'),
    TWO_FAST: (2, 'local+fast'),
    RAY: (2, 'ray')}

def environment():
    from deepcovidexplainer.screen import _MEMORY, _THREADS
    return {**os.environ, **_THREADS, **_MEMORY}

def older(folder):
    "One thread, another version, and memory as that version had it"
    from deepcovidexplainer.screen import _THREADS
    return {**os.environ, **_THREADS, 'PYTHONPATH': str(folder)}

def pages(p, mark):
    "How many pages a process holds; 0 without the mark"
    try: return int((p/'statm').read_text().split()[1]) if mark in (p/'environ').read_bytes() else 0
    except OSError: return 0

def resident(mark):
    "MB of all processes that carry a mark"
    total = sum(pages(p, mark) for p in Path('/proc').iterdir() if p.name.isdigit())
    return total*os.sysconf('SC_PAGE_SIZE')/1e6

def itself(*args, env, **kw):
    "This script once more, in a process of its own"
    return subprocess.Popen([sys.executable, '-W', 'ignore', __file__, *args], env=env, text=True, **kw)

def spent(usage): return usage.ru_utime+usage.ru_stime

def screened(folder, out, workers, engine, every=1.):
    "Seconds, processor seconds, memory over time"
    mark = f'{os.getpid()}-{time.time_ns()}'
    before, began, memory = spent(resource.getrusage(resource.RUSAGE_CHILDREN)), time.perf_counter(), []
    env = {**environment(), 'ARCHIVE_RUN': mark}
    child = itself('--screen', folder, out, str(workers), engine, env=env, stderr=subprocess.PIPE)
    while child.poll() is None:
        memory.append(resident(f'ARCHIVE_RUN={mark}'.encode()))
        time.sleep(every)
    if child.returncode: raise RuntimeError(child.stderr.read()[-1500:])
    after = spent(resource.getrusage(resource.RUSAGE_CHILDREN))
    return time.perf_counter()-began, after-before, memory

def steps(out):
    "Mean seconds of a film in each step, and of writing its row"
    from deepcovidexplainer.screen import Table, films_table
    t = films_table(out)
    found = {s: float(sum(v[s] or 0 for v in t.seconds)/len(t)) for s in STEPS}
    told = t.astype(object).where(t.notna(), None)
    rows = told.drop(columns=['members', 'doubts', 'prediction_set', 'zones']).to_dict('records')
    with tempfile.TemporaryDirectory() as tmp:
        table = Table(tmp)
        (Path(tmp)/'films').mkdir()
        found['write'] = timed(lambda: table.write(0, rows))[1]/len(rows)
    return found

def flat(memory):
    "Median of the last third over that of the first, starts left out"
    import numpy as np
    busy = memory[len(memory)//6:]
    third = max(1, len(busy)//3)
    return float(np.median(busy[-third:])/np.median(busy[:third])) if len(busy)>=6 else None

def decoding(repeats=3):
    "Milliseconds of the processor to decode a file of each kind, the decoder's process counted"
    import psutil
    from deepcovidexplainer.core import data_dir, package_file
    from deepcovidexplainer.radiograph import load_radiograph
    def used():
        children = psutil.Process().children(recursive=True)
        return spent(resource.getrusage(resource.RUSAGE_SELF))+sum(sum(c.cpu_times()[:2]) for c in children)
    kinds = {'PNG': Path(sources(1)[0]), 'DICOM, not compressed': package_file('samples', 'normal.dcm')}
    packed = {'JPEG': 'rsna_mono2_jpeg.dcm', 'JPEG 2000': 'RG1_J2KI.dcm', 'JPEG-LS': 'RG1_JLSN.dcm'}
    kinds |= {f'DICOM, {k}': data_dir()/'dicom'/f for k, f in packed.items()}
    told = {}
    for kind, path in kinds.items():
        film, began = load_radiograph(path), used()
        for _ in range(repeats): load_radiograph(path)
        told[kind] = dict(milliseconds=round(1e3*(used()-began)/repeats, 1), pixels=list(film.shape))
    return told

def told_of(name, films, row):
    "A line of the table, printed"
    used, more = row['processor'], []
    told = 'not counted' if used is None else f'{used/films*1e3:7.1f} ms of the processor a film'
    if 'flat' in row:
        flat = f'memory last/first third {row["flat"]:.2f}' if row['flat'] else ''
        more = [f'{row["megabytes"]:.0f} MB', flat, f'start {row["start"]:.1f} s']
    print(f'{name:48} {films/row["clock"]:7.2f} films/s by the clock, {told}', *more, flush=True)
    return dict(way=name, films=films, **row)

def in_one_process(names, listed, env=None):
    "(name, row) of ways that need no workers, one after the other"
    args = '--way', ';'.join(names), '--list', listed
    child = itself(*args, env=env or environment(), cwd=tempfile.gettempdir(), stdout=subprocess.PIPE)
    for line in child.stdout:
        if line.startswith('{"way"'): yield (told := json.loads(line)).pop('way'), told
    child.wait()

def with_workers(name, folder, single, place):
    "A row of a way with processes of its own"
    workers, engine = SCREENS[name]
    start, more, _ = screened(single, place.with_suffix('.one'), workers, engine)
    clock, used, memory = screened(folder, place, workers, engine)
    # one worker starts for one film; the others' starts cost their processors, not the clock. Ray's actors are nobody's children
    processor = None if engine=='ray' else used-more
    return dict(clock=clock-start, processor=processor, start=start, megabytes=max(memory), flat=flat(memory),
                memory=[round(m) for m in memory])

def all_ways(films, ways, before, tmp):
    "(name, row), those that need no workers first"
    (tmp/'list.json').write_text(json.dumps(films))
    wanted = [name for name in [*WAYS, *SCREENS] if not ways or name in ways]
    if before and BEFORE in wanted: yield from in_one_process([BEFORE], tmp/'list.json', older(before))
    here = [name for name in wanted if name in WAYS and name!=BEFORE]
    if here: yield from in_one_process(here, tmp/'list.json')
    folder, single = archive(tmp/'films', films), archive(tmp/'one', films[:1])
    for name in wanted:
        if name not in SCREENS: continue
        try: yield name, with_workers(name, folder, single, tmp/name)
        except Exception as error: print(f'{name}: {str(error)[-300:]}', flush=True)

def main(n, ways, out, before=None):
    rows, decode = [], {} if ways else decoding()
    with tempfile.TemporaryDirectory() as tmp:
        for name, row in all_ways(sources(n), ways, before, Path(tmp)):
            rows.append(told_of(name, n, row))
            told = dict(summary(rows), decode=decode)
            about = dict(films=n, load=os.getloadavg(), cores=os.cpu_count(), rows=rows, **told)
            if out: Path(out).write_text(json.dumps(about, indent=1)+'\n')
    print(json.dumps(told, indent=1))

COMPARED = ( # Films a second of the first, divided by those of the second
    (HERE, CEILING), (CLEAN, CEILING), (CLEAN_FAST, CEILING), (HERE_FAST, CEILING), (HERE, BEFORE), (HERE_FAST, BEFORE),
    (ALONE, BEFORE), (TWO, BEFORE), (TWO_FAST, BEFORE), (HERE, ALONE), (HERE, LOOP), (TWO, HERE), (TWO, ONE),
    (TWO_FAST, HERE_FAST), (RAY, TWO))

def summary(rows):
    "Ratios, where the time goes, and a million films on paper"
    by = {r['way']: r for r in rows}
    speed = {k: {c: r['films']/r[c] for c in ('clock', 'processor') if r[c]} for k, r in by.items()}
    def ratio(a, b): return {c: round(speed[a][c]/speed[b][c], 3) for c in speed[a] if c in speed[b]}
    ratios = {f'{a} ÷ {b}': ratio(a, b) for a, b in COMPARED if a in by and b in by}
    parts = {k: round(1e3*v, 2) for k, v in by[HERE]['steps'].items()} if HERE in by else {}
    hours = {k: round(1e6*r['processor']/r['films']/3600, 1) for k, r in by.items() if r['processor']}
    return dict(ratios=ratios, milliseconds=parts, core_hours_for_a_million=hours)

def make_reference(cache):
    "The measures of the card's test films → `deepcovidexplainer/weights/screen_reference.json`"
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
    path = Path(__file__).resolve().parent.parent/'deepcovidexplainer'/'weights'/'screen_reference.json'
    judged = int(here.normal.notna().sum())
    reference = dict(ensemble_version=version, films=len(films), judged=judged, measures=measures)
    path.write_text(json.dumps(reference)+'\n')
    print(told, path.name)

def one_way(name, films):
    "A way measured in this process, printed as a line of JSON; an error goes beside it"
    try: clock, processor, *more = WAYS[name](films)
    except Exception as error: return print(f'{name}: {error}'[-300:], file=sys.stderr, flush=True)
    told = dict(way=name, clock=clock, processor=processor, **(more[0] if more else {}))
    print(json.dumps(told), flush=True)

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--films', type=int, default=200)
    p.add_argument('--ways', help='names of ways, separated by semicolons')
    p.add_argument('--out', help='JSON')
    p.add_argument('--reference', action='store_true', help='make the distributions behind drift')
    p.add_argument('--cache', help='folder for the hashes of films')
    p.add_argument('--before', type=lambda f: Path(f).resolve(), help='folder with an older deepcovidexplainer')
    p.add_argument('--way', help=argparse.SUPPRESS)
    p.add_argument('--list', help=argparse.SUPPRESS)
    p.add_argument('--screen', nargs=4, help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.screen: ours(a.screen[0], a.screen[1], int(a.screen[2]), a.screen[3])
    elif a.way:
        import torch
        torch.set_num_threads(1)
        films = json.loads(Path(a.list).read_text())
        for name in a.way.split(';'): one_way(name, films)
    elif a.reference: make_reference(a.cache or tempfile.mkdtemp())
    else: main(a.films, a.ways and [w.strip() for w in a.ways.split(';')], a.out, a.before)
