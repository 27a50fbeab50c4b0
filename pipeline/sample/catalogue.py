"""The three sample businesses: where they stand, when they close, and what they sell. Data only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

from contracts.tenants import Weekday


class Role(StrEnum):
    """What is special about a product."""

    REGULAR = "regular"
    NEW = "new"
    """On sale for the last 45 days."""
    NEWEST = "newest"
    """On sale for the last 20 days: fewer than training needs."""
    DISCONTINUED = "discontinued"
    """Not sold in the last 200 days."""
    SLOW = "slow"
    """70 to 90 % of days without a sale."""
    RARE = "rare"
    """More than 90 % of days without a sale."""


@dataclass(frozen=True)
class Kind:
    """How a kind of product sells; each product varies it a little.

    `weekly` multipliers Monday to Sunday; `yearly` amplitude, as a share, and `peak` day of the year;
    `warm` log change per 10 °C; `rain` log change per 10 mm; `holiday` and `promotion` multipliers.
    """

    weekly: tuple[float, float, float, float, float, float, float]
    yearly: float
    peak: int
    warm: float
    rain: float
    holiday: float
    promotion: float


KINDS: dict[str, Kind] = {
    "bread": Kind((0.92, 0.88, 0.90, 0.94, 1.05, 1.25, 1.06), 0.05, 20, -0.01, -0.03, 1.20, 1.15),
    "pastry": Kind((0.78, 0.80, 0.84, 0.88, 1.05, 1.40, 1.45), 0.10, 355, -0.05, -0.06, 1.45, 1.45),
    "cake": Kind((0.60, 0.65, 0.75, 0.85, 1.15, 1.50, 1.70), 0.18, 350, -0.06, -0.05, 1.80, 1.55),
    "hot": Kind((1.08, 1.10, 1.12, 1.10, 1.12, 0.80, 0.68), 0.14, 15, -0.16, 0.08, 0.65, 1.25),
    "cold": Kind((0.88, 0.86, 0.90, 0.96, 1.10, 1.20, 1.10), 0.20, 210, 0.28, -0.14, 1.15, 1.35),
    "meal": Kind((1.15, 1.18, 1.20, 1.18, 1.20, 0.62, 0.47), 0.08, 300, -0.04, -0.08, 0.55, 1.40),
}


@dataclass(frozen=True)
class Item:
    """One product: `daily` mean units a day at the end of the data, `price` at the end, in euros.

    `unit` is the smallest quantity sold: 0.25 for what is sold by weight. `id` is given by `stock`.
    """

    name: str
    kind: str
    daily: float
    price: float
    role: Role = Role.REGULAR
    unit: float = 1.0
    location: str = ""
    id: str = ""


@dataclass(frozen=True)
class Climate:
    """Mean temperature and half its yearly swing in °C; share of days with rain; mm on such a day."""

    mean: float
    swing: float
    wet_days: float
    rain: float


@dataclass(frozen=True)
class Business:
    """A sample business.

    `days` is the length of its history, `codes` the stem of its product codes, if any.

    `covariates` says how weather and promotions are given; without them they have no effect either.
    """

    id: str
    name: str
    country: str
    region: str | None
    timezone: str
    days: int
    climate: Climate
    items: tuple[Item, ...]
    closed_weekdays: tuple[Weekday, ...] = ()
    closed_christmas: bool = False
    closed_holidays: bool = False
    closed_sundays_at: str = ""
    codes: str = ""
    covariates: Literal["none", "by_date", "by_product"] = "none"


BAKERY = Business(
    "horno_sol",
    "Horno del Sol",
    "ES",
    "MD",
    "Europe/Madrid",
    830,
    Climate(15.0, 10.5, 0.17, 6.0),
    (
        Item("Barra de pan", "bread", 82.0, 1.1),
        Item("Croissant", "pastry", 34.0, 1.5),
        Item("Magdalena de limón", "pastry", 21.0, 0.95),
        Item("Pan de pueblo (kg)", "bread", 9.0, 4.2, unit=0.25),
        Item("Café con leche", "hot", 29.0, 1.7),
        Item("Chapata", "bread", 24.0, 1.35),
        Item("Pan integral", "bread", 18.0, 2.2),
        Item("Napolitana de crema", "pastry", 19.0, 1.6),
        Item("Ensaimada", "pastry", 12.0, 1.8),
        Item("Tarta de almendra, ración", "cake", 7.0, 3.4),
        Item("Palmera de chocolate", "pastry", 14.0, 2.1),
        Item("Empanada de atún", "meal", 11.0, 2.9),
        Item("Bollo de leche", "pastry", 16.0, 1.2),
        Item("Roscón pequeño", "cake", 4.0, 9.5),
        Item("Pan de espelta", "bread", 6.5, 3.1),
        Item("Zumo de naranja", "cold", 13.0, 2.5),
        Item("Torrija artesana", "cake", 10.0, 2.3, Role.NEW),
        Item("Piñonada", "cake", 0.2, 4.8, Role.SLOW),
        Item("Tarta de cumpleaños por encargo", "cake", 0.05, 28.0, Role.RARE),
        Item("Pan sin gluten", "bread", 5.0, 3.6, Role.DISCONTINUED),
    ),
    closed_weekdays=("mon",),
    closed_christmas=True,
)

CAFE = Business(
    "cafe_canteras",
    "Café Las Canteras",
    "ES",
    "CN",
    "Atlantic/Canary",
    1096,
    Climate(21.0, 3.8, 0.09, 4.0),
    (
        Item("Cortado", "hot", 64.0, 1.4),
        Item("Café solo", "hot", 41.0, 1.2),
        Item("Café con leche", "hot", 38.0, 1.8),
        Item("Barraquito", "hot", 15.0, 2.6),
        Item("Agua mineral", "cold", 33.0, 1.3),
        Item("Zumo de papaya", "cold", 12.0, 3.2),
        Item("Limonada", "cold", 17.0, 2.8),
        Item("Helado, 1 bola", "cold", 26.0, 2.2),
        Item("Helado, 2 bolas", "cold", 14.0, 3.6),
        Item("Tostada con tomate", "meal", 23.0, 2.4),
        Item("Bocadillo de pata", "meal", 19.0, 4.9),
        Item("Ensalada canaria", "meal", 8.0, 7.8),
        Item("Croissant", "pastry", 22.0, 1.7),
        Item("Quesadilla herreña", "pastry", 9.0, 2.1),
        Item("Bizcocho de plátano", "cake", 12.0, 2.49),
        Item("Tarta de queso, porción", "cake", 6.0, 3.9),
        Item("Té verde", "hot", 7.0, 1.9),
        Item("Horchata", "cold", 3.5, 2.7),
        Item("Batido de mango", "cold", 15.0, 3.8, Role.NEWEST),
        Item("Caja de bombones gomeros", "cake", 0.06, 16.0, Role.RARE),
        Item("Mojo casero, tarro", "meal", 0.25, 5.5, Role.SLOW),
    ),
    covariates="by_date",
)

MARKET, KIOSK = "Croix-Rousse", "Kiosque Part-Dieu"

BOULANGERIE = Business(
    "maison_perrache",
    "Maison Perrache",
    "FR",
    None,
    "Europe/Paris",
    1000,
    Climate(13.0, 9.5, 0.29, 7.0),
    (
        Item("Baguette tradition", "bread", 118.0, 1.35, location=MARKET),
        Item("Croissant", "pastry", 52.0, 1.3, location=MARKET),
        Item("Pain au chocolat", "pastry", 44.0, 1.4, location=MARKET),
        Item("Sandwich jambon-beurre", "meal", 31.0, 4.6, location=KIOSK),
        Item("Café crème", "hot", 36.0, 2.2, location=KIOSK),
        Item("Pain de campagne", "bread", 21.0, 3.4, location=MARKET),
        Item("Pain aux céréales", "bread", 16.0, 3.2, location=MARKET),
        Item("Brioche pralinée", "cake", 13.0, 5.8, location=MARKET),
        Item("Éclair au café", "cake", 12.0, 3.3, location=MARKET),
        Item("Tarte aux pralines, part", "cake", 9.0, 3.9, location=MARKET),
        Item("Chausson aux pommes", "pastry", 14.0, 2.1, location=MARKET),
        Item("Croissant à emporter", "pastry", 27.0, 1.5, location=KIOSK),
        Item("Quiche lorraine", "meal", 12.0, 4.4, location=KIOSK),
        Item("Salade César", "meal", 8.0, 7.2, location=KIOSK),
        Item("Thé glacé maison", "cold", 11.0, 3.0, location=KIOSK),
        Item("Jus de pomme", "cold", 9.0, 2.8, location=KIOSK),
        Item("Chocolat chaud", "hot", 10.0, 3.1, location=KIOSK),
        Item("Fougasse aux olives", "bread", 6.0, 2.9, location=MARKET),
        Item("Bugnes lyonnaises", "pastry", 11.0, 2.6, Role.NEW, location=MARKET),
        Item("Pièce montée", "cake", 0.05, 95.0, Role.RARE, location=MARKET),
        Item("Pain surprise", "meal", 0.3, 32.0, Role.SLOW, location=MARKET),
    ),
    closed_holidays=True,
    closed_sundays_at=KIOSK,
    codes="MP-",
    covariates="by_product",
)

BUSINESSES: tuple[Business, ...] = (BAKERY, CAFE, BOULANGERIE)


def stock(business: Business, count: int | None = None) -> tuple[Item, ...]:
    """Return the first `count` products with their ids; past the catalogue's end it begins again (`Croissant 2`)."""
    wanted = len(business.items) if count is None else count
    return tuple(_numbered(business, number) for number in range(wanted))


def _numbered(business: Business, number: int) -> Item:
    lap, place = divmod(number, len(business.items))
    item = business.items[place]
    name = f"{item.name} {lap + 1}" if lap else item.name
    return replace(item, name=name, id=f"{business.codes}{number + 1:03d}" if business.codes else name)
