"""Every setting: its unit, its default and its environment variable (the field's name in capitals)."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, PositiveFloat, SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from contracts.limits import (
    MOST_HOURS_OF_WINDOWS,
    DaysAhead,
    Depth,
    HalfOrMore,
    LeafDays,
    LearningRate,
    LongDays,
    Origins,
    PriorScale,
    SeasonalityMode,
    SpanDays,
    SpanHours,
    SpanMinutes,
    SpanSeconds,
    Trees,
    TrendFlexibility,
)
from pipeline.cron import Cron
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

    dagster_database_url: SecretStr | None = Field(
        None, description="PostgreSQL database for Dagster's own runs and events; SQLite when unset."
    )

    rabbitmq_url: SecretStr | None = Field(
        None, description="Broker for events, amqp://USER:PASSWORD@HOST:5672/; files under PIPELINE_HOME when unset."
    )
    rabbitmq_prefix: str = Field(
        "",
        max_length=60,
        pattern=r"^[A-Za-z0-9_.-]*$",
        description="Stands before the names of exchange and queues, where installations share a broker.",
    )
    events_seconds: float = Field(
        10, gt=0, le=15, description="Seconds that sending events may take after a training, and the broker to answer."
    )
    events_interval_seconds: int = Field(
        30, ge=5, description="Seconds between looks for events to send and messages to take in."
    )
    events_kept_days: SpanDays = Field(
        30, ge=1, description="Days that sent events, handled messages and ended alerts are kept."
    )

    model_storage_path: str | None = Field(None, description="Artefact store; PIPELINE_HOME/models when unset.")
    model_storage_own: bool = Field(
        False, description="No other registry, nor a copy of this one, uses MODEL_STORAGE_PATH: it may be swept."
    )
    model_storage_timeout_seconds: float = Field(
        60, ge=1, description="Seconds that one request to a remote artefact store may take, repetitions included."
    )
    model_signing_key: SecretStr | None = Field(
        None, min_length=16, description="Signs manifests; with it only signed ones are used."
    )
    model_retention_days: SpanDays = Field(90, ge=1, description="Days that a model version is kept.")
    quarantine_days: SpanDays = Field(30, ge=1, description="Days that broken files are kept in quarantine.")
    access_log_days: SpanDays = Field(365, ge=1, description="Days that the log of accesses to artefacts is kept.")
    max_model_versions_per_product: int = Field(10, ge=2, description="Versions kept per product.")
    enable_model_compression: bool = Field(True, description="Compress artefacts.")
    model_versioning_enabled: bool = Field(True, description="Keep earlier versions.")
    model_backup_enabled: bool = Field(True, description="Never delete the previous champion.")

    mlflow_tracking_uri: SecretStr | None = Field(
        None, description="MLflow server that trainings are mirrored to, http://HOST:PORT; none when unset."
    )
    mlflow_experiment_name: str = Field(
        "demand-forecast", min_length=1, description="MLflow's experiments are this name and /TENANT."
    )
    mlflow_seconds: float = Field(30, gt=0, le=600, description="Seconds that mirroring a training may take.")

    max_concurrent_jobs: int = Field(
        3,
        ge=1,
        validation_alias=AliasChoices("max_concurrent_jobs", "max_concurrent_training_jobs"),
        description="Training runs at once; alias MAX_CONCURRENT_TRAINING_JOBS.",
    )
    max_training_time_minutes: int = Field(30, ge=1, description="Minutes a training run may take.")
    min_training_data_days: SpanDays = Field(30, ge=1, description="Observed days a product needs, from its first row.")
    enable_auto_deployment: bool = Field(True, description="Promote a challenger that earns it at once.")
    promotion_metric: Literal["mae", "rmse"] = Field("mae", description="Error that decides about a promotion.")
    promotion_margin: float = Field(
        1.0, ge=0, description="Standard errors by which a new recipe may be worse than the champion's."
    )
    promotion_min_coverage: float = Field(
        0.75, ge=0, le=1, description="Share of past days inside the range below which a product's model is refused."
    )
    promotion_min_class_coverage: float = Field(
        0.8, ge=0, le=1, description="The same for a demand class: below it no new recipe replaces a champion."
    )

    without_families: str = Field(
        "lightgbm_direct", description="Families that are not fitted, with commas; empty: all of them are."
    )
    prophet_weekly_seasonality: Seasonality = Field("auto", description="Prophet's and linear's weekly season.")
    prophet_yearly_seasonality: Seasonality = Field("auto", description="Yearly season; auto: with a year of history.")
    prophet_daily_seasonality: Seasonality = Field("false", description="Noise on daily data; kept off.")
    prophet_interval_width: float = Field(0.9, gt=0, lt=1, description="Width of Prophet's own intervals, unused.")
    prophet_changepoint_prior_scale: TrendFlexibility | None = Field(
        None, description="Flexibility of the trend; tuned when unset, 0.05 untuned."
    )
    prophet_seasonality_prior_scale: PriorScale | None = Field(
        None, description="Size of the seasons; tuned when unset, 10 untuned."
    )
    prophet_holidays_prior_scale: PriorScale | None = Field(
        None, description="Size of holidays and covariates; tuned when unset, 10 untuned."
    )
    prophet_seasonality_mode: SeasonalityMode | None = Field(
        None, description="Whether seasons add to the trend or multiply it; tuned when unset, additive untuned."
    )

    lightgbm_n_estimators: Trees | None = Field(None, description="Trees of a booster; unset: 200, or 400 on few rows.")
    lightgbm_learning_rate: LearningRate | None = Field(
        None, description="How much of what is left a tree takes; unset: 0.1, or 0.05 on few rows."
    )
    lightgbm_max_depth: Depth | None = Field(None, description="Questions in a row; unset: no limit.")
    lightgbm_min_child_samples: LeafDays | None = Field(None, description="Product days that a leaf needs; unset: 30.")
    lightgbm_subsample: HalfOrMore | None = Field(None, description="Share of the days that a tree sees; unset: 0.8.")
    lightgbm_colsample_bytree: HalfOrMore | None = Field(
        None, description="Share of the features that a tree sees; unset: 0.7."
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

    retry_http_attempts: int = Field(3, ge=1, le=20, description="Attempts that a call over HTTP has.")
    retry_http_min_seconds: float = Field(1, gt=0, description="Least wait between two of them.")
    retry_http_max_seconds: float = Field(10, gt=0, description="Longest wait, unless the server asks for more.")
    retry_http_total_seconds: float = Field(180, gt=0, description="Seconds after which no further one begins.")
    retry_database_attempts: int = Field(5, ge=1, le=20, description="Attempts that a query of a database has.")
    retry_database_min_seconds: float = Field(0.5, gt=0, description="Least wait between two of them.")
    retry_database_max_seconds: float = Field(5, gt=0, description="Longest wait.")
    retry_database_total_seconds: float = Field(60, gt=0, description="Seconds after which no further one begins.")
    retry_external_attempts: int = Field(4, ge=1, le=20, description="Attempts that any other call outside has.")
    retry_external_min_seconds: float = Field(2, gt=0, description="Least wait between two of them.")
    retry_external_max_seconds: float = Field(30, gt=0, description="Longest wait.")
    retry_external_total_seconds: float = Field(180, gt=0, description="Seconds after which no further one begins.")

    outage_wait_seconds: float = Field(
        300, ge=0, description="Seconds that a run may lose to a sales service or database that is down; 0: none."
    )
    breaker_sales_failures: int = Field(5, ge=1, description="Failures in a row that open a sales service's breaker.")
    breaker_sales_seconds: SpanSeconds = Field(60, gt=0, description="Seconds until it is tried again.")
    breaker_weather_failures: int = Field(3, ge=1, description="The same for a weather service.")
    breaker_weather_seconds: SpanSeconds = Field(30, gt=0, description="Seconds until it is tried again.")
    breaker_traffic_failures: int = Field(3, ge=1, description="The same for a traffic service.")
    breaker_traffic_seconds: SpanSeconds = Field(30, gt=0, description="Seconds until it is tried again.")

    http_connect_seconds: float = Field(30, gt=0, description="Seconds to connect to a server.")
    http_read_seconds: float = Field(60, gt=0, description="Seconds to wait for the next bytes of its answer.")
    http_write_seconds: float = Field(30, gt=0, description="Seconds to wait until it takes the next bytes.")
    http_pool_seconds: float = Field(30, gt=0, description="Seconds to wait for a free connection.")
    http_max_bytes: int = Field(100_000_000, ge=1, description="Bytes that an answer may have, unpacked.")

    signal_fresh_hours: SpanHours = Field(
        20, ge=0, description="Hours in which a tenant's weather or traffic is not asked for again."
    )
    signal_late_hours: SpanHours = Field(36, gt=0, description="Hours after which what was issued is called late.")
    signal_seconds: float = Field(
        60, gt=0, description="Seconds that asking for a signal may take, repetitions included."
    )

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level that is logged.")
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="Form of log lines; auto: text at a terminal, JSON elsewhere."
    )
    prophet_verbose: bool = Field(False, description="Let Prophet's compiled model talk.")
    enable_profiling: bool = Field(False, description="Write a profile of each training run.")

    recommended_data_days: int = Field(90, ge=1, description="Observed days below which a product gets a warning.")
    zero_share_error: float = Field(0.9, ge=0, le=1, description="Share of zero days that restricts the families.")
    zero_share_warning: float = Field(0.7, ge=0, le=1, description="Share of zero days that warns.")
    max_products_per_tenant: int = Field(10_000, ge=1, description="Products a tenant may have.")
    max_quantity: float = Field(1e6, gt=0, description="Units; a larger quantity in one row is rejected as absurd.")
    unusual_days_recent: SpanDays = Field(28, ge=1, description="Last days among which unusual ones are shown.")
    unusual_days_shown: int = Field(20, ge=1, description="Unusual days that are named, the most surprising first.")
    max_rejected_share: float = Field(0.5, ge=0, le=1, description="Share of rejected rows that blocks a tenant.")

    grade_excellent: float = Field(10, gt=0, description="MAPE, percent, up to which a model is excellent.")
    grade_good: float = Field(20, gt=0, description="MAPE, percent, up to which a model is good.")
    grade_acceptable: float = Field(30, gt=0, description="MAPE, percent, up to which a model is acceptable.")

    horizon_days: DaysAhead = Field(14, description="Days ahead that are forecast.")
    evaluation_origins: Origins = Field(4, description="Past origins that a recipe is scored at.")
    lookback_days: SpanDays = Field(35, ge=0, description="Days before a file's last day in which it may delete rows.")
    retrain_after_days: int = Field(28, ge=1, description="Whole data days after which a model is due.")
    retrain_after_new_days: int = Field(14, ge=1, description="New observed days after which a product is due.")
    retrain_weekday: Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun", "every"] = Field(
        "mon", description="Day on whose quiet hours all products with new sales are trained again."
    )
    clock_cron: Cron = Field("*/10 * * * *", description="Cron, UTC, of looking which tenant's night it is.")
    dagster_history_days: SpanDays = Field(
        60, ge=7, description="Days that Dagster keeps finished runs and their events."
    )
    purge_cron: Cron = Field("30 3 * * *", description="Cron of the purge of Dagster's history, UTC.")
    storage_care_cron: Cron = Field("0 4 * * *", description="Cron of the care for old models and objects, UTC.")
    watch_interval_seconds: int = Field(60, ge=5, description="Seconds between looks for new sales.")
    source_look_seconds: float = Field(
        10, gt=0, le=60, description="Seconds that a look at one tenant's database, service or files may take."
    )
    source_read_seconds: float = Field(
        600, gt=0, description="Seconds that one question to a tenant's database or service may take when it is read."
    )
    max_feature_rows: int = Field(2_000_000, ge=1, description="Rows of the features table; older days are left out.")
    workers: int | None = Field(None, ge=1, description="Worker processes a job; cores / MAX_CONCURRENT_JOBS if unset.")
    worker_memory_mb: int | None = Field(
        None, ge=512, description="Most memory of one worker process, in MB; the machine's memory / cores if unset."
    )
    task_timeout_seconds: float = Field(600, gt=0, description="Seconds that one worker task may take.")
    training_lock_wait_seconds: float = Field(
        900, ge=0, description="Seconds that a training waits for another one of the same tenant."
    )
    seed: int = Field(20_240_101, ge=0, description="Seed of everything random.")

    metrics_kept_seconds: float = Field(5, ge=0, description="Seconds in which a scrape is answered as the last one.")
    metrics_wait_seconds: float = Field(
        8, gt=0, description="Seconds that a scrape waits for figures; the registry counts as away then."
    )
    alert_breaker_minutes: SpanMinutes = Field(
        5, ge=0, description="Minutes that a breaker is open before it is an alert."
    )
    alert_queue_depth: int = Field(20, ge=0, description="Runs that may wait in the queue.")
    alert_queue_minutes: SpanMinutes = Field(10, ge=0, description="Minutes that more may wait before it is an alert.")
    alert_checksum_hours: SpanHours = Field(
        25, gt=0, description="Hours that a broken file or manifest is an alert after it was last met."
    )
    alert_coverage_least: float = Field(
        0.8, ge=0, le=1, description="Share of days inside the range, below which it is too narrow."
    )
    alert_coverage_most: float = Field(
        0.99, ge=0, le=1, description="Share of days inside the range, above which it is too wide."
    )
    alert_coverage_days: int = Field(
        100, ge=1, description="Product days that coverage must be measured on to be judged."
    )

    feedback_cron: Cron = Field("*/10 * * * *", description="Cron, UTC, of the rounds of the feedback layer.")
    freshness_seconds: float = Field(1800, gt=0, description="Seconds after which a data set is stale.")
    freshness_seconds_by_dataset: Annotated[dict[str, PositiveFloat], NoDecode] = Field(
        {}, description='The same by name as JSON, such as {"*/sales": 129600}; * stands for any letters.'
    )
    freshness_data_open_days: int = Field(2, ge=0, description="Open days without any row that raise no alarm.")
    freshness_model_grace_days: int = Field(
        7, ge=0, description="Data days beyond RETRAIN_AFTER_DAYS after which a model in use is stale."
    )
    freshness_forecast_hours: float = Field(36, gt=0, description="Hours after which a product's forecast is stale.")
    metadata_paths: str | None = Field(
        None, description="Files and folders of other systems' metadata that are watched, with commas."
    )
    metadata_adapters: Path | None = Field(
        None, description="TOML of further adapters; PIPELINE_HOME/adapters.toml, where it is there, when unset."
    )

    lineage_kept_days: SpanDays = Field(400, ge=30, description="Days that the lineage log is kept.")
    openlineage_url: SecretStr | None = Field(
        None, description="OpenLineage receiver that lineage is sent to, http://HOST:PORT; none when unset."
    )
    openlineage_api_key: SecretStr | None = Field(None, description="Sent to the receiver as a bearer token.")
    openlineage_file: Path | None = Field(None, description="File that lineage is appended to as OpenLineage events.")
    openlineage_namespace: str = Field(
        "demand-forecast", min_length=1, description="OpenLineage's namespace of jobs and data sets."
    )
    openlineage_seconds: float = Field(
        10, gt=0, le=600, description="Seconds that sending lineage may take at the end of a run."
    )

    serving_metrics_path: Path | None = Field(
        None, description="Folder of what model servers report; PIPELINE_HOME/artifacts/serving/metrics when unset."
    )
    serving_lookback_hours: int = Field(
        24, ge=1, le=MOST_HOURS_OF_WINDOWS, description="Hours of windows that are read."
    )
    serving_stale_seconds: float = Field(600, gt=0, description="Age of the latest window above which it is unhealthy.")
    serving_expected_seconds: SpanSeconds = Field(60, gt=0, description="Seconds from one window to the next.")
    serving_missing_windows: int = Field(3, ge=0, description="Windows that may be missing.")
    serving_longest_gap_seconds: float = Field(300, gt=0, description="Seconds that the longest gap may take.")
    serving_p95_ms: float = Field(500, gt=0, description="Milliseconds that the latest p95 may reach.")
    serving_p99_ms: float = Field(1000, gt=0, description="The same for the latest p99.")
    serving_failure_rate: float = Field(0.05, ge=0, le=1, description="Share of the latest requests that may fail.")
    serving_rejection_rate: float = Field(0.05, ge=0, le=1, description="The same for those that are rejected.")
    serving_forgotten_days: LongDays = Field(
        7, ge=0, description="Days after its last window from which a silent deployment is told no more."
    )

    accuracy_days: int = Field(28, ge=7, le=365, description="Last days over which issued forecasts are scored.")
    accuracy_least_worse: float = Field(
        0.25, ge=0, description="Share by which errors must exceed what the backtest promised to count as falling."
    )
    drift_least_change: float = Field(
        0.2, gt=0, lt=1, description="Share by which sales must have moved to count as drift."
    )
    drift_false_share: float = Field(
        0.3, gt=0, lt=1, description="Of the products found falling or drifting, the share that may be so by chance."
    )

    @field_validator(
        "prophet_weekly_seasonality", "prophet_yearly_seasonality", "prophet_daily_seasonality", mode="before"
    )
    @classmethod
    def _lower_case(cls, value: object) -> object:
        return str(value).lower() if isinstance(value, str | bool) else value

    @field_validator("mlflow_tracking_uri", "openlineage_url")
    @classmethod
    def _of_a_server(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("http://", "https://")):
            raise ValueError("it must be the address of a server, such as http://127.0.0.1:5000")
        return value

    @field_validator("rabbitmq_url")
    @classmethod
    def _of_a_broker(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("amqp://", "amqps://")):
            raise ValueError("it must be the address of a broker, such as amqp://user:password@127.0.0.1:5672/")
        return value

    @field_validator("freshness_seconds_by_dataset", mode="before")
    @classmethod
    def _of_json(cls, value: object) -> object:
        try:
            return json.loads(value) if isinstance(value, str) else value
        except (ValueError, RecursionError) as error:
            raise ValueError(f'it must be a JSON object such as {{"*/sales": 129600}}: {error}') from error

    @property
    def home(self) -> Path:
        """Absolute form of PIPELINE_HOME."""
        return self.pipeline_home.expanduser().resolve()


LONGEST = 300
"""Letters of a wrong value that are told."""
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
    name, value = ".".join(str(part) for part in fault["loc"]).upper(), repr(fault["input"])
    told = value if len(value) <= LONGEST else f"{value[:LONGEST]}…"
    return f"{name}: {fault['msg']}" if name in SECRETS else f"{name}={told}: {fault['msg']}"
