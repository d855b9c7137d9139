/** The whole environment of a runner: nothing of the collector's own gets there. */
export function runnerEnvironment(privateDir: string): Record<string, string> {
  return {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    LANG: 'C.UTF-8',
    HOME: privateDir,
    TMPDIR: privateDir,
    XDG_CACHE_HOME: privateDir,
    PYTHONDONTWRITEBYTECODE: '1',
  };
}
