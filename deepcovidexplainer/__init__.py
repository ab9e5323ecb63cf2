"""One chest radiograph in, one explanation out

Twelve names are at the door; everything else is in the module that makes it, as `deepcovidexplainer.scores.score`. A module is
imported when one of its names is first used: `import deepcovidexplainer` alone costs milliseconds.
"""
import sys

__version__ = "0.2.0"

# The names at the door -> their module
_DOOR = {'predict_and_explain': 'pipeline', 'METHODS': 'pipeline', 'load_ensemble': 'zoo', 'list_ensembles': 'zoo',
         'load_radiograph': 'radiograph', 'sample_radiograph': 'radiograph', 'list_samples': 'radiograph',
         'synth_radiograph': 'synth', 'Explanation': 'explanation', 'CLASSES': 'core', 'DISCLAIMER': 'core', 'RadiographError': 'core'}
__all__ = [*_DOOR, '__version__']

# Module -> its public names, all to be had from the package for one more version;
# `python .ci/public_names.py` writes this table from the modules' `__all__`
_NAMES = {
    'core': ('CLASSES DISCLAIMER PALETTE class_colours class_numbers RadiographError NoFilm class_of quiet_fastai '
             'package_file data_dir fingerprint sha256_of html_table safe_cell write_whole write_json sweep never_over '
             'read_json read_tensors file_stamp kept_array own_settings keep_pages ForkSafeLock own_figures made_apart '
             'weights_state made_of copied merged'),
    'radiograph': ('SUFFIXES plain_name Radiograph quiet age_years is_chest is_dataset oriented load_radiograph '
                   'get_radiograph_files list_samples sample_radiograph'),
    'synth': 'synth_radiograph synth_dataset',
    'preprocess': ('equalize perona_malik unsharp text_mask remove_text register_step Preprocess widened '
                   'equalize_field'),
    'lungs': ('SIDE LEVELS lung_net lung_input lung_output load_lungs shipped_lung_net run_lungs_by Zone lung_zones '
              'zone_shares lung_box Lungs find_lungs as_lungs lung_mask show_lungs plain_field'),
    'lung_training': ('FILM SHARES ABOUT USE LEARNED HELD_OUT LICENCE mask_files load_pair mask_pairs disturbed '
                      'stranger dice fit_lungs dice_scores summary measure_lungs save_lungs train_lungs'),
    'command': 'as_program NoSuchKeyword asks_back',
    'fast': 'FastNet fast_lungs',
    'download': ('COLLECTIONS RESULTS_SHA256 fetch unpack Collection list_collections fetch_collection cache_dir '
                 'result_file'),
    'sources': ('COLUMNS OTHER SOURCES READERS read_darkcovidnet read_covid_cxnet read_ieee8023 read_hannover '
                'read_figure1 read_shenzhen read_montgomery read_jsrt read_openist read_rsna_normal read_rsna '
                'read_kermany read_siim read_actualmed read_index classes_of read_table check_index'),
    'splits': ('difference_hash film_hashes kept_hashes near_duplicates assign_groups grouped patient_split '
               'check_split PatientSplitter doubtful assign_roles'),
    'loaders': ('film_cache augment nudge vary_field augment_field swap_background mix_amplitude class_weights '
                'sample_weights FilmItem FilmTransform Spare SwapBackground Twin Shrink Outline MixAmplitude Warp '
                'Expose Shade Degrade Boxes VaryField film_tfms TensorRadiograph Standardize ReadFilm Labels '
                'RadiographDL RadiographBlock LabelBlock radiograph_block radiograph_dls'),
    'models': ('DEVICES list_archs has_one_size create_model evaluating cam_layer register_arch pooled_features '
               'imagenet_weights load_pretrained pick_device Card save_weights load_weights'),
    'scores': ('check_posteriors confusion measure wilson_ci rate resample bootstrap_ci compare show_roc '
               'show_precision_recall show_confusion apply_temperature nll fit_temperature fit_bcts calibration '
               'ece_by_chance show_reliability calibration_table check_coverage conformal_threshold prediction_sets '
               'coverage_table risk_coverage aurc show_risk_coverage ppv_at age_group subgroups single_class_scores '
               'Scores score'),
    'learner': ('PartialLabelLoss DistillationLoss TwinConsistency InwardGradients feature_alignment FeatureMatching '
                'HalfPrecision body_and_head radiograph_learner'),
    'snapshots': 'cosine_cycles SnapshotCallback fit_snapshots average_snapshots',
    'ensemble': ('WORDS_OF_A_CLASS average_posteriors max_prediction majority_vote select_members power_law '
                 'layer_spectra spectral_quality Prediction Typicality Member features_and_logits Ensemble calibrate '
                 'save_ensemble load_folder'),
    'training': 'LOG_COLUMNS Recipe Study study_of EpochLog fit_networks train Lessons teach fit_student',
    'zoo': 'RELEASED list_ensembles ensemble_folder load_ensemble fetch_ensemble',
    'attribution': ('Later Bits as_bits Kept KeptMask kept Attribution strongest_half eye_scale overlay mean_share '
                    'mean_attribution'),
    'forward': ('Caught find_layer probe class_number class_index Look widen check_input run_network target_name '
                'captum_style'),
    'canonical': ('ACTS POOLS MOVES NORMS WEIGHTED Add Cat Clip Gate Attend Affine Prefix Permute Tokens Pick '
                  'MeanToken Smooth Canonical'),
    'cam': ('CAM_METHODS CAPTUM_METHODS cam_maps gradcam gradcam_pp cam_attributions cam_evidence CAM GradCAM '
            'GradCAMPlusPlus integrated_gradients occlusion guided_gradcam'),
    'lrp': 'LAYER_RULES LRP_RULES LRP_METHODS divide Task Composite lrp_rules Pass lrp_attributions LRP',
    'faithful': ('BASELINES MEASURES NEEDS LOWER_IS_BETTER pointing_hit relevance_mass rank_accuracy deletion_curve '
                 'insertion_curve curve_area impute road_curve random_map gaussian_map lung_map Case film_scores '
                 'summarise score_methods against_baseline show_scores agreement randomization_check fell '
                 'quantus_explainer'),
    'guard': 'LIMITS HEADER PICTURE told_by_header heart_right photo_odds told_by_picture doubted',
    'similar': 'SimilarFilm load_similar similar_films',
    'explanation': 'Explanation speaker inside_lungs focus strays spot concentrated',
    'words': 'CONFIDENCE WORDS speaking words_of percent rows_of method_title describe explain',
    'report': ('REPORT_WORDS SAVERS salted_hash film_name film_identity ensemble_card result_identity unseen_hospitals '
               'report_content report_html report_pdf save_report output_paths index_row index_rows check_folder_index '
               'folder_index'),
    'pipeline': 'METHODS DEFAULT_METHODS Method ensemble_attributions predict_and_explain',
    'dicom_out': ('MAKER IMPLEMENTATION_UID DICOM_KINDS zones_on_source is_answer answer_picture to_dicom save_dicom '
                  'write_dicom'),
    'evaluation': ('TRIAL_FILES labelled_films card_films trial_films say card_scores Trial try_ensemble score_table '
                   'save_trial differences'),
    'screen': ('FILM_COLUMNS Archive find_films film_columns question Screener Table do_task work RayWorker '
               'films_table screened_classes Screened'),
    'app': 'APP_WORDS DOWNLOADS Line downloads picture similar_html Film App build_app dce_app',
    'node': 'log Inbox Peer Node serve_dicom run_node dce_node',
    'exchange': 'lay_lungs exchange_test exchange_scores outside_share',
    'screen_report': ('PLACE COUNTS LABELS PLACES DOUBTS REFUSED OTHERS open_screen ask places drift_measures '
                      'ks_interval film_measures reference drift worklist_sql worklist report_parts'),
    'cli': 'dce_explain dce_evaluate dce_screen dce_train',
}

_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names.split()}

# What modules were called -> what they are called now; the old names work for one more version
_RENAMED = {'gradcam': ('cam',), 'evaluate': ('scores',), 'trial': ('evaluation',), 'data': ('sources', 'splits', 'loaders')}

def _outdated(old, new):
    import warnings
    warnings.warn(f'{old} is now {new}, and its old name will go', DeprecationWarning, stacklevel=3)

class _Renamed:
    "Finds modules by their old names"
    @staticmethod
    def find_spec(name, path=None, target=None):
        package, _, old = name.rpartition('.')
        return type(__spec__)(name, _Renamed) if package == __name__ and old in _RENAMED else None
    @staticmethod
    def create_module(spec): return None
    @staticmethod
    def exec_module(module):
        from importlib import import_module
        new = [f'{__name__}.{n}' for n in _RENAMED[module.__name__.rpartition('.')[2]]]
        _outdated(module.__name__, ', '.join(new))
        for n in new: vars(module).update({k: v for k, v in vars(import_module(n)).items() if not k.startswith('__')})

sys.meta_path.insert(0, _Renamed)

def __getattr__(name):
    from importlib import import_module
    if name in _NAMES or name in _RENAMED: return import_module(f'{__name__}.{name}')
    if name not in _MODULE_OF: raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    module = f'{__name__}.{_MODULE_OF[name]}'
    if name not in _DOOR: _outdated(f'{__name__}.{name}', f'{module}.{name}')
    value = globals()[name] = getattr(import_module(module), name)
    return value

def __dir__(): return sorted({*globals(), *_NAMES, *_DOOR})
