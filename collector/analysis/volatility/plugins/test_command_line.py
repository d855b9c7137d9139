import unittest

from plugins.command_line import join_arguments


class JoinArguments(unittest.TestCase):
    def test_joining(self) -> None:
        cases = {
            "arguments are parted by one blank": (b"nc\0-l\0-p\x004444\0", "nc -l -p 4444"),
            "an empty argument in between is kept": (b"leader\0\0two words\0", "leader  two words"),
            "an empty last argument looks like padding": (b"leader\0two words\0\0", "leader two words"),
            "a title padded to the room of the arguments": (b"nginx: worker" + b"\0" * 21, "nginx: worker"),
            "a padded title of several arguments": (b"sshd:\0root@pts/0" + b"\0" * 40, "sshd: root@pts/0"),
            "nothing but padding": (b"\0" * 8, ""),
            "a title without an end": (b"nginx: master process", "nginx: master process"),
            "bytes that are no UTF-8 are replaced and end nothing": (b"a\xff\0b\0", "a\ufffd b"),
            "no arguments": (b"", ""),
        }
        for sentence, (arguments, expected) in cases.items():
            with self.subTest(sentence):
                self.assertEqual(join_arguments(arguments), expected)
