"""What an archive costs: screening beside the bare networks, a loop film by film, and Ray, on real films in one run.

    python -m benchmarks archive                     # 200 films, every way
    python -m benchmarks archive --films 5000 --ways "ours, 2 workers" --out flat.json   # memory over a long run
    python -m benchmarks archive --before FOLDER     # also film by film as an older version did it: a folder with its `deepcovidexplainer`
    python -m benchmarks archive --reference         # the distributions behind `drift`: the test films of the card

Films of the public collections (`DCE_DATA`), drawn with a seed and listed again where there are too few. What needs no workers runs in one process on
one thread, way after way; workers, Ray and an older version have processes of their own. All are timed by the clock and in processor seconds, their
start (measured on one film) taken off. On a machine that others use only processor seconds can be compared, and so is where the time goes. Memory is the
sum over driver and workers, each page counted in full in each process. The answers so far are written after each way. Needs the extras screen, ray, fast
and benchmarks.
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
    "Decode, normalise, crop, resize, one film at a time, as torchxrayvision's scripts do; with our networks or with one DenseNet-121 of theirs"
    import numpy as np, torch, torchxrayvision as xrv
    from PIL import Image
    from deepcovidexplainer import load_ensemble
    e = load_ensemble(); size = 224 if theirs else e.preprocess.size
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

CEILING, HERE, ALONE = 'bare networks, batches of 32 (the ceiling)', 'ours, in one process', 'film by film (predict_and_explain)'
WAYS = {BEFORE: film_by_film, CEILING: lambda p: bare(p, 32), HERE: here, 'ours, in one process, fast': lambda p: here(p, True), ALONE: film_by_film,
        'our networks on clean films': judged, 'our networks on clean films, fast': fast, 'bare networks, one by one': lambda p: bare(p, 1),
        'a loop as of torchxrayvision, our networks': lambda p: xrv_loop(p, False), 'a loop as of torchxrayvision, its DenseNet-121': lambda p: xrv_loop(p, True)}
SCREENS = {'ours, 1 worker': (1, 'local'), 'ours, 2 workers': (2, 'local'), 'ours, 1 worker, fast': (1, 'local+fast'), 'ours, 2 workers, fast': (2, 'local+fast'), 'ours on Ray, 2 actors': (2, 'ray')}

def environment():
    from deepcovidexplainer.screen import _MEMORY, _THREADS
    return {**os.environ, **_THREADS, **_MEMORY}

def older(folder):
    "One thread, another version, and memory as that version had it"
    from deepcovidexplainer.screen import _THREADS
    return {**os.environ, **_THREADS, 'PYTHONPATH': str(folder)}

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
        table = Table(tmp); (Path(tmp)/'films').mkdir()
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
    from deepcovidexplainer.core import data_dir, package_file
    from deepcovidexplainer.radiograph import load_radiograph
    def used(): return sum(getattr(resource.getrusage(who), k) for who in (resource.RUSAGE_SELF,) for k in ('ru_utime', 'ru_stime'))+sum(sum(c.cpu_times()[:2]) for c in psutil.Process().children(recursive=True))
    import psutil
    kinds = {'PNG': Path(sources(1)[0]), 'DICOM, not compressed': package_file('samples', 'normal.dcm')}
    kinds |= {f'DICOM, {k}': data_dir()/'dicom'/f for k, f in {'JPEG': 'rsna_mono2_jpeg.dcm', 'JPEG 2000': 'RG1_J2KI.dcm', 'JPEG-LS': 'RG1_JLSN.dcm'}.items()}
    told = {}
    for kind, path in kinds.items():
        film, began = load_radiograph(path), used()
        for _ in range(repeats): load_radiograph(path)
        told[kind] = dict(milliseconds=round(1e3*(used()-began)/repeats, 1), pixels=list(film.shape))
    return told

def told_of(name, films, row):
    "A line of the table, printed"
    used = 'not counted' if row['processor'] is None else f'{row["processor"]/films*1e3:7.1f} ms of the processor a film'
    print(f'{name:48} {films/row["clock"]:7.2f} films/s by the clock, {used}', *([f'{row["megabytes"]:.0f} MB', f'memory last/first third {row["flat"]:.2f}' if row['flat'] else '', f'start {row["start"]:.1f} s'] if 'flat' in row else []), flush=True)
    return dict(way=name, films=films, **row)

def in_one_process(names, listed, env=None):
    "(name, row) of ways that need no workers, one after the other"
    child = subprocess.Popen([sys.executable, '-W', 'ignore', __file__, '--way', ';'.join(names), '--list', listed], env=env or environment(), cwd=tempfile.gettempdir(), stdout=subprocess.PIPE, text=True)
    for line in child.stdout:
        if line.startswith('{"way"'): yield (told := json.loads(line)).pop('way'), told
    child.wait()

def with_workers(name, folder, single, place):
    "A row of a way with processes of its own"
    workers, engine = SCREENS[name]
    start = screened(single, place.with_suffix('.one'), workers, engine)
    total = screened(folder, place, workers, engine)
    # one worker starts for one film; the others' starts cost their processors, not the clock. Ray's actors are nobody's children
    processor = None if engine=='ray' else total[1]-start[1]
    return dict(clock=total[0]-start[0], processor=processor, start=start[0], megabytes=max(total[2]), flat=flat(total[2]), memory=[round(m) for m in total[2]])

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
            if out: Path(out).write_text(json.dumps(dict(films=n, load=os.getloadavg(), cores=os.cpu_count(), rows=rows, **told), indent=1)+'\n')
    print(json.dumps(told, indent=1))

def summary(rows):
    "Ratios, where the time goes, and a million films on paper"
    by = {r['way']: r for r in rows}
    speed = {k: {c: r['films']/r[c] for c in ('clock', 'processor') if r[c]} for k, r in by.items()}
    pairs = [(HERE, CEILING), ('our networks on clean films', CEILING), ('our networks on clean films, fast', CEILING), ('ours, in one process, fast', CEILING), (HERE, BEFORE),
             ('ours, in one process, fast', BEFORE), (ALONE, BEFORE),
             ('ours, 2 workers', BEFORE), ('ours, 2 workers, fast', BEFORE), (HERE, ALONE), (HERE, 'a loop as of torchxrayvision, our networks'), ('ours, 2 workers', HERE),
             ('ours, 2 workers', 'ours, 1 worker'), ('ours, 2 workers, fast', 'ours, in one process, fast'), ('ours on Ray, 2 actors', 'ours, 2 workers')]
    ratios = {f'{a} ÷ {b}': {c: round(speed[a][c]/speed[b][c], 3) for c in speed[a] if c in speed[b]} for a, b in pairs if a in by and b in by}
    parts = {k: round(1e3*v, 2) for k, v in by[HERE]['steps'].items()} if HERE in by else {}
    return dict(ratios=ratios, milliseconds=parts, core_hours_for_a_million={k: round(1e6*r['processor']/r['films']/3600, 1) for k, r in by.items() if r['processor']})

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
    path.write_text(json.dumps(dict(ensemble_version=version, films=len(films), judged=int(here.normal.notna().sum()), measures=measures))+'\n')
    print(told, path.name)

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--films', type=int, default=200); p.add_argument('--ways', help='names of ways, separated by semicolons'); p.add_argument('--out', help='JSON')
    p.add_argument('--reference', action='store_true', help='make the distributions behind drift'); p.add_argument('--cache', help='folder for the hashes of films')
    p.add_argument('--before', type=lambda f: Path(f).resolve(), help='folder with an older deepcovidexplainer')
    p.add_argument('--way', help=argparse.SUPPRESS); p.add_argument('--list', help=argparse.SUPPRESS); p.add_argument('--screen', nargs=4, help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.screen: ours(a.screen[0], a.screen[1], int(a.screen[2]), a.screen[3])
    elif a.way:
        import torch; torch.set_num_threads(1)
        for name in a.way.split(';'):
            try: clock, processor, *more = WAYS[name](json.loads(Path(a.list).read_text()))
            except Exception as error: print(f'{name}: {error}'[-300:], file=sys.stderr, flush=True); continue
            print(json.dumps(dict(way=name, clock=clock, processor=processor, **(more[0] if more else {}))), flush=True)
    elif a.reference: make_reference(a.cache or tempfile.mkdtemp())
    else: main(a.films, a.ways and [w.strip() for w in a.ways.split(';')], a.out, a.before)
