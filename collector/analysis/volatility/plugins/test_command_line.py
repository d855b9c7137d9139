import unittest

from plugins.command_line import join_arguments


class JoinArguments(unittest.TestCase):
    def test_joining(self) -> None:
        cases = {
            "arguments are parted by one blank": (b"nc\0-l\0-p\x004444\0", "nc -l -p 4444"),
            "an empty last argument is kept": (b"leader\0two words\0\0", "leader two words "),
            "a title without an end": (b"nginx: master process", "nginx: master process"),
            "bytes that are no UTF-8 are replaced and end nothing": (b"a\xff\0b\0", "a\ufffd b"),
            "no arguments": (b"", ""),
        }
        for sentence, (arguments, expected) in cases.items():
            with self.subTest(sentence):
                self.assertEqual(join_arguments(arguments), expected)
