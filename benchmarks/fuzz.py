"""Every door, knocked at with damaged things: `RadiographError` or right, and nothing half-written

    python -m benchmarks fuzz                          # a minute, all doors
    python -m benchmarks fuzz --seconds 3600 --seed 7
    python -m benchmarks fuzz --door ensemble --seed 7 --case 123   # one case again, with its traceback
    python -m benchmarks fuzz --seconds 600 --seed 8 --keep         # counts are added to results/fuzz.json
    python -m benchmarks fuzz_guided --seconds 600                  # guided by what the inputs reach (atheris)

Doors: `films` (`fuzz_films.py`: files of every kind, read), `tables` (CSV indexes and class folders, by Hypothesis), `ensemble`
(`ensemble.json`, cards and weights: edited, cut, swapped, with huge headers, of another member), `answers` (the index of a folder of
answers, read back), `node` (objects sent to the DICOM node, from its intake to its answer), `app` (uploads, from the field to the words).
The page *What we were tried with* shows `results/fuzz.json`. Only films that ship with the package and with pydicom are needed. A case
depends on the door, the seed and its number alone. Cases run in forked children, so that a process that ends is counted. Wrong is: an
exception of another kind, an answer that is none, a file left half written, a process that ended or hung, more than 2 s of the processor
(or 10 s of the clock, on a busy machine; twice in a row) or 600 MB for one case. Exits 1 where something was wrong.
"""
import argparse, collections, copy, io, json, os, resource, select, shutil, struct, sys, tempfile, time
import traceback, warnings
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from hypothesis import HealthCheck, given, seed as seeded, settings, strategies as st

from deepcovidexplainer import radiograph
from deepcovidexplainer.core import CLASSES, RadiographError, package_file, write_json
import fuzz_films

SLOW, MEMORY, HANGS, BATCH = 2., 600e6, 60, 100 # Seconds and bytes a case; seconds until a child is ended; cases of a child
SAMPLES = ('normal.dcm', 'normal-2.png', 'child.jpg')

class Wrong(Exception):
    "An answer that is none"

def must(true, what):
    if not true: raise Wrong(what)

def sample(name): return package_file('samples', name).read_bytes()

# --- damage ---

VALUES = (None, True, False, 0, -1, 1, .5, -1., 1e308, 10**30, float('nan'), float('inf'),
          '', 'x', '../../etc/passwd', '=1+1', '<script>', '\ud800', 'a'*300,
          [], [1], [[]], {}, {'a':1}, ['normal'], 'lungs-0', '0'*64, 2**63)

def places(d, path=()):
    "Every place in a JSON value"
    inside = d.items() if isinstance(d, dict) else enumerate(d) if isinstance(d, list) else ()
    for k, v in inside: yield from ((*path, k), *places(v, (*path, k)))

def edited(d, rng):
    "A JSON value with one to three places changed, removed, doubled or swapped"
    d = json.loads(json.dumps(d))
    for _ in range(rng.integers(1, 4)):
        found = list(places(d))
        if not found: return d
        shallow = [p for p in found if len(p)<3] if rng.random()<.7 else found
        *way, last = (shallow or found)[rng.integers(len(shallow or found))]
        at = d
        for k in way: at = at[k]
        what = rng.integers(4)
        if what<2: at[last] = copy.deepcopy(VALUES[rng.integers(len(VALUES))])
        elif what==2: del at[last]
        elif isinstance(at, dict): at[VALUES[15+rng.integers(3)]] = copy.deepcopy(at[last])
        else: at.append(copy.deepcopy(at[last]))
    return d

def written(d): return json.dumps(d).encode('utf-8', 'surrogatepass')

def nested(rng): return b'['*int(rng.integers(1, 100_000))

def broken(b, rng):
    "Bytes with a few places changed"
    return fuzz_films.damaged(b, rng)

# --- doors: each gives a function of (random generator, folder) that raises what is wrong and says what came ---

def films():
    known = fuzz_films.seeds()
    from deepcovidexplainer.radiograph import load_radiograph
    def knock(rng, folder): load_radiograph(broken(list(known.values())[rng.integers(len(known))], rng))
    return knock

CELLS = ('a.png', 'b.png', 'sub/c.png', '../a.png', '/etc/passwd', 'normal', 'pneumonia', 'covid-19', 'COVID 19',
         'No findings', 'unlabelled', 'NA', '007', '062Y', '<30', '-5', '1e400', 'nan', '', ' ', 'true', '=1+1',
         'M', 'AP')
CELL = st.one_of(st.sampled_from(CELLS), st.text(max_size=12), st.integers().map(str), st.floats().map(str))
HEADS = ('film', 'label', 'patient', 'source', 'view', 'age', 'sex', 'child', 'reserved', 'group', 'index')
COLUMN = st.one_of(st.sampled_from(HEADS), st.text(max_size=8))
FINE = st.tuples(st.sampled_from(['a.png', 'sub/c.png']), st.sampled_from(CLASSES)) # A film that is there, and its class
LINE_END, SEPARATOR = st.sampled_from(['\n', '\r\n', '\r', '\n\n']), st.sampled_from([',', ',', ',', ';', '\t'])
ENCODING = st.sampled_from(['utf-8', 'utf-8', 'utf-8', 'utf-8-sig', 'latin-1', 'utf-16'])

@st.composite
def csv_files(draw):
    "Bytes that somebody may call a table"
    if draw(st.integers(0, 9))==0: return draw(st.binary(max_size=300))
    if draw(st.integers(0, 4)): head = ['film', 'label', *draw(st.lists(COLUMN, max_size=5))]
    else: head = draw(st.lists(COLUMN, max_size=6))
    rows = draw(st.lists(st.lists(CELL, min_size=len(head), max_size=len(head)+draw(st.integers(0, 1))), max_size=6))
    rows += [[*c, *[''][:max(0, len(head)-2)]][:len(head)] for c in draw(st.lists(FINE, max_size=4))]
    quote = draw(st.booleans())
    def cell(c): return '"'+c.replace('"', '""')+'"' if quote else c
    sep, end = draw(SEPARATOR), draw(LINE_END)
    text = end.join(sep.join(map(cell, r)) for r in [head, *rows])+end*draw(st.integers(0, 1))
    return text.encode(draw(ENCODING), 'replace')

FOLDERS = ('normal', 'pneumonia', 'covid-19', 'Covid19', 'NORMAL', 'other', '.hidden', '__pycache__', 'a\nb',
           '\u202egnp', 'n'*255)
LETTERS = st.characters(blacklist_characters='/\0', blacklist_categories=('Cs',))
ANY_NAME = st.text(LETTERS, min_size=1, max_size=20).filter(lambda n: n not in ('.', '..'))
NAME = st.one_of(st.sampled_from(FOLDERS), ANY_NAME)
KIND = st.sampled_from(['film', 'film', 'folder', 'empty', 'link', 'loop', 'fifo', 'dead'])

@st.composite
def class_folders(draw):
    "(folder, name, kind) of what lies in a folder of classes"
    return draw(st.lists(st.tuples(NAME, NAME, KIND), max_size=8))

def lay(folder, entries, png):
    "Make them, as far as the file system lets one"
    for i, (part, name, kind) in enumerate(entries):
        try:
            home = folder/part
            home.mkdir(exist_ok=True)
            path = home/(name+'.png' if i%2 else name)
            if kind=='film': path.write_bytes(png)
            elif kind=='folder': path.mkdir()
            elif kind=='empty': path.touch()
            elif kind=='link': path.symlink_to(folder/'a.png')
            elif kind=='loop': path.symlink_to(folder, target_is_directory=True)
            elif kind=='fifo': os.mkfifo(path)
            else: path.symlink_to(folder/'nothing')
        except OSError: pass

def named(label, classes):
    from deepcovidexplainer.sources import OTHER
    return isinstance(label, str) and label.strip()!='' and (not classes or label in (*classes, OTHER, 'unlabelled'))

def check_table(t, root, classes):
    from deepcovidexplainer.sources import COLUMNS
    must(list(t.columns)==list(COLUMNS), 'columns')
    must(len(t)>0, 'no rows')
    must(all(named(l, classes) for l in t.label), f'labels {list(t.label)}')
    must(all((root/f).is_file() for f in t.film), 'a film that is not there')
    must(t.age.map(lambda a: a!=a or 0<=a<=150).all(), f'ages {list(t.age)}')
    must(all(isinstance(p, str) and p.strip() for p in t.patient), 'a film without a patient')

ASKED = settings(max_examples=8, database=None, deadline=None, suppress_health_check=list(HealthCheck),
                 phases=settings.default.phases[:3])

def tables():
    from deepcovidexplainer.sources import read_table
    png = sample('normal-2.png')
    def read(path, root):
        for classes in (CLASSES, None): # these classes, or whatever the table says
            try:
                check_table(read_table(path, False, classes), root, classes)
                said.append('table')
            except RadiographError: said.append('refused')
    said = []
    def knock(rng, folder):
        number = int(rng.integers(2**31))
        said.clear()
        @seeded(number)
        @ASKED
        @given(csv_files(), class_folders())
        def ask(table, entries):
            shutil.rmtree(folder)
            (folder/'csv'/'sub').mkdir(parents=True)
            (folder/'classes').mkdir()
            for f in ('csv/a.png', 'csv/b.png', 'csv/sub/c.png', 'classes/a.png'): (folder/f).write_bytes(png[:100])
            (folder/'csv'/'index.csv').write_bytes(table)
            read(folder/'csv'/'index.csv', folder/'csv')
            lay(folder/'classes', entries, png[:100])
            read(folder/'classes', folder/'classes')
        ask()
        return collections.Counter(said)
    return knock

def one_member(folder):
    "The default ensemble's first two members, one of them in use: quick to load"
    home = package_file('weights', 'default')
    for n in ('lungs-0', 'lungs-1'):
        for end in ('json', 'safetensors'): shutil.copy(home/f'{n}.{end}', folder)
    shutil.copy(home/'typicality.safetensors', folder)
    card = json.loads((home/'ensemble.json').read_text())
    (folder/'ensemble.json').write_text(json.dumps(card | dict(members=['lungs-0'])))
    return folder

def length(b): return struct.unpack('<Q', b[:8])[0]

def header_of(b): return json.loads(b[8:8+length(b)])

def with_header(b, header, size=None):
    "Safetensors with another header, or one that lies about its length"
    text = written(header)
    return struct.pack('<Q', len(text) if size is None else size)+text+b[8+length(b):]

def other_weights(b, rng):
    kind = rng.integers(6)
    if kind==0: return b[:int(rng.integers(len(b)))]
    if kind==1: return with_header(b, header_of(b), int(2**rng.integers(1, 64)-1))
    if kind==2: return with_header(b, edited(header_of(b), rng))
    if kind==3:
        empty = dict(dtype='F32', shape=[0], data_offsets=[0, 0])
        return with_header(b, header_of(b) | {f'x{i}':empty for i in range(int(rng.integers(1, 20_000)))})
    if kind==4: return b[:8+length(b)]+rng.bytes(int(rng.integers(1, 2000)))+b[8+length(b)+2000:]
    return broken(b, rng)

def put(path, b):
    "A new file in the place of a hard link: no other case may see the change"
    path.unlink(missing_ok=True)
    path.write_bytes(b)

SPOILT = ('ensemble.json', 'ensemble.json', 'lungs-0.json', 'lungs-0.json', 'lungs-0.safetensors',
          'typicality.safetensors')

def others(which):
    "The file of another kind or of another member that is put in a file's place"
    return which.replace('lungs-0', 'lungs-1').replace('typicality', 'lungs-1')

def spoil(folder, rng):
    """Change one file of an ensemble

    Half the time its card is made to fit, so that what lies behind the checksum is reached."""
    which = SPOILT[rng.integers(6)]
    path = folder/which
    b = path.read_bytes()
    kind = rng.integers(10)
    if kind==0:
        path.unlink()
        return which
    if kind==1: b = nested(rng)
    elif kind==2 and which!='ensemble.json': b = (folder/others(which)).read_bytes()
    elif which.endswith('.json') and kind<9: b = written(edited(json.loads(b), rng))
    elif which.endswith('.json'): b = broken(b, rng)
    else: b = other_weights(b, rng)
    if which.endswith('.json') and rng.random()<.5: b = resigned(b)
    put(path, b)
    if which.endswith('.safetensors') and rng.random()<.8: sign(folder, which, sha256(b).hexdigest())
    return which

def resigned(b):
    "A card whose fingerprint fits the preprocessing that somebody wrote into it"
    from deepcovidexplainer.core import fingerprint
    try:
        d = json.loads(b)
        d['preprocess_fingerprint'] = fingerprint(d['preprocess'])
    except Exception: return b
    return written(d)

def sign(folder, which, hexa):
    card = folder/('ensemble.json' if which.startswith('typicality') else which.replace('safetensors', 'json'))
    d = json.loads(card.read_text())
    if which.startswith('typicality'): d['typicality']['sha256'] = hexa
    else: d['sha256'] = hexa
    put(card, written(d))

def check_prediction(p):
    q = np.asarray(p.posteriors, float)
    sound = np.isfinite(q).all() and abs(q.sum()-1)<1e-6 and (q>=0).all()
    must(q.shape==(len(p.classes),) and sound, f'posteriors {q}')
    must(set(p.prediction_set)<=set(p.classes), 'prediction set')
    json.dumps(p.to_dict())

def ensemble():
    from deepcovidexplainer.ensemble import load_folder
    from deepcovidexplainer.radiograph import load_radiograph
    from deepcovidexplainer.pipeline import predict_and_explain
    whole, film = one_member(Path(tempfile.mkdtemp())), load_radiograph(sample('normal-2.png')).resized(128)
    def knock(rng, folder):
        for f in whole.iterdir(): os.link(f, folder/f.name)
        names = {f.name for f in whole.iterdir()}
        spoil(folder, rng)
        loaded = load_folder(folder)
        e = predict_and_explain(film, loaded, methods=())
        check_prediction(e.prediction)
        must(e.sentences and repr(e), 'no words')
        must({f.name for f in folder.iterdir()}<=names, 'something was written')
    knock.clean = whole
    return knock

def answers():
    from deepcovidexplainer.report import folder_index, index_row, index_rows
    refused = RadiographError('x is empty')
    films = ('a.png', 'b/ü.png', '=1+1.png')
    rows = [dict(index_row(refused, dict(film=f)), asked='0', sha256='0'*64) for f in films]
    rows[0] |= dict(report='a.html', answer='COVID-19', probability=.9, posteriors=dict(zip(CLASSES, (.05, .05, .9))),
                    warnings=['w'], thumbnail='data:image/jpeg;base64,', time='2026-11-27T10:00:00+00:00')
    def knock(rng, folder):
        kind = rng.integers(10)
        b = nested(rng) if kind==0 else broken(written(rows), rng) if kind<3 else written(edited(rows, rng))
        (folder/'index.json').write_bytes(b)
        try:
            read = index_rows(folder)
            folder_index([dict(rows[1], answer='new')], folder)
        except RadiographError:
            must((folder/'index.json').read_bytes()==b and len(list(folder.iterdir()))==1, 'a foreign file was changed')
            raise
        must(all(isinstance(r, dict) and isinstance(r['film'], str) for r in read), 'rows that are none')
        must({f.name for f in folder.iterdir()}=={'index.json', 'index.csv', 'index.html'}, 'half-written files')
        page = (folder/'index.html').read_text(encoding='utf-8')
        body = page.split('</head>')[-1].replace('<script></script>', '')
        must('<script>' not in body or '<script>' in template_of_index(), 'markup in the page')
        must(index_rows(folder)==json.loads((folder/'index.json').read_text(encoding='utf-8')), 'not what was written')
    return knock

def template_of_index(): return package_file('templates', 'index.html.j2').read_text(encoding='utf-8')

def dicom_seeds():
    known = fuzz_films.seeds()
    return {k:v for k, v in known.items() if k.startswith(('DICOM', 'pydicom'))} | {'sample':sample('normal.dcm')}

def quick():
    "An ensemble of one member, and how a film is explained with it"
    from deepcovidexplainer.ensemble import load_folder
    from deepcovidexplainer.pipeline import predict_and_explain
    folder = Path(tempfile.mkdtemp())
    loaded = load_folder(one_member(folder))
    shutil.rmtree(folder)
    return loaded, lambda film: predict_and_explain(film, loaded, methods=(), max_side=256)

def node():
    import logging
    from pydicom import dcmread, dcmwrite
    from deepcovidexplainer.node import Node
    for name in ('deepcovidexplainer.node', 'pydicom', 'pynetdicom', 'highdicom'):
        logging.getLogger(name).setLevel(logging.CRITICAL+1)
    known, (_, explain) = dicom_seeds(), quick()
    requestor = SimpleNamespace(ae_title='PACS', implementation_class_uid='1.2.3')
    def changed(b, rng):
        if rng.random()<.5: return broken(b, rng)
        ds = dcmread(io.BytesIO(b), force=True)
        tags = [t for t in ds.keys() if t!=0x7fe00010]
        for _ in range(rng.integers(1, 4)):
            tag = tags[rng.integers(len(tags))]
            try: ds[tag].value = ('', 'x'*70, -1, [1, 2], '../../x', 'a\\b', None)[rng.integers(7)]
            except Exception: ds.pop(tag, None)
        out = io.BytesIO()
        try: dcmwrite(out, ds)
        except Exception: return broken(b, rng)
        return out.getvalue()
    def knock(rng, folder):
        b = changed(list(known.values())[rng.integers(len(known))], rng)
        n = Node(folder/'in', 'DCE', ('PACS',), None, ('sr',), explain, False, (5., 300.))
        came = SimpleNamespace(encoded_dataset=lambda: b, assoc=SimpleNamespace(requestor=requestor))
        status = n._on_store(came).Status
        must(status in (0, 0xA700, 0xA900, 0xC000, 0x0124), f'status {status:04x}')
        waiting = n.inbox.waiting()
        must(len(waiting)==(status==0), 'taken and not kept, or kept and not taken')
        for key in waiting:
            n._explain_one(key)
            if n.inbox.has(key, 'failed'):
                why = n.inbox.read(key, 'failed')['why']
                must(not why.startswith('an unforeseen'), why)
                raise RadiographError(why)
            must(n.inbox.has(key, 'answer'), 'neither explained nor given up')
            n._deliver(key)
            must(n.inbox.has(key, 'done'), 'not done')
        must(not list((folder/'in').glob('*.part')), 'half-written files')
        if status: raise RadiographError(f'status {status:04x}')
    return knock

NAMES = ('film.png', '', '<script>alert(1)</script>', '../../x.png', 'a\nb', '\u202egnp.mlif', '\ud800.png', 'n'*300,
         '=1+1', '{name}', '%s', '\x1b[31m', '.')

def app():
    from deepcovidexplainer.app import App
    known, (loaded, _) = fuzz_films.seeds() | {n:sample(n) for n in SAMPLES}, quick()
    pages = []
    def knock(rng, folder):
        if not pages: pages.append(App(loaded, (), .5, None)) # its thread would not survive a fork
        page = pages[0]
        b = list(known.values())[rng.integers(len(known))]
        b = broken(b, rng) if rng.random()<.9 else b+bytes(600_000*int(rng.integers(2)))
        before = len(page.films)
        name = NAMES[rng.integers(len(NAMES))] if rng.random()<.5 else 'film.png'
        page._uploaded(dict(new=[dict(name=name, content=memoryview(b))]))
        page.wait()
        told = page.refused.value
        must('Something went wrong' not in told, told)
        must('<script' not in told+page.words.value+page.status.value, 'markup')
        must((len(page.films)>before)!=bool(told), 'neither answered nor refused, or both')
        if told: raise RadiographError(told)
        check_prediction(page.films[-1].answer.prediction)
        page.films[-1].source = b''
    return knock

DOORS = dict(films=films, tables=tables, ensemble=ensemble, answers=answers, node=node, app=app)

# --- knocking ---

def once(knock, door, seed, i, loud=False):
    """What came of one case, how many seconds it took

    Of this process, or a fifth of the clock's where others wait for the machine, too."""
    folder = Path(tempfile.mkdtemp(prefix='fuzz-'))
    began, own = time.monotonic(), time.process_time()
    try: said = knock(np.random.default_rng([list(DOORS).index(door), seed, i]), folder) or {'right':1}
    except RadiographError as e:
        said = {'refused':1}
        loud and print(e)
    except BaseException as e: # what ends a process counts, too
        if loud: traceback.print_exc()
        where = traceback.extract_tb(e.__traceback__)[-1]
        said = {f'wrong: {type(e).__name__} {str(e)[:90]!r} in {Path(where.filename).name}:{where.lineno}':1}
    finally:
        took = max(time.process_time()-own, (time.monotonic()-began)/5)
        shutil.rmtree(folder, ignore_errors=True)
    return dict(said), took

def batch(knock, door, seed, first, until):
    "(case, what came) of the cases from `first` on, in a child, up to the one that ended it"
    r, w = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        warnings.simplefilter('ignore')
        os.close(r)
        def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss*1024
        with os.fdopen(w, 'w') as out:
            for i in range(first, first+BATCH):
                before = peak()
                said, took = once(knock, door, seed, i)
                if took>SLOW:
                    again = once(knock, door, seed, i)[1]
                    if again>SLOW: said = {f'wrong: {min(took, again):.1f} s':1}
                if i>first and peak()-before>MEMORY: said = {f'wrong: {(peak()-before)/1e6:.0f} MB':1}
                out.write(json.dumps([i, said])+'\n')
                out.flush()
                if time.monotonic()>until: break
        radiograph._stop_child()
        os._exit(0)
    os.close(w)
    left, at = b'', first
    while True:
        ready, _, _ = select.select([r], [], [], HANGS)
        part = os.read(r, 65536) if ready else b''
        if not part: break
        *lines, left = (left+part).split(b'\n')
        for l in lines:
            at, said = json.loads(l)
            at += 1
            yield at-1, said
    if not ready: os.kill(pid, 9)
    os.close(r)
    status = os.waitpid(pid, 0)[1]
    if not ready or status: yield at, {f'wrong: {"hung" if not ready else f"ended by {status}"}':1}

def fuzz(door, seed, seconds):
    "Counts of a door, and its wrong cases"
    knock = DOORS[door]()
    counts, bad, i, until = collections.Counter(), [], 0, time.monotonic()+seconds
    while time.monotonic()<until:
        for i, said in batch(knock, door, seed, i, until):
            counts.update({k.partition(':')[0]:v for k, v in said.items()})
            wrong = [k for k in said if k.startswith('wrong')]
            if wrong:
                bad.append(i)
                print(f'{door} {i}: {wrong[0]}', flush=True)
        i += 1
    if hasattr(knock, 'clean'): shutil.rmtree(knock.clean)
    return i, dict(counts), bad

def kept(door, seed, n, counts, bad):
    "Counts added to those of other seeds"
    path = package_file().parent/'nbs'/'results'/'fuzz.json'
    rows = json.loads(path.read_text()) if path.is_file() else {}
    old = rows.get(door, dict(seeds=[], cases=0, counts={}, wrong=0))
    if seed in old['seeds']: return
    both = collections.Counter(old['counts'])+collections.Counter(counts)
    cases, wrong = old['cases']+n, old['wrong']+len(bad)
    write_json(path, rows | {door:dict(seeds=[*old['seeds'], seed], cases=cases, counts=dict(both), wrong=wrong)})

def main(seconds, seed, door, case=None, keep=False):
    import torch
    torch.set_num_threads(1)
    warnings.simplefilter('ignore')
    if case is not None: return print(*once(DOORS[door](), door, seed, case, True))
    doors, wrong, rows = [door] if door else list(DOORS), 0, []
    for d in doors:
        n, counts, bad = fuzz(d, seed, seconds/len(doors))
        wrong += len(bad)
        if keep: kept(d, seed, n, counts, bad)
        rows.append(f'{d:9} seed {seed}: {n:6} cases, '+', '.join(f'{v} {k}' for k, v in sorted(counts.items())))
        print(rows[-1], flush=True)
    print(f'{len(doors)} doors, {wrong} cases wrong')
    sys.exit(wrong>0)

if __name__=='__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--seconds', type=float, default=60, help='for all doors together')
    p.add_argument('--seed', type=int, default=1)
    p.add_argument('--keep', action='store_true', help='add the counts to results/fuzz.json')
    p.add_argument('--door', choices=DOORS)
    p.add_argument('--case', type=int, help='one case of a door once more')
    main(**vars(p.parse_args()))
