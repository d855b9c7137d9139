"""Objects of Volatility 2.28.2 with the same values, made with less work: nearly all time of a plugin goes into these.

Stock keeps what it knows of an object in a chain of four mappings, one of which answers by raising, and copies its
template's mapping for each object. Here that is one dictionary, and what templates give is computed once per template.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from volatility3.framework import objects
from volatility3.framework.interfaces import objects as interfaces
from volatility3.framework.objects import templates

_PLAN, _SIZE = "_kcorder_plan", "_kcorder_size"
_PRIMITIVE, _POINTER = objects.PrimitiveObject, objects.Pointer
_INTEGERS = (_PRIMITIVE.__new__, _PRIMITIVE.__init__, _PRIMITIVE._unmarshall.__func__)
_POINTERS = (_PRIMITIVE.__new__, _POINTER.__init__, _POINTER._unmarshall.__func__)
_AGGREGATES = (object.__new__, objects.AggregateType.__init__)

# Of an object that is to be: its context, and layer, address, native layer, member name, parent and size.
_Build = Callable[[Any, str, int, str, str | None, Any, int | None], Any]


_FIELDS = frozenset(field.name for field in dataclasses.fields(interfaces.ObjectInformation))


def _read_attribute(self: interfaces.ReadOnlyMapping, attribute: str) -> Any:
    # Stock asks "in" and then reads: two walks over a chain of mappings where one tells both.
    if attribute == "_dict":
        return object.__getattribute__(self, attribute)
    try:
        return self._dict[attribute]
    except KeyError:
        raise AttributeError(f"Object has no attribute: {self.__class__.__name__}.{attribute}") from None


def _is_field(_self: interfaces.ObjectInformation, key: object) -> bool:
    # Stock builds the list of field names anew for each question.
    return key in _FIELDS


class ReadOnlyMapping(interfaces.ReadOnlyMapping):
    """A view of a dictionary whose attributes are the dictionary's values, without a call for each."""

    _dict = property(lambda self: self.__dict__)

    def __getattr__(self, attribute: str) -> Any:
        raise AttributeError(f"Object has no attribute: ReadOnlyMapping.{attribute}")


class _View:
    """`object.vol`, made when it is first asked for."""

    def __get__(self, instance: Any, _owner: Any = None) -> Any:
        if instance is None:
            return self
        view = ReadOnlyMapping.__new__(ReadOnlyMapping)
        view.__dict__ = instance._vol
        instance.__dict__["vol"] = view
        return view


def _initialize(self: Any, context: Any, type_name: str, object_info: Any, **arguments: Any) -> None:
    mask = context.layers[object_info.layer_name].address_mask
    known = arguments | vars(object_info)
    known["type_name"] = type_name
    known["offset"] = object_info.offset & mask
    self._vol = known
    self._context = context


def _new_arguments(self: Any) -> Any:
    # For copies. What stock passes on are the parts of its chain of mappings.
    known = self._vol
    info = interfaces.ObjectInformation(**{name: known[name] for name in _FIELDS})
    return (self._context, known["type_name"], info, self._data_format), {"new_value": self._PrimitiveObject__new_value}


def _update_template(self: Any, **arguments: Any) -> None:
    self.__dict__.pop(_PLAN, None)
    self.__dict__.pop(_SIZE, None)
    self._vol.update(arguments)


def _size(self: Any) -> Any:
    if _SIZE not in self.__dict__:
        self.__dict__[_SIZE] = self._vol["object_class"].VolTemplateProxy.size(self)
    return self.__dict__[_SIZE]


def _call_template(self: Any, context: Any, object_info: Any) -> Any:
    info = object_info
    parts = (info.layer_name, info.offset, info.native_layer_name, info.member_name, info.parent, info.size)
    return plan_of(self)(context, *parts)


def plan_of(template: Any) -> _Build:
    """How to make the objects of a template that is no reference, remembered until the template changes."""
    build = template.__dict__.get(_PLAN)
    if build is not None:
        return build
    arguments = dict(template._vol)
    kind = arguments.pop("object_class")
    build = _planner(kind, arguments)(kind, arguments)
    template.__dict__[_PLAN] = build
    return build


def _planner(kind: type, arguments: dict[str, Any]) -> Callable[[type, dict[str, Any]], _Build]:
    makers = (kind.__new__, kind.__init__)
    names = arguments.keys()
    if makers == _AGGREGATES and names == {"type_name", "size", "members"}:
        return _plan_aggregate
    if issubclass(kind, objects.PrimitiveObject) and kind._struct_type is int and arguments["data_format"].length > 0:
        makers = (*makers, kind._unmarshall.__func__)
        if makers == _INTEGERS and names == {"type_name", "data_format"}:
            return _plan_integer
        unsigned = not arguments["data_format"].signed
        if makers == _POINTERS and unsigned and names == {"type_name", "data_format", "subtype"}:
            return _plan_pointer
    return _plan_other


def _plan_other(kind: type, arguments: dict[str, Any]) -> _Build:
    def build(context: Any, layer: str, offset: int, native: str, member: str | None, parent: Any, size: Any) -> Any:
        info = interfaces.ObjectInformation(layer, offset, native, member, parent, size)
        return kind(context=context, object_info=info, **arguments)

    return build


def _plan_aggregate(kind: type, arguments: dict[str, Any]) -> _Build:
    type_name, members = arguments["type_name"], arguments["members"]
    new = object.__new__

    def build(context: Any, layer: str, offset: int, native: str, member: str | None, parent: Any, size: Any) -> Any:
        made = new(kind)
        known = {
            "members": members,
            "layer_name": layer,
            "native_layer_name": native,
            "member_name": member,
            "parent": parent,
            "size": size,
            "type_name": type_name,
            "offset": offset & context._memory._layers[layer].address_mask,
        }
        made.__dict__ = {"_vol": known, "_context": context, "_concrete_members": {}}
        return made

    return build


def _plan_integer(kind: type, arguments: dict[str, Any]) -> _Build:
    type_name, data_format = arguments["type_name"], arguments["data_format"]
    length, order, signed = data_format
    new, from_bytes = int.__new__, int.from_bytes

    def build(context: Any, layer: str, offset: int, native: str, member: str | None, parent: Any, size: Any) -> Any:
        place = context._memory._layers[layer]
        value = from_bytes(place.read(offset, length), order, signed=signed)
        made = new(kind, value)
        known = {
            "data_format": data_format,
            "layer_name": layer,
            "native_layer_name": native,
            "member_name": member,
            "parent": parent,
            "size": size,
            "type_name": type_name,
            "offset": offset & place.address_mask,
        }
        made.__dict__ = {
            "_PrimitiveObject__new_value": value,
            "_vol": known,
            "_context": context,
            "_data_format": data_format,
        }
        return made

    return build


def _plan_pointer(kind: type, arguments: dict[str, Any]) -> _Build:
    type_name, data_format, subtype = arguments["type_name"], arguments["data_format"], arguments["subtype"]
    length, order, _signed = data_format
    new, from_bytes = int.__new__, int.from_bytes

    def build(context: Any, layer: str, offset: int, native: str, member: str | None, parent: Any, size: Any) -> Any:
        layers = context._memory._layers
        place = layers[layer]
        value = from_bytes(place.read(offset, length), order) & layers[native].address_mask
        made = new(kind, value)
        known = {
            "data_format": data_format,
            "layer_name": layer,
            "native_layer_name": native,
            "member_name": member,
            "parent": parent,
            "size": size,
            "type_name": type_name,
            "offset": offset & place.address_mask,
            "subtype": subtype,
        }
        made.__dict__ = {
            "_PrimitiveObject__new_value": value,
            "_vol": known,
            "_context": context,
            "_data_format": data_format,
            "_cache": {},
        }
        return made

    return build


def _member(self: Any, attribute: str) -> Any:
    """AggregateType.__getattr__, to which each access to a member of a structure comes."""
    if attribute in ("_concrete_members", "vol"):
        raise AttributeError("Object has not been properly initialized")
    concrete = self._concrete_members
    if attribute in concrete:
        return concrete[attribute]
    if attribute.startswith("_") and not attribute.startswith("__") and "__" in attribute:
        attribute = attribute[attribute.find("__", 1) :]
    known = self._vol
    members = known["members"]
    if attribute not in members:
        name = next((kind.__name__ for kind in objects.AggregateTypes if isinstance(self, kind)), "AggregateType")
        raise AttributeError(f"{name} has no attribute: {known['type_name']}.{attribute}")
    relative, template = members[attribute]
    context, layer = self._context, known["layer_name"]
    if isinstance(template, templates.ReferenceTemplate):
        template = context.symbol_space.get_type(template.vol.type_name)
    native = known["native_layer_name"] or layer
    offset = context._memory._layers[layer].address_mask & (known["offset"] + relative)
    size = template.__dict__.get(_SIZE)
    size = template.size if size is None else size
    made = plan_of(template)(context, layer, offset, native, attribute, self, size)
    concrete[attribute] = made
    return made


def _has_member(self: Any, name: str) -> bool:
    return name in self._vol["members"]


_INVERSES_LIMIT = 4096
_inverses: dict[int, tuple[dict[str, int], dict[int, str]]] = {}


def _inverse_choices(_kind: type, choices: dict[str, int]) -> dict[int, str]:
    # Stock turns all choices round for each value that is read.
    known = _inverses.get(id(choices))
    if known is not None:
        return known[1]
    inverse: dict[int, str] = {}
    for name, value in choices.items():
        inverse.setdefault(value, name)
    if len(_inverses) >= _INVERSES_LIMIT:
        _inverses.clear()
    # With the choices themselves, so that no others can get their identity.
    _inverses[id(choices)] = (choices, inverse)
    return inverse


PATCHES: tuple[tuple[Any, str, Any], ...] = (
    (interfaces.ReadOnlyMapping, "__getattr__", _read_attribute),
    (interfaces.ObjectInformation, "__contains__", _is_field),
    (interfaces.ObjectInterface, "__init__", _initialize),
    (interfaces.ObjectInterface, "vol", _View()),
    (interfaces.Template, "update_vol", _update_template),
    (templates.ObjectTemplate, "size", property(_size)),
    (templates.ObjectTemplate, "__call__", _call_template),
    (objects.PrimitiveObject, "__getnewargs_ex__", _new_arguments),
    (objects.AggregateType, "__getattr__", _member),
    (objects.AggregateType, "has_member", _has_member),
    (objects.Enumeration, "_generate_inverse_choices", classmethod(_inverse_choices)),
)
