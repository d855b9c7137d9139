import { expect, test } from 'vitest';
import { type LabCommand, parseLabArguments } from './arguments.ts';

const plainUp = { name: 'lab-1', kernel: '6.1', memoryMiB: 1024, la57: false };

test.each<[string, string[], LabCommand]>([
  ['up alone takes the defaults', ['up'], { kind: 'up', options: plainUp }],
  [
    'up takes name, kernel, memory and paging',
    ['up', '--name', 'big', '--kernel', '6.12', '--memory=4096', '--la57'],
    { kind: 'up', options: { name: 'big', kernel: '6.12', memoryMiB: 4096, la57: true } },
  ],
  ['down names a node', ['down', '--name', 'big'], { kind: 'down', name: 'big' }],
  ['the words of run are one command', ['run', 'ls', '-l', '/'], { kind: 'run', name: 'lab-1', command: 'ls -l /' }],
  [
    'a word of several stays one word',
    ['run', 'sh', '-c', 'exit 7'],
    { kind: 'run', name: 'lab-1', command: "sh -c 'exit 7'" },
  ],
  ['one word alone is a line for the shell', ['run', 'exit 7'], { kind: 'run', name: 'lab-1', command: 'exit 7' }],
  [
    'run takes the name before its command',
    ['run', '--name', 'big', 'ps'],
    { kind: 'run', name: 'big', command: 'ps' },
  ],
  [
    'run takes the name after its command',
    ['run', 'ps', '-o', 'pid', '--name', 'big'],
    { kind: 'run', name: 'big', command: 'ps -o pid' },
  ],
  [
    'after -- everything is the command',
    ['run', '--name=big', '--', '--name'],
    { kind: 'run', name: 'big', command: '--name' },
  ],
  ['list takes nothing', ['list'], { kind: 'list' }],
])('%s', (_sentence, args, command) => {
  expect(parseLabArguments(args)).toEqual(command);
});

test.each<[string, string[], RegExp]>([
  ['no verb', [], /up, down, run or list/],
  ['an unknown verb', ['reboot'], /there is no "reboot"/],
  ['an unknown option', ['up', '--memroy', '1'], /--memroy/],
  ['an option without its value', ['up', '--name'], /--name/],
  ['memory that is no number', ['up', '--memory', 'much'], /--memory is a number of MiB/],
  ['memory too small to boot', ['up', '--memory', '16'], /at least 256/],
  ['run without a command', ['run', '--name', 'big'], /needs a command/],
  ['list with arguments', ['list', 'all'], /takes no arguments/],
])('%s is refused and named', (_sentence, args, message) => {
  const parsed = parseLabArguments(args);
  expect(parsed.kind === 'wrong' ? parsed.message : parsed).toMatch(message);
});
