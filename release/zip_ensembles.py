"""The archives that a release carries beside the wheel: ensembles, and the tables behind the pages; the same to the byte wherever made.

    python release/zip_ensembles.py dist            # writes dist/NAME.zip and prints NAME and its SHA-256
    python release/zip_ensembles.py --check         # fails when a checksum in 19_zoo or 09_download is not that of its folder
    python release/zip_ensembles.py --results       # writes that of the tables into 09_download, after a benchmark
"""
import hashlib, io, re, sys, zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent/'ensembles'
ROOT = HERE.parents[1]
RESULTS = ROOT/'nbs'/'results'

def archive(folder):
    "Bytes of a .zip with the folder's files at its top level, stored as they are, without times"
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w', zipfile.ZIP_STORED) as z:
        for f in sorted(folder.iterdir()): z.writestr(zipfile.ZipInfo(f.name), f.read_bytes())
    return out.getvalue()

def checksums(): return {f.name:hashlib.sha256(archive(f)).hexdigest() for f in sorted(HERE.iterdir()) if f.is_dir()}

def sha256_of_results(): return hashlib.sha256(archive(RESULTS)).hexdigest()

def note_results():
    "Write the checksum of the tables into the notebook and its module"
    line = f"RESULTS_SHA256 = '{sha256_of_results()}'"
    for path in (ROOT/'nbs'/'09_download.ipynb', ROOT/'deepcovidexplainer'/'download.py'):
        text = path.read_text(encoding='utf-8')
        path.write_text(re.sub("RESULTS_SHA256 = '[0-9a-f]*'", line, text), encoding='utf-8')

def main(where):
    if where=='--results': return note_results()
    found = checksums()
    if where=='--check':
        from deepcovidexplainer.zoo import RELEASED
        from deepcovidexplainer.download import RESULTS_SHA256
        if found!=RELEASED: sys.exit(f'zoo.RELEASED says {RELEASED}, the folders give {found}')
        if sha256_of_results()!=RESULTS_SHA256:
            sys.exit('nbs/results changed: python release/zip_ensembles.py --results')
        print(f'{len(found)+1} archives are what the package asks for')
        return
    out = Path(where)
    out.mkdir(parents=True, exist_ok=True)
    for name, sha256 in found.items():
        (out/f'{name}.zip').write_bytes(archive(HERE/name))
        print(name, sha256)
    (out/'results.zip').write_bytes(archive(RESULTS))
    print('results', sha256_of_results())

if __name__ == '__main__': main(sys.argv[1])
