"""What the columns of stored tables mean where no contract of rows says it; the UI shows it beside each name."""

from __future__ import annotations

_PRODUCT = {"product_id": "Key of the product in its tenant."}

CALENDAR = {
    "date": "Day.",
    "product_id": "Product that the line is about; null: all products.",
    "holiday": "Names of the public holidays, joined by a semicolon.",
    "closed": "Whether the business is known to be shut.",
}
FEATURES = {
    **_PRODUCT,
    "date": "Day that was sold.",
    "quantity": "Units sold, one-day outliers held back. What follows was known the evening before.",
}
EVALUATION = {
    **_PRODUCT,
    "tenant_id": "Tenant.",
    "origin": "Last day that the forecast had seen.",
    "date": "Day that was forecast.",
    "horizon": "Days after the origin.",
    "actual": "Units sold; null: not scored.",
    "y_hat": "Units forecast, the mean. The columns of families are what each forecast alone.",
    "lower": "0.05 quantile, units.",
    "upper": "0.95 quantile, units.",
    "scale": "Mean absolute change from week to week in the history, units: the divisor of MASE.",
    "pinball": "Loss of the day's quantiles, units: the mean of all of them.",
}
CHAMPIONS = {
    **_PRODUCT,
    "version": "The new model.",
    "promoted": "Whether it forecasts from now on.",
    "reason": "Why it was promoted or refused.",
    "withdrawn": "Version of a champion that was taken out of use; null: none.",
    "mae": "Its mean absolute error on past days, units a day.",
    "naive_mae": "That of repeating last week, on the same days.",
    "wape": "Units wrong for each unit sold.",
    "coverage": "Share of past days inside lower to upper.",
    "class_coverage": "The same over all products of its demand class.",
    "recipe_loss": "Mean loss of its recipe at the past origins; null: nothing to hold it against.",
    "champion_recipe_loss": "That of the champion's recipe on the same days.",
    "standard_error": "Of the difference of the two; null: too few weeks to tell.",
    "class_difference": "Scaled difference over all products of the class that change their recipe; above 0: worse.",
    "class_standard_error": "Of that difference.",
}
ANOMALIES = {
    **_PRODUCT,
    "date": "Day that was judged.",
    "quantity": "Units sold.",
    "usual": "Units that such a day usually sells.",
    "surprise": "Minus the decimal logarithm of the chance of sales so far off: 3 is one day in a thousand.",
    "score": "How odd the isolation forest finds the day, 0 to 1.",
    "unusual": "Whether it is odd and surprising enough to be told.",
}
FRESHNESS = {
    **_PRODUCT,
    "tenant_id": "Tenant.",
    "clock": "What is looked at: data, model or forecast.",
    "lag": "How far it lies back; null: there is nothing to count.",
    "unit": "Unit of lag and threshold.",
    "threshold": "Lag above which it is stale.",
    "status": "FRESH or STALE.",
    "reason": "What was found.",
}
