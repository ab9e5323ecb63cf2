"""One chest radiograph in, one explanation out

Every public name of every module is here, and a module is imported when one of its names is first used:
`import deepcovidexplainer` alone costs milliseconds. A name that is also a module's name means the module.
"""
__version__ = "0.1.0"

# Module -> its public names; `python .ci/public_names.py` writes this table from the modules' `__all__`
_NAMES = {
    'core': 'CLASSES DISCLAIMER RadiographError package_file data_dir fingerprint sha256_of html_table',
    'radiograph': 'Radiograph load_radiograph get_radiograph_files list_samples sample_radiograph',
    'synth': 'synth_radiograph synth_dataset',
    'preprocess': 'equalize perona_malik unsharp text_mask remove_text Preprocess',
    'lungs': ('SIDE MOST_DOUBT LEVELS lung_net dice fit_lungs dice_scores save_lungs train_lungs measure_lungs '
              'lung_probability lung_mask lung_doubt show_lungs Zone lung_zones zone_shares lung_box'),
    'data': ('COLUMNS READERS read_darkcovidnet read_covid_cxnet read_ieee8023 read_hannover read_figure1 '
             'read_shenzhen read_montgomery read_jsrt read_openist read_rsna_normal read_kermany read_index read_table '
             'check_index difference_hash film_hashes near_duplicates assign_groups patient_split check_split '
             'assign_roles film_cache augment class_weights sample_weights radiograph_dls'),
    'models': ('list_archs create_model cam_layer imagenet_weights load_pretrained Card write_json save_weights '
               'load_weights'),
    'evaluate': ('check_posteriors confusion measure wilson_ci bootstrap_ci apply_temperature nll fit_temperature '
                 'calibration show_reliability conformal_threshold prediction_sets Scores score'),
    'learner': 'HalfPrecision radiograph_learner',
    'snapshots': 'cosine_cycles SnapshotCallback fit_snapshots',
    'ensemble': ('average_posteriors max_prediction majority_vote select_members Prediction Typicality Member Ensemble '
                 'calibrate save_ensemble load_folder'),
    'zoo': 'list_ensembles load_ensemble fetch_ensemble',
    'attribution': 'Attribution eye_scale overlay mean_attribution Caught find_layer probe evaluating',
    'gradcam': ('CAM_METHODS CAPTUM_METHODS Look cam_maps cam gradcam_pp cam_attributions CAM GradCAM GradCAMPlusPlus '
                'integrated_gradients occlusion guided_gradcam'),
    'lrp': 'LRP_RULES LRP_METHODS Canonical canonical Composite lrp_rules lrp_attributions LRP',
    'explanation': 'LIMITS CONFIDENCE WORDS guard doubted Explanation focus percent describe explain',
    'pipeline': 'METHODS ensemble_attributions predict_and_explain',
    'report': 'report_html save_report',
    'cli': 'dce_explain',
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
