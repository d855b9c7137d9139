import { describe, expect, test } from 'vitest';
import { chooseKernel, compareReleases, kernelVersions } from './apt-versions.ts';

const madison = `
linux-image-6.1.0-9-cloud-amd64 | 6.1.27-1 | mirror bookworm/main amd64 Packages
linux-image-6.1.0-9-cloud-amd64-dbg | 6.1.27-1 | mirror bookworm/main amd64 Packages
linux-image-6.1.0-49-cloud-amd64 |  6.1.174-1 | mirror bookworm-security/main amd64 Packages
linux-image-6.1.0-55-cloud-amd64 |  6.1.190-1 | mirror bookworm-security/main amd64 Packages
linux-image-6.1.0-55-cloud-amd64-dbg |  6.1.190-1 | mirror bookworm-security/main amd64 Packages
linux-image-6.1.0-56-cloud-amd64 |  6.1.192-2 | mirror bookworm-security/main amd64 Packages
linux-image-6.1.0-56-cloud-amd64-dbg |  6.1.191-1 | mirror bookworm-security/main amd64 Packages
linux-image-6.1.0-57-cloud-amd64-unsigned |  6.1.193-1 | mirror bookworm-security/main amd64 Packages
linux-image-6.12.117+deb12-cloud-amd64 | 6.12.117-1~deb12u1 | mirror bookworm-security/main amd64 Packages
linux-image-6.12.117+deb12-cloud-amd64-dbg | 6.12.117-1~deb12u1 | mirror bookworm-security/main amd64 Packages
`;

describe('kernels offered by the package lists', () => {
  test.each([
    [
      'newest first, and no unsigned one',
      '6.1',
      ['6.1.0-56-cloud-amd64', '6.1.0-55-cloud-amd64', '6.1.0-49-cloud-amd64', '6.1.0-9-cloud-amd64'],
    ],
    ['6.1 does not take 6.12, and a plus sign in the release is fine', '6.12', ['6.12.117+deb12-cloud-amd64']],
    ['a series that nobody offers has none', '5.10', []],
    [
      'newest takes all series',
      'newest',
      [
        '6.12.117+deb12-cloud-amd64',
        '6.1.0-56-cloud-amd64',
        '6.1.0-55-cloud-amd64',
        '6.1.0-49-cloud-amd64',
        '6.1.0-9-cloud-amd64',
      ],
    ],
  ])('%s', (_sentence, series, releases) => {
    expect(kernelVersions(madison, series).map((kernel) => kernel.release)).toEqual(releases);
  });

  test('a -dbg of another version is none', () => {
    const hasDebug = kernelVersions(madison, '6.1').map((kernel) => kernel.hasDebug);
    expect(hasDebug).toEqual([false, true, false, true]);
  });

  test('the package version comes with the release', () => {
    expect(kernelVersions(madison, '6.12')[0]?.packageVersion).toBe('6.12.117-1~deb12u1');
  });

  test.each([
    ['the preferred one while it is offered', '6.1.0-9-cloud-amd64', '6.1.0-9-cloud-amd64'],
    ['the preferred one even without a -dbg', '6.1.0-56-cloud-amd64', '6.1.0-56-cloud-amd64'],
    ['the newest with a -dbg when the preferred one is gone', '6.1.0-50-cloud-amd64', '6.1.0-55-cloud-amd64'],
    ['the newest with a -dbg when none is preferred', undefined, '6.1.0-55-cloud-amd64'],
  ])('chosen is %s', (_sentence, preferred, release) => {
    expect(chooseKernel(kernelVersions(madison, '6.1'), preferred)?.release).toBe(release);
  });

  test('chosen is the newest where none has a -dbg', () => {
    const without = madison.split('\n').filter((line) => !line.includes('-dbg'));
    expect(chooseKernel(kernelVersions(without.join('\n'), '6.1'), undefined)?.release).toBe('6.1.0-56-cloud-amd64');
  });

  test('nothing is chosen where nothing is offered', () => {
    expect(chooseKernel([], '6.1.0-56-cloud-amd64')).toBeUndefined();
  });

  test('releases are ordered by number, not by letter', () => {
    expect(['6.1.0-56', '6.1.0-9', '6.1.0-100'].sort(compareReleases)).toEqual(['6.1.0-9', '6.1.0-56', '6.1.0-100']);
  });
});
