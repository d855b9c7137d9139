import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readDockerfile } from '../../tools/images/dockerfile.ts';

const folder = mkdtempSync(join(tmpdir(), 'dockerfile-'));
afterAll(() => rmSync(folder, { recursive: true }));

function read(text: string) {
  const path = join(folder, 'Dockerfile');
  writeFileSync(path, text);
  return readDockerfile(path);
}

const whole = `# a comment
FROM scratch
LABEL some.name="a value"

COPY one/ /
COPY two-of-it/ /
ENV NAME="of it"
WORKDIR /
USER 1:2
ENTRYPOINT ["/bin/it", "--now"]
`;

describe('Dockerfiles', () => {
  test('what ours are made of is read', () => {
    expect(read(whole)).toEqual({
      layers: ['one', 'two-of-it'],
      env: { NAME: 'of it' },
      labels: { 'some.name': 'a value' },
      user: '1:2',
      workingDir: '/',
      entrypoint: ['/bin/it', '--now'],
    });
  });

  test.each([
    ['a base image', 'FROM scratch', 'FROM debian:12', 2],
    ['a second stage', 'ENV NAME="of it"', 'FROM scratch', 7],
    ['a command to run', 'ENV NAME="of it"', 'RUN true', 7],
    ['a download', 'COPY one/ /', 'ADD https://example.org/ /', 5],
    ['a copy to elsewhere', 'COPY one/ /', 'COPY one/ /there/', 5],
    ['a copy with another owner', 'COPY one/ /', 'COPY --chown=1 one/ /', 5],
    ['a copy from outside of the context', 'COPY one/ /', 'COPY ../one/ /', 5],
    ['a variable', 'ENV NAME="of it"', 'ENV NAME="$PATH"', 7],
    ['an argument', 'ENV NAME="of it"', 'ARG NAME', 7],
    ['a line that goes on', 'ENV NAME="of it"', 'ENV NAME="of \\', 7],
    ['an old form of ENV', 'ENV NAME="of it"', 'ENV NAME of it', 7],
    ['a working directory that would be a layer', 'WORKDIR /', 'WORKDIR /app', 8],
    ['a user by name', 'USER 1:2', 'USER kcorder', 9],
    ['an entry point for a shell', 'ENTRYPOINT ["/bin/it", "--now"]', 'ENTRYPOINT /bin/it', 10],
    ['an instruction in lower case', 'USER 1:2', 'user 1:2', 9],
    ['a directive to the parser', '# a comment', '# syntax=docker/dockerfile:1', 1],
  ])('%s is refused with its file and line', (_sentence, before, after, line) => {
    expect(() => read(whole.replace(before, after))).toThrow(`${join(folder, 'Dockerfile')}:${line}: `);
  });

  test.each(['USER', 'ENTRYPOINT'])('one without %s is refused', (name) => {
    expect(() => read(whole.replace(new RegExp(`^${name} .*\n`, 'm'), ''))).toThrow(`there is no ${name}`);
  });

  test('one without a layer is refused', () => {
    expect(() => read(whole.replaceAll(/^COPY .*\n/gm, ''))).toThrow('there is no COPY');
  });
});
