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
              'load_lungs lung_probability lung_mask lung_doubt lung_turn lung_gap show_lungs Zone lung_zones '
              'zone_shares lung_box'),
    'download': 'COLLECTIONS fetch unpack Collection list_collections fetch_collection cache_dir',
    'data': ('COLUMNS OTHER READERS read_darkcovidnet read_covid_cxnet read_ieee8023 read_hannover read_figure1 '
             'read_shenzhen read_montgomery read_jsrt read_openist read_rsna_normal read_kermany read_index read_table '
             'check_index difference_hash film_hashes near_duplicates assign_groups patient_split check_split '
             'assign_roles film_cache augment class_weights sample_weights radiograph_dls'),
    'models': ('list_archs create_model cam_layer imagenet_weights load_pretrained Card write_json save_weights '
               'load_weights'),
    'evaluate': ('check_posteriors confusion measure wilson_ci rate resample bootstrap_ci compare show_roc '
                 'show_precision_recall show_confusion apply_temperature nll fit_temperature fit_bcts calibration '
                 'ece_by_chance show_reliability calibration_table conformal_threshold prediction_sets coverage_table '
                 'risk_coverage aurc show_risk_coverage ppv_at age_group subgroups single_class_scores Scores score'),
    'learner': 'PartialLabelLoss HalfPrecision radiograph_learner',
    'snapshots': 'cosine_cycles SnapshotCallback fit_snapshots average_snapshots',
    'ensemble': ('average_posteriors max_prediction majority_vote select_members power_law layer_spectra '
                 'spectral_quality Prediction Typicality Member Ensemble calibrate save_ensemble load_folder'),
    'zoo': 'list_ensembles load_ensemble fetch_ensemble',
    'attribution': 'Attribution eye_scale overlay mean_attribution Caught find_layer probe evaluating',
    'gradcam': ('CAM_METHODS CAPTUM_METHODS Look cam_maps cam gradcam_pp cam_attributions cam_evidence CAM GradCAM '
                'GradCAMPlusPlus integrated_gradients occlusion guided_gradcam'),
    'lrp': 'LRP_RULES LRP_METHODS Canonical canonical Composite lrp_rules Pass lrp_attributions LRP',
    'faithful': ('BASELINES MEASURES NEEDS LOWER_IS_BETTER pointing_hit relevance_mass rank_accuracy deletion_curve '
                 'insertion_curve curve_area impute road_curve random_map gaussian_map lung_map Case film_scores '
                 'summarise score_methods against_baseline show_scores agreement randomization_check fell '
                 'quantus_explainer'),
    'explanation': ('LIMITS CONFIDENCE WORDS speaking guard doubted Explanation focus spot concentrated percent '
                    'describe SimilarFilm load_similar similar_films explain'),
    'trial': ('labelled_folder labelled_table card_films trial_films say card_scores Trial try_ensemble score_table '
              'save_trial differences'),
    'pipeline': 'METHODS ensemble_attributions predict_and_explain',
    'report': 'report_html save_report',
    'dicom_out': ('MAKER IMPLEMENTATION_UID DICOM_KINDS zones_on_source is_answer answer_picture to_dicom save_dicom '
                  'write_dicom'),
    'cli': 'dce_explain dce_evaluate dce_train',
    'node': 'log Inbox Peer Node serve_dicom run_node dce_node',
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
