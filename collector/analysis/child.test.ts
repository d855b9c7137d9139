import { text } from 'node:stream/consumers';
import { expect, test, vi } from 'vitest';
import { startChild } from './child.ts';

test('a program that has ended is not killed, since its pid may be of another by then', async () => {
  const child = await startChild(['true'], { cwd: '/', env: {} });
  child.stdin.end();
  child.stdout.resume();
  await child.ended;
  const kill = vi.spyOn(process, 'kill').mockReturnValue(true);
  try {
    child.kill();
    expect(kill).not.toHaveBeenCalled();
  } finally {
    kill.mockRestore();
  }
});

test('a program that writes to stderr without end is read at leisure, and its end is noticed', async () => {
  const script = `
import os, time
end, written = time.monotonic() + 1, 0
while time.monotonic() < end: written += os.write(2, b"x" * 65536)
print(written)
os.write(2, b"last")`;
  const child = await startChild(['/usr/bin/python3', '-c', script], { cwd: '/', env: {} });
  child.stdin.end();
  const written = await text(child.stdout);
  expect(Number(written)).toBeLessThan(64 << 20);
  expect(await child.ended).toMatchObject({ code: 0, stderr: expect.stringMatching(/xlast$/) });
});
