import { chmodSync, chownSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { faults } from '@kcorder/proto/fault.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeAuthority } from '../../tools/certificates.ts';
import { type Archive, filesBelow, unpackArchive } from '../../tools/images/archive.ts';
import { ensureImages } from '../../tools/images/build.ts';
import { type ContainerEnd, runInImage, startInImage } from '../../tools/images/container.ts';
import { repoDir } from '../../tools/setup/cache.ts';

const upLimitMs = 30_000;
const folder = mkdtempSync(join(tmpdir(), 'images-run-'));
let agent: Archive;
let collector: Archive;

/** A container's root and its mounts need root. */
describe.runIf(process.getuid?.() === 0)('in containers', () => {
  beforeAll(async () => {
    // The container's users must get there.
    chmodSync(folder, 0o755);
    const images = await ensureImages();
    agent = await unpackArchive(images.agent.path, join(folder, 'agent'));
    collector = await unpackArchive(images.collector.path, join(folder, 'collector'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('the agent starts, and says what its settings lack', async () => {
    const { code, stderr } = await runImage(agent, agent.config.config.Entrypoint);
    expect(stderr).toContain('KCORDER_COLLECTOR');
    expect(code).toBe(faults.config_invalid.exit);
  });

  test('the agent has the commands that it and its probes call, and the AVML whose digest stands beside it', async () => {
    const run = ownFolder('run', 0);
    const script =
      'mkfifo -m 600 /run/kcorder/f && test -p /run/kcorder/f && stat /run/kcorder/f && date +%s && umount --help';
    expect(await runImage(agent, ['sh', '-ec', script], { [run]: '/run/kcorder' })).toMatchObject({ code: 0 });
    const sum = await runImage(agent, ['busybox', 'sh', '-c', 'cd /usr/local/bin && busybox sha256sum -c avml.sha256']);
    expect(sum).toMatchObject({ code: 0, stdout: 'avml: OK\n' });
    expect(await runImage(agent, ['avml', '--version'])).toMatchObject({ code: 0 });
  });

  test('Node is the one of the checkout, and knows the public authorities', async () => {
    for (const image of [agent, collector]) {
      const ask = 'process.version + " " + (require("node:tls").rootCertificates.length > 100)';
      const { stdout } = await runImage(image, ['node', '--print', ask]);
      expect(stdout).toBe(`${process.version} true\n`);
    }
  });

  test('every program and library finds the libraries that it needs', async () => {
    for (const image of [agent, collector]) {
      const programs = filesBelow(image.root)
        .filter((path) => /^usr\/(local\/)?bin\/|\.so(\.[\d.]+)?$/.test(path))
        .filter((path) => !lstatSync(join(image.root, path)).isSymbolicLink() && isDynamic(join(image.root, path)));
      expect(programs.length).toBeGreaterThan(5);
      const script = 'for f; do /lib64/ld-linux-x86-64.so.2 --list "/$f" >/dev/null || echo "$f"; done';
      const { stdout, stderr } = await runImage(image, ['sh', '-c', script, 'sh', ...programs]);
      expect(stdout + stderr).toBe('');
    }
  });

  test('Python has all its modules, and Volatility in the pinned version', async () => {
    const data = ownFolder('python', 65532);
    const script = `
import importlib, os, pefile, yara_x, volatility3.framework.constants as constants
for name in os.listdir(os.path.dirname(os.__file__) + "/lib-dynload"):
    importlib.import_module(name.split(".")[0])
print(constants.PACKAGE_VERSION, os.getuid(), os.getgid())
`;
    const { stdout, stderr } = await runImage(collector, ['python3', '-c', script], { [data]: '/var/lib/kcorder' });
    const pinned = /^volatility3==(\S+)/m.exec(
      readFileSync(join(repoDir, 'collector/analysis/volatility/requirements.txt'), 'utf8'),
    );
    expect(`${stdout}${stderr}`).toBe(`${pinned?.[1]} 65532 65532\n`);
  });

  test('an analysis gets as far as the image that it is told, with the bare environment and what stands around it', async () => {
    const data = ownFolder('analysis', 65532);
    const preparation = {
      ...{ isfPath: '/app/NOTICE', isfSha256: '0'.repeat(64), plugins: ['processes'], images: '/var/lib/kcorder' },
      ...{ limits: { memoryBytes: 2 ** 32, fileBytes: 2 ** 30 }, cacheDir: '/var/lib/kcorder', mustBeConfined: true },
    };
    const program = ['/usr/bin/python3', '/app/collector/analysis/volatility/run.py', '1'];
    const argv = ['setpriv', '--pdeathsig', 'KILL', ...program];
    const input = `${JSON.stringify(preparation)}\n`;
    const { code, stdout } = await runImage(collector, argv, { [data]: '/var/lib/kcorder' }, input);
    expect(stdout).toMatch(/^\{"type":"confined","level":"full",.*\}\n\{"type":"fatal","reason":"symbols_rejected"/);
    expect(code).toBe(3);
    expect(await runImage(collector, ['xz', '--version'])).toMatchObject({ code: 0 });
    expect((await runImage(collector, ['unshare', '--version'])).stdout).toContain('util-linux');
  });

  test('Python finds everything compiled', () => {
    const volatility = join(collector.root, 'app/collector/analysis/volatility');
    const compiled = readdirSync(join(volatility, '__pycache__')).map((name) =>
      name.replace(/\.cpython-\d+\.pyc$/, '.py'),
    );
    for (const name of readdirSync(volatility).filter((file) => file.endsWith('.py'))) expect(compiled).toContain(name);
  });

  test('every package that the collector names can be loaded', async () => {
    const manifest = readFileSync(join(repoDir, 'collector/package.json'), 'utf8');
    const { dependencies } = JSON.parse(manifest) as { dependencies: Record<string, string> };
    const others = Object.keys(dependencies).filter((name) => !name.startsWith('@kcorder/'));
    // @peculiar/x509 refuses to be loaded before this one.
    const names = [...new Set([...others.filter((name) => name === 'reflect-metadata'), ...others])];
    const script = `for (const name of ${JSON.stringify(names)}) require(require.resolve(name, { paths: ['/app/collector'] }))`;
    expect(await runImage(collector, ['node', '-e', script])).toMatchObject({ code: 0, stderr: '' });
  });

  test('the collector comes up as a user without rights, on a root that is read-only', async () => {
    const data = ownFolder('data', 65532);
    const { dir } = makeAuthority(join(folder, 'authority')).server();
    for (const name of readdirSync(dir)) chownSync(join(dir, name), 65532, 65532);
    const mounts = { [data]: '/var/lib/kcorder', [dir]: '/etc/kcorder/tls' };
    const { Entrypoint, User } = collector.config.config;
    const env = { ...environmentOf(collector), KCORDER_LISTEN: '127.0.0.1:0', KCORDER_METRICS_LISTEN: '127.0.0.1:0' };
    const child = startInImage(collector.root, Entrypoint, { user: User, env, mounts });
    let log = '';
    const up = new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`the collector did not come up:\n${log}`)), upLimitMs);
      child.stderr?.setEncoding('utf8').on('data', (text: string) => {
        log += text;
        if (log.includes('collector is up')) resolve();
      });
      child.once('close', () => reject(new Error(`the collector ended:\n${log}`)));
      child.once('close', () => clearTimeout(timer));
    });
    const ended = new Promise((resolve) => child.once('close', resolve));
    try {
      await up;
    } finally {
      child.kill('SIGKILL');
      await ended;
    }
    expect(readdirSync(data)).toContain('kcorder.db');
  });
});

async function runImage(
  image: Archive,
  argv: readonly string[],
  mounts: Readonly<Record<string, string>> = {},
  stdin = '',
): Promise<ContainerEnd> {
  return await runInImage(image.root, argv, {
    user: image.config.config.User,
    env: environmentOf(image),
    mounts,
    stdin,
  });
}

/** As a runtime gives it. */
function environmentOf({ config }: Archive): Record<string, string> {
  const pairs = config.config.Env.map((pair): [string, string] => [
    pair.split('=')[0] ?? '',
    pair.slice(pair.indexOf('=') + 1),
  ]);
  return { HOME: '/var/lib/kcorder', ...Object.fromEntries(pairs) };
}

function ownFolder(name: string, uid: number): string {
  const path = join(folder, `own-${name}`);
  mkdirSync(path);
  chownSync(path, uid, uid);
  return path;
}

/** Whether a file is an ELF program or library that is not static: it has a dynamic section (type 2 of the program headers). */
function isDynamic(path: string): boolean {
  const bytes = readFileSync(path);
  if (bytes.toString('latin1', 0, 4) !== '\x7fELF') return false;
  const [start, count] = [Number(bytes.readBigUInt64LE(32)), bytes.readUInt16LE(56)];
  return Array.from({ length: count }, (_, index) => bytes.readUInt32LE(start + 56 * index)).includes(2);
}
