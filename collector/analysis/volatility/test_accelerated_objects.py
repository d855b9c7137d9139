import copy
import unittest
from collections.abc import Callable, Iterator
from typing import Any

from volatility3.framework import exceptions, objects
from volatility3.framework.interfaces.objects import ObjectInformation, ObjectInterface, ReadOnlyMapping

import accelerated_objects
import accelerations
from test_accelerated_modules import OnKernel
from testing.mini_kernel import MiniKernel
from testing.node import make_node

_KNOWN = (
    *("layer_name", "native_layer_name", "offset", "member_name", "size", "type_name"),
    *("count", "data_format", "choices", "start_bit", "end_bit", "length", "max_length", "nothing"),
)
_NOT_THERE = 0xFFFFFFFF90000000


def _outcome(call: Callable[[], Any]) -> Any:
    try:
        return _describe(call())
    except (exceptions.VolatilityException, AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        return type(error), str(error)


def _describe(value: Any) -> Any:
    """All that can be known of an object without following it."""
    if isinstance(value, (list, tuple)):
        return [_describe(one) for one in value]
    if not isinstance(value, ObjectInterface):
        return value
    known = value.vol
    told = {name: (name in known, known.get(name)) for name in _KNOWN}
    linked = {
        name: name in known and getattr(known[name], "vol", {"type_name": None})["type_name"]
        for name in ("parent", "subtype")
    }
    members = sorted(known.members) if "members" in known else []
    plain = int(value) if isinstance(value, int) else float(value) if isinstance(value, float) else None
    asked = [_outcome(lambda: known.nothing), _outcome(lambda: known["nothing"])]
    return type(value).__qualname__, plain, told, linked, members, asked, isinstance(known, ReadOnlyMapping)


def _make() -> MiniKernel:
    lines = {"odd": "u8 one, s64 minus, u16 two, char[5] text, *odd next, *void any, odd_part part, odd_part[3] parts"}
    kernel = make_node(odd_part="i32 left, *odd back", **lines)
    memory = kernel.make("odd", 2, one=200, minus=-5, two=65535, text=b"abc", part___left=-7)
    kernel.put(memory, "odd", "next", memory + kernel.size("odd"))
    kernel.put(memory, "odd", "any", _NOT_THERE)
    kernel.name("an_odd", memory, "odd")
    kernel.name("a_list", memory, "odd[2]")
    fields = kernel.types["odd"]["fields"]
    base = {"kind": "base", "name": "unsigned int"}
    fields["low"] = {"offset": 0, "type": {"kind": "bitfield", "bit_position": 3, "bit_length": 4, "type": base}}
    fields["chosen"] = {"offset": 0, "type": {"kind": "enum", "name": "mod_mem_type"}}
    fields["gone"] = {"offset": 0, "type": {"kind": "struct", "name": "no_such_struct"}}
    return kernel


class SameObjects(OnKernel):
    def _told(self, kernel: MiniKernel) -> list[Any]:
        opened = self._open(kernel)
        module, context = opened.module, opened.context
        odd, several = module.object_from_symbol("an_odd"), module.object_from_symbol("a_list")
        canonical = module.object(object_type="odd", offset=odd.vol.offset | 0xFFFF << 48, absolute=True)
        names = [*kernel.types["odd"]["fields"], "_x__one", "nothing"]
        return [
            *(
                _outcome(lambda: getattr(one, name))
                for one in (odd, canonical, odd.next, odd.next.dereference())
                for name in names
            ),
            *(_outcome(call) for call in self._calls(module, context, odd, several)),
            *(_outcome(lambda: one.has_member(name)) for one in (odd, odd.next) for name in names),
            *(_outcome(lambda: repr(one)) for one in (odd, several, odd.part, odd.parts)),
            sorted(context.missing),
        ]

    @staticmethod
    def _calls(module: Any, context: Any, odd: Any, several: Any) -> Iterator[Callable[[], Any]]:
        yield from (
            lambda: several[0],
            lambda: several[-1],
            lambda: several[::-1],
            lambda: several[2],
            lambda: len(several),
        )
        yield from (
            lambda: several[1].part.left,
            lambda: odd.parts[2].left,
            lambda: list(odd.text),
            lambda: odd.next.next.next,
        )
        yield from (lambda: odd.next.part, lambda: odd.next.dereference().vol.parent, lambda: odd.any.dereference())
        yield from (lambda: odd.any.is_readable(), lambda: odd.next.is_readable(), lambda: odd.next.get_raw_value())
        yield from (
            lambda: odd.chosen.description,
            lambda: odd.chosen.choices,
            lambda: odd.chosen.MOD_DATA,
            lambda: odd.chosen.lookup(99),
        )
        yield from (
            lambda: odd.cast("odd_part").left,
            lambda: odd.text.cast("string", max_length=5),
            lambda: odd.cast("nothing"),
        )
        yield from (
            lambda: odd.next.cast("pointer"),
            lambda: odd.one.cast("char"),
            lambda: odd.minus.cast("long unsigned int"),
        )
        yield from (lambda: copy.copy(odd.one), lambda: copy.copy(odd.next), lambda: copy.copy(odd.one) + 1)
        yield lambda: module.object(object_type="pointer", offset=_NOT_THERE, absolute=True)
        yield lambda: module.object(object_type="odd", offset=_NOT_THERE, absolute=True).one
        yield lambda: module.object(
            object_type="array", offset=odd.vol.offset, absolute=True, count=3, subtype=module.get_type("u8")
        )
        subtype = module.get_type("unsigned char")
        made = module.object(object_type="array", offset=odd.vol.offset, absolute=True, count=3, subtype=subtype)
        yield from (lambda: made, lambda: made[1], lambda: made.count)
        template = module.get_type("odd")
        yield from (
            lambda: template.size,
            lambda: template.relative_child_offset("two"),
            lambda: template.child_template("gone").size,
        )
        clone = template.clone()
        clone.update_vol(size=7)
        yield from (lambda: clone.size, lambda: context.object(clone, module.layer_name, odd.vol.offset).vol.size)
        info = ObjectInformation(module.layer_name, odd.vol.offset | 0xFFFF << 48, module.layer_name)
        yield lambda: clone(context, info)
        clone.update_vol(size=9, members={"two": template.vol.members["two"]})
        yield from (lambda: clone(context, info), lambda: template.child_template("minus")(context, info))
        yield from (lambda: clone.size, lambda: context.object(clone, module.layer_name, odd.vol.offset).two)

    def test_everything_that_is_known_of_an_object(self) -> None:
        kernel = _make()
        stock = self._told(kernel)
        accelerations.apply()
        accelerated = self._told(kernel)
        for one, other in zip(accelerated, stock, strict=True):
            self.assertEqual(one, other)
        self.assertEqual(
            type(self._open(kernel).module.object_from_symbol("an_odd").vol), accelerated_objects.ReadOnlyMapping
        )

    def test_choices_are_turned_round_once_and_not_for_ever(self) -> None:
        turn = accelerated_objects._inverse_choices
        for number in range(2 * accelerated_objects._INVERSES_LIMIT):
            choices = {"a": number, "b": number, "c": number + 1}
            self.assertEqual(turn(objects.Enumeration, choices), {number: "a", number + 1: "c"})
        self.assertIs(turn(objects.Enumeration, choices), turn(objects.Enumeration, choices))
        self.assertLessEqual(len(accelerated_objects._inverses), accelerated_objects._INVERSES_LIMIT)


if __name__ == "__main__":
    unittest.main()
