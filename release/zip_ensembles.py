"""The archives that a release carries beside the wheel: one a folder of release/ensembles, the same to the byte wherever it is made.

    python release/zip_ensembles.py dist            # writes dist/NAME.zip and prints NAME and its SHA-256
    python release/zip_ensembles.py --check         # fails when a checksum in 19_zoo is not that of its folder
"""
import hashlib, io, sys, zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent/'ensembles'

def archive(folder):
    "Bytes of a .zip with the folder's files at its top level, stored as they are, without times"
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w', zipfile.ZIP_STORED) as z:
        for f in sorted(folder.iterdir()): z.writestr(zipfile.ZipInfo(f.name), f.read_bytes())
    return out.getvalue()

def checksums(): return {f.name:hashlib.sha256(archive(f)).hexdigest() for f in sorted(HERE.iterdir()) if f.is_dir()}

def main(where):
    found = checksums()
    if where=='--check':
        from deepcovidexplainer.zoo import RELEASED
        if found!=RELEASED: sys.exit(f'zoo.RELEASED says {RELEASED}, the folders give {found}')
        print(f'{len(found)} archives are what the package asks for')
        return
    out = Path(where)
    out.mkdir(parents=True, exist_ok=True)
    for name, sha256 in found.items():
        (out/f'{name}.zip').write_bytes(archive(HERE/name))
        print(name, sha256)

if __name__ == '__main__': main(sys.argv[1])
