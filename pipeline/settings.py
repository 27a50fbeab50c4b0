"""Every setting: its unit, its default and its environment variable (the field's name in capitals)."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from pipeline.errors import ConfigurationError

Seasonality = Literal["auto", "true", "false"]


class Settings(BaseSettings):
    """The pipeline's settings, read from the environment once per process."""

    model_config = SettingsConfigDict(
        extra="ignore", frozen=True, populate_by_name=True, env_ignore_empty=True, hide_input_in_errors=True
    )

    pipeline_home: Path = Field(Path("var"), description="Folder that holds everything that is written.")

    database_url: str | None = Field(None, description="Registry; SQLite under PIPELINE_HOME when unset.")
    db_pool_size: int = Field(10, ge=1, description="Connections kept open.")
    db_max_overflow: int = Field(20, ge=0, description="Connections above the pool under load.")
    db_pool_timeout: float = Field(30, gt=0, description="Seconds to wait for a connection.")
    db_pool_recycle: int = Field(3600, ge=-1, description="Seconds after which a connection is replaced.")
    db_pool_pre_ping: bool = Field(True, description="Test a connection before use.")
    db_echo: bool = Field(False, description="Log every statement.")

    rabbitmq_url: str | None = Field(None, description="Broker for events; a file under PIPELINE_HOME when unset.")

    model_storage_path: str | None = Field(None, description="Artefact store; PIPELINE_HOME/models when unset.")
    model_storage_own: bool = Field(
        False, description="No other registry, nor a copy of this one, uses MODEL_STORAGE_PATH: it may be swept."
    )
    model_signing_key: SecretStr | None = Field(
        None, min_length=16, description="Signs manifests; with it only signed ones are used."
    )
    model_retention_days: int = Field(90, ge=1, description="Days that a model version is kept.")
    max_model_versions_per_product: int = Field(10, ge=2, description="Versions kept per product.")
    enable_model_compression: bool = Field(True, description="Compress artefacts.")
    model_versioning_enabled: bool = Field(True, description="Keep earlier versions.")
    model_backup_enabled: bool = Field(True, description="Never delete the previous champion.")

    max_concurrent_jobs: int = Field(
        3,
        ge=1,
        validation_alias=AliasChoices("max_concurrent_jobs", "max_concurrent_training_jobs"),
        description="Training runs at once; alias MAX_CONCURRENT_TRAINING_JOBS.",
    )
    max_training_time_minutes: int = Field(30, ge=1, description="Minutes a training run may take.")
    min_training_data_days: int = Field(30, ge=1, description="Observed days a product needs, from its first row.")
    enable_auto_deployment: bool = Field(True, description="Promote a challenger that earns it at once.")

    without_families: str = Field(
        "lightgbm_direct", description="Families that are not fitted, with commas; empty: all of them are."
    )
    prophet_weekly_seasonality: Seasonality = Field("auto", description="Prophet's and linear's weekly season.")
    prophet_yearly_seasonality: Seasonality = Field("auto", description="Yearly season; auto: with a year of history.")
    prophet_daily_seasonality: Seasonality = Field("false", description="Noise on daily data; kept off.")
    prophet_interval_width: float = Field(0.9, gt=0, lt=1, description="Width of Prophet's own intervals, unused.")
    prophet_changepoint_prior_scale: float | None = Field(
        None, ge=0.001, le=0.5, description="Flexibility of the trend; tuned when unset, 0.05 untuned."
    )
    prophet_seasonality_prior_scale: float | None = Field(
        None, ge=0.01, le=10, description="Size of the seasons; tuned when unset, 10 untuned."
    )
    prophet_holidays_prior_scale: float | None = Field(
        None, ge=0.01, le=10, description="Size of holidays and covariates; tuned when unset, 10 untuned."
    )
    prophet_seasonality_mode: Literal["additive", "multiplicative"] | None = Field(
        None, description="Whether seasons add to the trend or multiply it; tuned when unset, additive untuned."
    )

    lightgbm_n_estimators: int | None = Field(
        None, ge=50, le=500, description="Trees of a booster; unset: 200, or 400 on few rows."
    )
    lightgbm_learning_rate: float | None = Field(
        None, ge=0.01, le=0.3, description="How much of what is left a tree takes; unset: 0.1, or 0.05 on few rows."
    )
    lightgbm_max_depth: int | None = Field(None, ge=3, le=15, description="Questions in a row; unset: no limit.")
    lightgbm_min_child_samples: int | None = Field(
        None, ge=5, le=100, description="Product days that a leaf needs; unset: 30."
    )
    lightgbm_subsample: float | None = Field(
        None, ge=0.5, le=1, description="Share of the days that a tree sees; unset: 0.8."
    )
    lightgbm_colsample_bytree: float | None = Field(
        None, ge=0.5, le=1, description="Share of the features that a tree sees; unset: 0.7."
    )

    tuning_enabled: bool = Field(True, description="Search the settings of the regression; false: untuned.")
    tuning_sampler: Literal["tpe", "random", "grid"] = Field("tpe", description="How trials are drawn.")
    tuning_pruner: Literal["median", "hyperband", "none"] = Field("median", description="How bad trials are given up.")
    tuning_trials_high: int = Field(30, ge=1, description="Trials for products of high volume.")
    tuning_trials_medium: int = Field(25, ge=1, description="Trials for products of medium volume.")
    tuning_trials_low: int = Field(20, ge=1, description="Trials for products of low volume.")
    tuning_trials_intermittent: int = Field(15, ge=1, description="Trials for products that seldom sell.")
    tuning_seconds: float = Field(120, gt=0, description="Seconds that the search of one demand class may take.")
    tuning_reuse_days: int = Field(28, ge=1, description="Days of sales for which a search is used again.")
    tuning_storage: str | None = Field(None, description="Database that keeps the trials for others; memory if unset.")

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level that is logged.")
    prophet_verbose: bool = Field(False, description="Let Prophet's compiled model talk.")
    enable_profiling: bool = Field(False, description="Write a profile of each training run.")

    recommended_data_days: int = Field(90, ge=1, description="Observed days below which a product gets a warning.")
    zero_share_error: float = Field(0.9, ge=0, le=1, description="Share of zero days that restricts the families.")
    zero_share_warning: float = Field(0.7, ge=0, le=1, description="Share of zero days that warns.")
    max_products_per_tenant: int = Field(10_000, ge=1, description="Products a tenant may have.")
    max_quantity: float = Field(1e6, gt=0, description="Units; a larger quantity in one row is rejected as absurd.")
    unusual_days_recent: int = Field(28, ge=1, description="Last days among which unusual ones are shown.")
    unusual_days_shown: int = Field(20, ge=1, description="Unusual days that are named, the most surprising first.")
    max_rejected_share: float = Field(0.5, ge=0, le=1, description="Share of rejected rows that blocks a tenant.")

    grade_excellent: float = Field(10, gt=0, description="MAPE, percent, up to which a model is excellent.")
    grade_good: float = Field(20, gt=0, description="MAPE, percent, up to which a model is good.")
    grade_acceptable: float = Field(30, gt=0, description="MAPE, percent, up to which a model is acceptable.")

    horizon_days: int = Field(14, ge=1, le=365, description="Days ahead that are forecast.")
    evaluation_origins: int = Field(4, ge=1, le=52, description="Past origins that a recipe is scored at.")
    lookback_days: int = Field(35, ge=0, description="Days before a file's last day in which it may delete rows.")
    retrain_after_days: int = Field(28, ge=1, description="Whole data days after which a model is due.")
    retrain_after_new_days: int = Field(14, ge=1, description="New observed days after which a product is due.")
    retrain_cron: str = Field("0 2 * * 1", description="Cron of the weekly retraining, UTC.")
    dagster_history_days: int = Field(60, ge=7, description="Days that Dagster keeps finished runs and their events.")
    purge_cron: str = Field("30 3 * * *", description="Cron of the purge of Dagster's history, UTC.")
    storage_care_cron: str = Field("0 4 * * *", description="Cron of the care for old models and objects, UTC.")
    watch_interval_seconds: int = Field(60, ge=5, description="Seconds between looks for new sales files.")
    max_feature_rows: int = Field(2_000_000, ge=1, description="Rows of the features table; older days are left out.")
    workers: int | None = Field(None, ge=1, description="Worker processes a job; cores / MAX_CONCURRENT_JOBS if unset.")
    task_timeout_seconds: float = Field(600, gt=0, description="Seconds that one worker task may take.")
    training_lock_wait_seconds: float = Field(
        900, ge=0, description="Seconds that a training waits for another one of the same tenant."
    )
    seed: int = Field(20_240_101, ge=0, description="Seed of everything random.")

    @field_validator(
        "prophet_weekly_seasonality", "prophet_yearly_seasonality", "prophet_daily_seasonality", mode="before"
    )
    @classmethod
    def _lower_case(cls, value: object) -> object:
        return str(value).lower() if isinstance(value, str | bool) else value

    @property
    def home(self) -> Path:
        """Absolute form of PIPELINE_HOME."""
        return self.pipeline_home.expanduser().resolve()


SECRETS = {name.upper() for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
"""Variables whose values no message may hold."""


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Return the settings of this process.

    Raises:
        ConfigurationError: a variable holds a value that its setting does not allow; names both.
    """
    try:
        return Settings()
    except ValidationError as error:
        faults = "; ".join(_told(fault) for fault in error.errors())
        raise ConfigurationError(f"these settings cannot be used: {faults}") from error


def _told(fault: ErrorDetails) -> str:
    name = ".".join(str(part) for part in fault["loc"]).upper()
    return f"{name}: {fault['msg']}" if name in SECRETS else f"{name}={fault['input']!r}: {fault['msg']}"
