"""Does a damaged film end in a film or in a `RadiographError`, and never in anything else?

    python benchmarks/fuzz_films.py --seed 1 --seconds 300            # counts, and every case that went wrong
    python benchmarks/fuzz_films.py --seed 1 --case 4711 --save FILE  # one case once more, its bytes kept

Films of every kind that can be read are changed in a few places (bytes, blocks, cuts, repetitions; in files of DICOM mostly inside the
compressed frame) and read in forked children, so that a decoder that ends its process is counted and does not end the search. A case
depends on its number and the seed alone. Nothing is written but what `--save` names. Exits 1 where something went wrong: an exception of
another kind, a process that ended, more than `--slow` seconds for one film.
"""
import argparse, collections, io, os, select, sys, tempfile, time, warnings
from pathlib import Path

import numpy as np, pydicom
from PIL import Image
from pydicom import Dataset, FileMetaDataset, dcmread, dcmwrite
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian

from deepcovidexplainer import RadiographError, load_radiograph, radiograph, sample_radiograph

UID, BATCH, HANGS = '1.2.840.10008.1.2', 400, 30 # Cases of one child; seconds after which it is ended

def picture(a, fmt, **kw):
    out = io.BytesIO()
    Image.fromarray(a).save(out, fmt, **kw)
    return out.getvalue()

def dicom(a, syntax='', frame=None, **compression):
    "A film as the bytes of a DICOM file, compressed by pydicom or holding a compressed frame"
    bits, ds = 8*a.dtype.itemsize, Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = '1.2.840.10008.5.1.4.1.1.1', '2.25.1', 'CR'
    ds.Rows, ds.Columns, ds.SamplesPerPixel = *a.shape[:2], 3 if a.ndim==3 else 1
    if a.ndim==3: ds.PlanarConfiguration = 0
    ds.PhotometricInterpretation = 'RGB' if a.ndim==3 else 'MONOCHROME2'
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits, bits, bits-1, 0
    ds.PixelData = a.tobytes()
    ds['PixelData'].VR = 'OW' if bits>8 else 'OB'
    if frame:
        ds.PixelData = encapsulate([frame])
        ds['PixelData'].is_undefined_length = True
        ds['PixelData'].VR = 'OB'
    packed = syntax and not frame and compression is not None and syntax.startswith(('.4', '.5'))
    if packed: ds.compress(UID+syntax, generate_instance_uid=False, **compression)
    if syntax: ds.file_meta.TransferSyntaxUID = UID+syntax
    out = io.BytesIO()
    dcmwrite(out, ds, enforce_file_format=True)
    return out.getvalue()

def lossless(b):
    "A DICOM file compressed by GDCM as lossless JPEG, which pydicom cannot write"
    import gdcm
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder)/'film.dcm')
        Path(path).write_bytes(b)
        reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
        reader.SetFileName(path)
        reader.Read()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
        change.SetInput(reader.GetImage())
        change.Change()
        writer.SetFileName(path)
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        writer.Write()
        return Path(path).read_bytes()

def seeds():
    "Whole films by name"
    a = np.round(sample_radiograph('covid-19').resized(160).data*255).astype(np.uint8)
    rgb, deep = np.stack([a]*3, -1), a.astype(np.uint16)*257
    found = {
        'PNG':picture(a, 'PNG'),
        'PNG 16':picture(deep, 'PNG'),
        'JPEG':picture(a, 'JPEG'),
        'JPEG RGB':picture(rgb, 'JPEG'),
        'JPEG progressive':picture(a, 'JPEG', progressive=True),
        'WebP':picture(rgb, 'WEBP'),
        'TIFF':picture(a, 'TIFF'),
        'TIFF LZW':picture(a, 'TIFF', compression='tiff_lzw'),
        'DICOM':dicom(deep),
        'DICOM deflated':dicom(deep, '.1.99')}
    found['DICOM JPEG lossless'] = lossless(dicom(deep))
    found |= {
        'DICOM RLE':dicom(deep, '.5'),
        'DICOM JPEG-LS':dicom(deep, '.4.80'),
        'DICOM JPEG-LS lossy':dicom(a, '.4.81', jls_error=3),
        'DICOM JPEG 2000':dicom(deep, '.4.90'),
        'DICOM JPEG':dicom(a, '.4.50', picture(a, 'JPEG')),
        'DICOM JPEG RGB':dicom(rgb, '.4.50', picture(rgb, 'JPEG')),
        'DICOM JP2':dicom(a, '.4.90', picture(a, 'JPEG2000'))}
    theirs = Path(pydicom.__file__).parent/'data'/'test_files'
    for p in sorted(theirs.rglob('*.dcm')): # the 12-bit and lossy frames of pydicom's own tests, and what else is small
        if p.stat().st_size>300_000: continue
        try:
            ds = dcmread(p)
            if not ds.file_meta.TransferSyntaxUID.is_compressed or 'PixelData' not in ds: continue
            ds.Modality, ds.SOPClassUID = 'CR', '1.2.840.10008.5.1.4.1.1.1'
            out = io.BytesIO()
            dcmwrite(out, ds)
            load_radiograph(out.getvalue())
        except Exception: continue
        found[f'pydicom {p.stem}'] = out.getvalue()
    return found

def damaged(b, rng):
    "The bytes of a film with one to five places changed"
    b, first = bytearray(b), 0
    if b[128:132]==b'DICM' and rng.random()<.8: first = max(b.find(b'\xe0\x7f\x10\x00'), 0)+12 # the frame alone
    for _ in range(rng.integers(1, 6)):
        span = len(b)-first if rng.random()<.5 else min(len(b)-first, 700) # headers of frames are short
        at, n = first+int(rng.integers(max(span, 1))), int(rng.integers(1, 40))
        kind = rng.integers(7)
        if kind<3: b[at:at+1] = rng.bytes(1)
        elif kind==3: b[at:at+n] = bytes(n)
        elif kind==4: b[at:at+n] = rng.bytes(n)
        elif kind==5: b[at:at] = b[at:at+n]
        elif rng.random()<.3: del b[at:]
        else: del b[at:at+n]
    return bytes(b)

def case(films, seed, i):
    rng = np.random.default_rng([seed, i])
    name = list(films)[rng.integers(len(films))]
    return name, damaged(films[name], rng)

def outcome(b):
    "`film`, `refused` or what else came, and how long it took"
    began = time.monotonic()
    try:
        load_radiograph(b)
        said = 'film'
    except RadiographError: said = 'refused'
    except Exception as e: said = type(e).__name__
    return said, time.monotonic()-began

def batch(films, seed, first):
    "Outcomes of the cases from `first` on, read in a child, up to the one that ended it"
    r, w = os.pipe()
    pid = os.fork()
    if not pid:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        warnings.simplefilter('ignore')
        radiograph._start_child() # its start is not what is measured
        with os.fdopen(w, 'w') as out:
            for i in range(first, first+BATCH):
                said, took = outcome(case(films, seed, i)[1])
                out.write(f'{said} {took}\n')
                out.flush()
        radiograph._stop_child()
        os._exit(0)
    os.close(w)
    found, left = [], b''
    while len(found)<BATCH:
        ready, _, _ = select.select([r], [], [], HANGS)
        part = os.read(r, 65536) if ready else b''
        if not part:
            found.append(('killed' if ready else 'hung', float(HANGS if not ready else 0)))
            os.kill(pid, 9)
            break
        *lines, left = (left+part).split(b'\n')
        found += [(s, float(t)) for s, t in (l.decode().split() for l in lines)]
    os.close(r)
    os.waitpid(pid, 0)
    return found

def main(seed, seconds, slow, only, case_=None, save=None):
    films = {k:v for k, v in seeds().items() if only in k}
    if case_ is not None:
        name, b = case(films, seed, case_)
        print(name, len(b), 'bytes', flush=True)
        if save: save.write_bytes(b)
        return print(*outcome(b))
    print(len(films), 'films:', ', '.join(films))
    counts, i, began, wrong, worst = collections.Counter(), 0, time.monotonic(), 0, 0
    while time.monotonic()-began<seconds:
        for said, took in batch(films, seed, i):
            counts[said] += 1
            worst = max(worst, took)
            bad = said not in ('film', 'refused') or took>slow
            if bad: print(f'case {i} ({case(films, seed, i)[0]}): {said}, {took:.1f} s', flush=True)
            wrong += bad
            i += 1
    print(f'{i} cases: {dict(counts)}; the longest took {worst:.1f} s; {wrong} wrong')
    sys.exit(wrong>0)

if __name__=='__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--seed', type=int, default=1)
    p.add_argument('--seconds', type=float, default=60)
    p.add_argument('--slow', type=float, default=3.)
    p.add_argument('--only', default='', help='films whose name holds this')
    p.add_argument('--case', type=int, dest='case_')
    p.add_argument('--save', type=Path)
    main(**vars(p.parse_args()))
