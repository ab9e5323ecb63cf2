"""Coverage-guided damage for what Python reads itself: headers of films, tables, `ensemble.json` (needs `pip install atheris`)

    python -m benchmarks fuzz_guided --seconds 600 --seed 1
    python -m benchmarks fuzz_guided --case crash-0123…   # one input again, with its traceback

atheris watches which lines of this package, of pydicom's reader and of Pillow's TIFF and PNG plugins an input reaches, and keeps what
reaches new ones. The first byte of an input says what it is taken for: a film, a table, the card of an ensemble. Wrong is any exception but
`RadiographError`, more than 5 s (the instrumented code is slow) and 2 GB. It stops at the first fault, keeps the input as `crash-…` in this
folder and exits 77; without one it exits 0 and prints how many inputs were tried.
"""
import argparse, sys, tempfile, warnings
from pathlib import Path

KINDS = ('film', 'table', 'card')

def target(folder):
    "A function of bytes that raises what is wrong"
    import atheris
    ours = [f'deepcovidexplainer.{m}' for m in ('core', 'radiograph', 'sources', 'ensemble')]
    theirs = ['pydicom.filereader', 'pydicom.filebase', 'PIL.TiffImagePlugin', 'PIL.PngImagePlugin']
    with atheris.instrument_imports(include=[*ours, *theirs]):
        from deepcovidexplainer.core import RadiographError
        from deepcovidexplainer.ensemble import load_folder
        from deepcovidexplainer.radiograph import load_radiograph
        from deepcovidexplainer.sources import read_table
    def read(data):
        kind, b = KINDS[data[0]%len(KINDS)] if data else 'film', data[1:]
        try:
            if kind=='film': load_radiograph(b)
            elif kind=='table':
                (folder/'index.csv').write_bytes(b)
                read_table(folder/'index.csv')
            else:
                (folder/'ensemble.json').write_bytes(b)
                load_folder(folder)
        except RadiographError: pass
    return read

def corpus(folder):
    "Whole films, a table and a card to begin with, each behind the byte that says what it is"
    from deepcovidexplainer.core import package_file
    import fuzz_films
    seeds = [(0, b) for b in fuzz_films.seeds().values() if len(b)<100_000]
    seeds += [(1, b'film,label,patient,age\na.png,normal,007,062Y\nb.png,covid-19,7,\n')]
    seeds += [(2, package_file('weights', 'default', 'ensemble.json').read_bytes())]
    for i, (kind, b) in enumerate(seeds): (folder/f'{i:03d}').write_bytes(bytes([kind])+b)

def main(seconds, seed, case):
    try: import atheris
    except ImportError: sys.exit('atheris is not there: pip install atheris (Linux, Python 3.11 and newer)')
    warnings.simplefilter('ignore')
    work = Path(tempfile.mkdtemp(prefix='guided-'))
    (work/'corpus').mkdir()
    (work/'at').mkdir()
    for n in ('a.png', 'b.png'): (work/'at'/n).write_bytes(b'film')
    read = target(work/'at')
    if case: return read(case.read_bytes())
    corpus(work/'corpus')
    limits = [f'-max_total_time={seconds:.0f}', f'-seed={seed}', '-timeout=5', '-rss_limit_mb=2048', '-max_len=100000']
    atheris.Setup([sys.argv[0], *limits, '-print_final_stats=1', '-verbosity=0', str(work/'corpus')], read)
    atheris.Fuzz()

if __name__=='__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--seconds', type=float, default=60)
    p.add_argument('--seed', type=int, default=1)
    p.add_argument('--case', type=Path)
    main(**vars(p.parse_args()))
