"""Ways from one object of Volatility 2.28.2 to another: what a pointer points to, an item of an array, the same bytes
as another type; and an object at an address. Stock copies a template for each."""

from typing import Any

from volatility3.framework import constants, contexts, objects
from volatility3.framework.interfaces import objects as interfaces
from volatility3.framework.objects import templates

from accelerated_objects import plan_of

_CLONE = "_kcorder_clone"


def _clone_of(template: Any) -> Any:
    """What template.clone() returns; always the same one, which nobody may change."""
    clone = template.__dict__.get(_CLONE)
    if clone is None:
        clone = template.__dict__[_CLONE] = template.clone()
    return clone


def _object(
    self: Any, object_type: Any, layer_name: str, offset: int, native_layer_name: str | None = None, **arguments: Any
) -> Any:
    if arguments or not isinstance(object_type, str):
        return _stock_object(self, object_type, layer_name, offset, native_layer_name, **arguments)
    template = self._symbol_space._resolved.get(object_type)
    if not isinstance(template, templates.ObjectTemplate):
        return _stock_object(self, object_type, layer_name, offset, native_layer_name)
    clone = _clone_of(template)
    return plan_of(clone)(self, layer_name, offset, native_layer_name or layer_name, None, None, clone.size)


def _cast(self: Any, new_type_name: str, **additional: Any) -> Any:
    if additional:
        return _stock_cast(self, new_type_name, **additional)
    if constants.BANG not in new_type_name:
        new_type_name = self.get_symbol_table_name() + constants.BANG + new_type_name
    clone = _clone_of(self._context.symbol_space.get_type(new_type_name))
    known = self._vol
    layer, native = known["layer_name"], known["native_layer_name"] or known["layer_name"]
    place = (layer, known["offset"], native, known["member_name"], known["parent"])
    return plan_of(clone)(self._context, *place, clone.size)


def _dereference(self: Any, layer_name: str | None = None) -> Any:
    known = self._vol
    layer = known["native_layer_name"] if layer_name is None else layer_name
    found = self._cache.get(layer)
    if found is None:
        layer = layer or known["native_layer_name"]
        subtype = known["subtype"]
        offset = self & self._context._memory._layers[layer].address_mask
        size = subtype.size
        found = self._cache[layer] = plan_of(subtype)(self._context, layer, offset, layer, None, self, size)
    return found


def _is_readable(self: Any, layer_name: str | None = None) -> bool:
    known = self._vol
    layer = self._context._memory._layers[layer_name or known["native_layer_name"]]
    return layer.is_valid(self, known["subtype"].size)


def _item(self: Any, index: Any) -> Any:
    known = self._vol
    number = range(known["count"])[index]
    if not isinstance(number, int):
        return _stock_item(self, index)
    layer, subtype = known["layer_name"], known["subtype"]
    size = subtype.size
    offset = self._context._memory._layers[layer].address_mask & known["offset"] + size * number
    return plan_of(subtype)(self._context, layer, offset, known["native_layer_name"] or layer, None, self, size)


_stock_object = contexts.Context.object
_stock_cast = interfaces.ObjectInterface.cast
_stock_item = objects.Array.__getitem__

PATCHES: tuple[tuple[Any, str, Any], ...] = (
    (contexts.Context, "object", _object),
    (interfaces.ObjectInterface, "cast", _cast),
    (objects.Pointer, "dereference", _dereference),
    (objects.Pointer, "is_readable", _is_readable),
    (objects.Array, "__getitem__", _item),
)
