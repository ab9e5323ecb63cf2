"""One chest radiograph in, one explanation out

Every public name of every module is here, and a module is imported when one of its names is first used:
`import deepcovidexplainer` alone costs milliseconds. A name that is also a module's name means the module.
"""
__version__ = "0.1.0"

# Module -> its public names; `python .ci/public_names.py` writes this table from the modules' `__all__`
_NAMES = {
    'core': 'CLASSES DISCLAIMER RadiographError package_file data_dir fingerprint sha256_of html_table',
    'data': ('COLUMNS READERS read_darkcovidnet read_covid_cxnet read_ieee8023 read_hannover read_figure1 '
             'read_shenzhen read_montgomery read_jsrt read_openist read_rsna_normal read_kermany read_index read_table '
             'check_index difference_hash near_duplicates assign_groups patient_split check_split film_cache augment '
             'class_weights sample_weights radiograph_dls'),
    'models': ('list_archs create_model cam_layer imagenet_weights load_pretrained Card write_json save_weights '
               'load_weights'),
    'evaluate': ('check_posteriors confusion measure wilson_ci bootstrap_ci apply_temperature nll fit_temperature '
                 'calibration show_reliability conformal_threshold prediction_sets Scores score'),
    'learner': 'radiograph_learner',
    'snapshots': 'cosine_cycles SnapshotCallback fit_snapshots',
}

_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names.split()}
__all__ = [*_MODULE_OF, '__version__']

def __getattr__(name):
    from importlib import import_module
    if name in _NAMES: return import_module(f'{__name__}.{name}')
    if name not in _MODULE_OF: raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    value = globals()[name] = getattr(import_module(f'{__name__}.{_MODULE_OF[name]}'), name)
    return value

def __dir__(): return sorted({*globals(), *_NAMES, *_MODULE_OF})
