"""How often does the guard refuse what is not for it: mirrored, lateral, children's and photographed films, and what of tuberculosis?

    DCE_DATA=folder/with/the/collections python -m benchmarks guard_rates --work runs --ct folder/with/volumes

Up to 150 films of each kind. `as they came`: adults of all collections, no more from one than from another; the same flipped, photographed
from a screen in colour, and photographed in grey. Children from Kermany's collection, tuberculosis from Shenzhen and Montgomery. Views from
the front and from the side are made from CT (see `ct_films.py`, whose volumes `--ct` names). Photographs are made: a film on a screen, seen
at an angle, with the room around it, glare, the pattern of two grids, dark corners, noise, JPEG. Writes `results/guard_rates.json` in
`nbs`, which the page *Warnings* reads. What was looked at is kept in portions: a run that was stopped goes on. About half an hour of one
core.
"""
import argparse, json
from pathlib import Path

import cv2, numpy as np, torch

from deepcovidexplainer.core import data_dir, fingerprint, package_file, sha256_of, write_json
from deepcovidexplainer.ensemble import Ensemble
from deepcovidexplainer.guard import HEADER, LIMITS, PICTURE, guard
from deepcovidexplainer.lungs import find_lungs
from deepcovidexplainer.radiograph import load_radiograph
from deepcovidexplainer.scores import rate
from deepcovidexplainer.sources import OTHER, read_index
from deepcovidexplainer.zoo import load_ensemble

PORTION, SIDE = 25, 512

def flipped(x, rng): return np.ascontiguousarray(x[:, ::-1])

def as_it_came(x, rng): return x

def on_a_screen(x, rng):
    "The film as a bright screen shows it: a grid of its own, seen through the camera's"
    h, w = x.shape
    rows, columns = np.mgrid[:h, :w].astype(np.float32)
    angle, wave, depth = rng.uniform(0, np.pi), rng.uniform(3, 12), rng.uniform(.01, .05)
    grids = sum(np.sin(2*np.pi*(columns*np.cos(a)+rows*np.sin(a))/wave) for a in (angle, angle+np.pi/2))
    return np.clip(.04+.9*x**rng.uniform(.8, 1.2)+depth*grids, 0, 1)

def at_an_angle(x, rng):
    "The film on the picture that the camera took, with the room around it"
    h, w = x.shape
    size = (int(w*1.25), int(h*1.25))
    edge = np.float32([w, h])
    corners = np.float32([[0, 0], [w, 0], [w, h], [0, h]])
    to = corners+.12*edge+rng.uniform(-.08, .08, (4, 2)).astype(np.float32)*edge
    room = cv2.resize(rng.uniform(.0, .5, (4, 4)).astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
    m = cv2.getPerspectiveTransform(corners, np.float32(to))
    there = cv2.warpPerspective(np.ones_like(x), m, size)
    return cv2.warpPerspective(x, m, size)*there+room*(1-there)

def lit(x, rng):
    "Glare of a lamp, and dark corners"
    h, w = x.shape
    rows, columns = np.mgrid[:h, :w].astype(np.float32)
    r, c = rng.uniform(.1, .9, 2)*(h, w)
    s = rng.uniform(.05, .2)*max(h, w)
    glare = rng.uniform(.2, .7)*np.exp(-((rows-r)**2+(columns-c)**2)/(2*s*s))
    far = ((rows/h-.5)**2+(columns/w-.5)**2)/.5
    return np.clip(x*(1-rng.uniform(.1, .4)*far)+glare, 0, 1)

def as_jpeg(y, quality):
    "What JPEG leaves of a picture"
    y = np.round(np.clip(y, 0, 1)*255).astype(np.uint8)
    packed = cv2.imencode('.jpg', y, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE)/np.float32(255)

def photograph(x, rng):
    "A film photographed from a screen, in grey"
    y = lit(at_an_angle(on_a_screen(x.astype(np.float32), rng), rng), rng)
    y = cv2.GaussianBlur(y, (0, 0), rng.uniform(.4, 1.2))
    return as_jpeg(y+rng.normal(0, .01, y.shape), 80)

def framed(y, width, grey): return cv2.copyMakeBorder(y, *[width]*4, cv2.BORDER_CONSTANT, value=float(grey))

def in_a_bezel(x, rng):
    "Another camera, nearly upright: a dark frame around the screen, an even room, half the time no grid to be seen"
    x = x.astype(np.float32)
    y = on_a_screen(x, rng) if rng.random()<.5 else .03+.92*x
    frame, room = (int(rng.uniform(*r)*max(y.shape)) for r in ((.01, .04), (.02, .12)))
    greys = rng.uniform(0, .08), rng.uniform(.02, .7)
    for width, grey in zip((frame, room), greys): y = framed(y, width, grey)
    h, w = y.shape
    corners = np.float32([[0, 0], [w, 0], [w, h], [0, h]])
    to = corners+rng.uniform(-.05, .05, (4, 2))*(w, h)
    m = cv2.getPerspectiveTransform(corners, np.float32(to))
    y = cv2.warpPerspective(y, m, (w, h), borderMode=cv2.BORDER_REPLICATE)
    y = cv2.GaussianBlur(lit(y, rng), (0, 0), rng.uniform(.4, 1.5))
    return as_jpeg(y+rng.normal(0, rng.uniform(.003, .015), y.shape), int(rng.integers(60, 95)))

def filling(x, rng):
    "The film fills the picture: a turn of some degrees, a grid and a lamp, but no room"
    y = lit(on_a_screen(x.astype(np.float32), rng), rng)
    h, w = y.shape
    y = cv2.warpAffine(y, cv2.getRotationMatrix2D((w/2, h/2), rng.uniform(-4, 4), 1.12), (w, h))
    return as_jpeg(cv2.GaussianBlur(y, (0, 0), rng.uniform(.4, 1.2))+rng.normal(0, .01, y.shape), 85)

def in_any_room(x, rng):
    "A screen or light box askew in a room of any grey; lamp, grid, frame, blur, noise and JPEG each now and then"
    def often(p): return rng.random()<p
    y = rng.uniform(0, .1)+rng.uniform(.6, .9)*x.astype(np.float32)
    if often(.3): y = on_a_screen(y, rng)
    if often(.5): y = framed(y, int(rng.uniform(.01, .05)*max(y.shape)), rng.uniform(0, .2))
    h, w = y.shape
    edge = np.float32([w, h])
    corners = np.float32([[0, 0], [1, 0], [1, 1], [0, 1]])
    inside = rng.uniform(.02, .14, (4, 2))
    to = np.abs(corners-inside)*edge
    room = np.full((h, w), rng.uniform(0, .9), np.float32)
    if often(.5):
        shades = rng.uniform(-.2, .2, (3, 3)).astype(np.float32)
        room = np.clip(room+cv2.resize(shades, (w, h), interpolation=cv2.INTER_CUBIC), 0, 1)
    m = cv2.getPerspectiveTransform(corners*edge, np.float32(to))
    there = cv2.warpPerspective(np.ones_like(y), m, (w, h))
    y = cv2.warpPerspective(y, m, (w, h))*there+room*(1-there)
    if often(.3): y = lit(y, rng)
    if often(.6): y = cv2.GaussianBlur(y, (0, 0), rng.uniform(.4, 1.5))
    if often(.5): y = y+rng.normal(0, rng.uniform(0, .02), y.shape)
    return as_jpeg(y, int(rng.integers(60, 95))) if often(.6) else np.clip(y, 0, 1).astype(np.float32)

def in_colour(x, rng):
    "The same with the tint of a screen"
    y = photograph(x, rng)[..., None]**np.float32([rng.uniform(1.05, 1.3), 1, rng.uniform(.75, .95)])
    return y.astype(np.float32)

def evenly(t, n):
    "As many of each source as there are, up to n films in all"
    t = t.sample(frac=1, random_state=0)
    turn = t.groupby('source').cumcount()
    return t.assign(turn=turn).sort_values(['turn', 'source']).head(n)

def drawn(root, n):
    "Kind → (films, what is done to each)"
    t = read_index(root)
    adults = evenly(t[~t.child & (t.source!='kermany') & (t.label!=OTHER)], n)
    children = evenly(t[t.source=='kermany'], n)
    ill = evenly(t[(t.label==OTHER) & t.source.isin(['shenzhen', 'montgomery'])], n)
    changed = {
        'as they came':as_it_came,
        'flipped':flipped,
        'photographed, in colour':in_colour,
        'photographed, in grey':photograph,
        'photographed in grey, in a bezel':in_a_bezel,
        'photographed in grey, filling the picture':filling,
        'photographed in grey, in any room':in_any_room}
    others = {"children's":(list(children.film), as_it_came), 'tuberculosis':(list(ill.film), as_it_came)}
    return {k:(list(adults.film), f) for k, f in changed.items()} | others

def one_member(e):
    "Typicality is judged by the first member: enough for the guard"
    return Ensemble(e.members[:1], e.temperature, e.threshold, e.coverage, e.typicality, e.name, e.about, e.bias)

def doubts(picture, ensemble):
    film = load_radiograph(picture).resized(SIDE)
    lungs = find_lungs(film)
    return guard(film, lungs, ensemble.predict(film, lungs))

def portions(kind, films, change, root, ensemble, work, key):
    "Reasons of each film of a kind"
    out = []
    for i in range(0, len(films), PORTION):
        part = films[i:i+PORTION]
        path = work/f'guard-{fingerprint([key, kind, part])}.json'
        if not path.exists():
            read = (load_radiograph(root/f).resized(SIDE).data for f in part)
            changed = (change(x, np.random.default_rng([i, k])) for k, x in enumerate(read))
            write_json(path, [doubts(x, ensemble) for x in changed])
            print(kind, i+len(part), 'of', len(films), flush=True)
        out += json.loads(path.read_text())
    return out

def views(folder, ensemble, work, key):
    "Films made from CT: from the front, from the side"
    from ct_films import SIDE as ASIDE, films
    path = work/f'guard-{fingerprint([key, "ct", sorted(p.name for p in folder.rglob("*"))])}.json'
    if not path.exists():
        made = ((who, bool(d in ASIDE), doubts(x, ensemble)) for who, d, x in films(folder))
        write_json(path, [['belly' if who=='belly' else 'chest', *told] for who, *told in made])
    found = json.loads(path.read_text())
    def pick(aside): return [why for what, a, why in found if what=='chest' and a==aside]
    return {'from the front, made from CT':pick(False), 'from the side, made from CT':pick(True)}

def row(found):
    "Rates of one kind"
    known = [k for k in (*HEADER, *PICTURE) if any(k in d for d in found)]
    because = {f'because {k}':rate(np.array([k in d for d in found])) for k in known}
    return dict(refused=rate(np.array([bool(d) for d in found])), **because)

def line(kind, r):
    "What is printed of one kind"
    all_of, because = r['refused'], {w[8:]:v['value'] for w, v in r.items() if w!='refused'}
    return f"{kind:30} {all_of['n']:4}: {all_of['value']:.3f} [{all_of['low']:.3f}, {all_of['high']:.3f}] {because}"

def main(work, films, ct):
    torch.set_num_threads(1)
    work.mkdir(parents=True, exist_ok=True)
    root, shipped = data_dir(), load_ensemble()
    ensemble = one_member(shipped)
    files = [package_file('weights', n) for n in ('lungs.safetensors', 'mirrored.json', 'photo.json')]
    key = [shipped.members[0].card.sha256, *map(sha256_of, files), LIMITS]
    kinds = drawn(root, films)
    found = {k:portions(k, list(f), change, root, ensemble, work, key) for k, (f, change) in kinds.items()}
    if ct: found |= views(ct, ensemble, work, key)
    rows = {k:row(v) for k, v in found.items()}
    limits = {k:LIMITS[k] for k in ('colour', 'gap', 'mirrored', 'photo')}
    about = dict(member=shipped.members[0].card.sha256, limits=limits, intervals='95 %, Wilson')
    write_json(package_file().parent/'nbs'/'results'/'guard_rates.json', dict(about=about, kinds=rows))
    for k, r in rows.items(): print(line(k, r))

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--work', type=Path, default='runs')
    p.add_argument('--films', type=int, default=150)
    p.add_argument('--ct', type=Path)
    main(**vars(p.parse_args()))
