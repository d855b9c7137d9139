import unittest
import unittest.mock

from volatility3.framework import exceptions

from memory import ListWalk, follow_list, read_string

_HEAD = 0x1000


class _Memory:
    """Bytes at addresses; whatever was not put there is not in the image."""

    address_mask = 0xFFFFFFFFFFFF

    def __init__(self) -> None:
        self._bytes: dict[int, int] = {}

    def put(self, address: int, data: bytes) -> None:
        self._bytes.update({address + index: byte for index, byte in enumerate(data)})

    def link(self, *nodes: int) -> None:
        for node, following in zip(nodes, nodes[1:], strict=False):
            self.put(node, (following | 0xFFFF << 48).to_bytes(8, "little"))
            self.put(following + 8, node.to_bytes(8, "little"))

    def forget(self, address: int, length: int) -> None:
        for index in range(length):
            self._bytes.pop(address + index, None)

    def read(self, offset: int, length: int) -> bytes:
        try:
            return bytes(self._bytes[offset + index] for index in range(length))
        except KeyError as error:
            raise exceptions.InvalidAddressException("memory", offset) from error


class FollowList(unittest.TestCase):
    def setUp(self) -> None:
        self.memory = _Memory()
        self.memory.link(_HEAD, 0x2000, 0x3000, 0x4000, _HEAD)

    def test_a_sound_list_is_complete_and_in_its_order(self) -> None:
        self.assertEqual(follow_list(self.memory, _HEAD), ListWalk((0x2000, 0x3000, 0x4000), True))

    def test_an_empty_list_is_complete(self) -> None:
        self.memory.link(_HEAD, _HEAD)
        self.assertEqual(follow_list(self.memory, _HEAD), ListWalk((), True))

    def test_a_node_that_is_not_in_the_image_costs_only_itself(self) -> None:
        self.memory.forget(0x3000, 16)
        self.assertEqual(follow_list(self.memory, _HEAD), ListWalk((0x2000, 0x4000), False))

    def test_a_loop_that_leaves_out_the_head_ends_and_is_told(self) -> None:
        self.memory.put(0x3000, (0x2000).to_bytes(8, "little"))
        self.assertEqual(follow_list(self.memory, _HEAD), ListWalk((0x2000, 0x3000, 0x4000), False))

    def test_what_leads_nowhere_but_backward_is_not_listed(self) -> None:
        self.memory.link(0x2000, 0x4000)
        self.memory.put(0x4008, (0x3000).to_bytes(8, "little"))
        self.assertEqual(follow_list(self.memory, _HEAD), ListWalk((0x2000, 0x4000), True))

    def test_a_list_that_is_longer_than_any_ends_and_is_told(self) -> None:
        with unittest.mock.patch("memory._NODE_LIMIT", 2):
            self.assertEqual(follow_list(self.memory, _HEAD), ListWalk((0x2000, 0x3000), False))

    def test_a_link_to_nowhere_is_told(self) -> None:
        self.memory.put(0x2000, (0xDEAD).to_bytes(8, "little"))
        self.assertEqual(set(follow_list(self.memory, _HEAD).nodes), {0x2000, 0x3000, 0x4000})

    def test_a_head_that_is_not_in_the_image_gives_nothing(self) -> None:
        self.assertEqual(follow_list(_Memory(), _HEAD), ListWalk((), False))


class FollowListBothWays(unittest.TestCase):
    def setUp(self) -> None:
        self.memory = _Memory()
        self.memory.link(_HEAD, 0x2000, 0x3000, 0x4000, _HEAD)

    def _expect(self, nodes: tuple[int, ...], complete: bool) -> None:
        self.assertEqual(follow_list(self.memory, _HEAD, both_ways=True), ListWalk(nodes, complete))

    def test_a_sound_list_is_complete_and_in_its_order(self) -> None:
        self._expect((0x2000, 0x3000, 0x4000), True)

    def test_a_node_that_was_freed_and_linked_anew_at_the_end_hides_nothing(self) -> None:
        # What leads to 0x2000 was read before it was freed, and 0x2000 after it had become the last one.
        self.memory.link(0x4000, 0x2000, _HEAD)
        self.memory.put(0x3008, _HEAD.to_bytes(8, "little"))
        self._expect((0x2000, 0x4000, 0x3000), True)

    def test_and_is_told_where_the_way_back_breaks_off_before_a_known_node(self) -> None:
        self.memory.link(0x4000, 0x2000, _HEAD)
        self.memory.put(0x4008, (0x122).to_bytes(8, "little"))
        self._expect((0x2000, 0x4000), False)

    def test_a_node_that_was_added_since_is_among_them(self) -> None:
        self.memory.link(0x4000, 0x5000, _HEAD)
        self.memory.put(0x4000, _HEAD.to_bytes(8, "little"))
        self._expect((0x2000, 0x3000, 0x4000, 0x5000), True)

    def test_one_that_is_broken_backward_alone_is_complete(self) -> None:
        for node in (_HEAD, 0x2000, 0x4000):
            with self.subTest(node):
                self.setUp()
                self.memory.put(node + 8, (0x122).to_bytes(8, "little"))
                self._expect((0x2000, 0x3000, 0x4000), True)


class ReadString(unittest.TestCase):
    def test_bytes_that_are_no_utf8_do_not_end_the_string(self) -> None:
        memory = _Memory()
        memory.put(0x2FF8, b"n\xff" + b"a" * 6)
        memory.put(0x3000, b"me\0" + b"x" * 4093)
        self.assertEqual(read_string(memory, 0x2FF8, 64), "n\ufffdaaaaaame")

    def test_the_page_behind_the_end_is_not_needed(self) -> None:
        memory = _Memory()
        memory.put(0x2FF8, b"1234567\0")
        self.assertEqual(read_string(memory, 0x2FF8, 64), "1234567")

    def test_a_missing_page_within_is_an_error_and_not_a_short_string(self) -> None:
        memory = _Memory()
        memory.put(0x2FF8, b"12345678")
        with self.assertRaises(exceptions.InvalidAddressException):
            read_string(memory, 0x2FF8, 64)
