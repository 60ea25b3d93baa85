"""A Questionnaire as facts: what is asked and how it may be answered, without its texts."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]
_CORE = "http://hl7.org/fhir/StructureDefinition/"
_SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
_SINGLE = {
    "minLength": "minLength", "regex": "regex", "minValue": "minValue", "maxValue": "maxValue",
    "places": "maxDecimalPlaces", "size": "maxSize", "minOccurs": "questionnaire-minOccurs",
    "maxOccurs": "questionnaire-maxOccurs", "unitSet": "questionnaire-unitValueSet",
    "minQuantity": _SDC + "minQuantity", "maxQuantity": _SDC + "maxQuantity",
}  # fmt: skip
_WHOLE_NUMBERS = ("len", "minLength", "places", "minOccurs", "maxOccurs")
_TEXTS = ("regex", "unitSet", "vs", "any")
_SEVERAL = {"mime": "mimeType", "targets": "questionnaire-referenceResource",
            "units": "questionnaire-unitOption"}  # fmt: skip
_PLAIN = {"req": "required", "rep": "repeats", "len": "maxLength", "vs": "answerValueSet",
          "any": "enableBehavior"}  # fmt: skip


def form_row(questionnaire: Row) -> Row:
    """The items of a Questionnaire as rows."""
    return {"items": _items(questionnaire)}


def _items(holder: Row) -> list[Row]:
    return [_item(one) for one in _rows(holder.get("item"))]


def _item(item: Row) -> Row:
    told: dict[str, list[Any]] = {}
    for extension in _rows(item.get("extension")):
        url = str(extension.get("url")).removeprefix(_CORE)
        told.setdefault(url, []).extend(v for k, v in extension.items() if k.startswith("value"))
    row: Row = {"id": str(item.get("linkId")), "t": str(item.get("type"))}
    row |= {key: item[name] for key, name in _PLAIN.items() if name in item}
    row |= {key: told[url][0] for key, url in _SINGLE.items() if told.get(url)}
    row |= {key: told[url] for key, url in _SEVERAL.items() if told.get(url)}
    if "units" in row:
        row["units"] = [[u.get("system"), u.get("code")] for u in _rows(row["units"])]
    made = {"opts": [_option(one) for one in _rows(item.get("answerOption"))],
            "when": [_condition(one) for one in _rows(item.get("enableWhen"))],
            "i": _items(item)}  # fmt: skip
    row |= {key: value for key, value in made.items() if value}
    return {key: value for key, value in row.items() if _is_sound(key, value)}


def _is_sound(key: str, value: Any) -> bool:
    """Whether a fact is of its type: a Questionnaire that came with the data may hold anything."""
    if key in _WHOLE_NUMBERS:
        return type(value) is int
    if key == "size":
        return isinstance(value, int | float)
    if key in ("mime", "targets"):
        return all(isinstance(one, str) for one in value)
    return isinstance(value, str) if key in _TEXTS else True


def _option(option: Row) -> list[Any]:
    """The key of its value, the value, and whether it excludes all others."""
    key, value = next(((k, v) for k, v in option.items() if k.startswith("value")), ("", None))
    if isinstance(value, dict):
        value = {name: value[name] for name in ("system", "code", "reference") if name in value}
    alone = any(
        one.get("url") == _CORE + "questionnaire-optionExclusive" and one.get("valueBoolean")
        for one in _rows(option.get("extension"))
    )
    return [key, value, alone]


def _condition(condition: Row) -> list[Any]:
    key, value = next(((k, v) for k, v in condition.items() if k.startswith("answer")), ("", None))
    return [str(condition.get("question")), str(condition.get("operator")), key, value]


def _rows(value: Any) -> list[Row]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
