import { existsSync, readdirSync, readFileSync, statfsSync } from 'node:fs';
import { freemem } from 'node:os';
import { join } from 'node:path';
import { avmlVersion } from './avml.ts';
import { cacheDir, repoDir } from './cache.ts';
import { findProgram } from './environment.ts';
import { goVersion } from './go-build.ts';
import { hostPackages, missingHostPackages } from './host-packages.ts';
import { formatBytes } from './progress.ts';
import { findPython } from './python-packages.ts';

/** `ok`: there. `later`: set-up brings it by itself. `missing`: somebody has to do something. */
interface Check {
  what: string;
  state: 'ok' | 'later' | 'missing';
  note: string;
}

/** Prints what is there and what is not. Exit code 1 if something is missing that set-up cannot bring. */
export async function doctor(): Promise<number> {
  const checks = [...(await machineChecks()), ...cacheChecks()];
  const width = Math.max(...checks.map((check) => check.what.length));
  for (const { what, state, note } of checks) {
    process.stdout.write(`${state.padEnd(8)} ${what.padEnd(width)}  ${note}\n`);
  }
  return checks.some((check) => check.state === 'missing') ? 1 : 0;
}

async function machineChecks(): Promise<Check[]> {
  const isRoot = process.getuid?.() === 0;
  const sudo = findProgram('sudo');
  const python = await findPython();
  const cargo = findProgram('cargo');
  const go = await goVersion();
  const dwarf2json = findProgram('dwarf2json');
  const missing = missingHostPackages();
  const disk = statfsSync(repoDir);
  const freeDiskBytes = disk.bavail * disk.bsize;
  return [
    { what: 'Node.js', state: 'ok', note: `${process.version}, the project's own` },
    check(
      'root or sudo',
      isRoot || sudo !== undefined,
      isRoot ? 'root' : (sudo ?? ''),
      'become root or install sudo: packages are installed with it',
    ),
    check(
      'apt-get',
      findProgram('apt-get') !== undefined,
      '',
      'the lab is made of Debian packages: use Debian or something like it',
    ),
    check('Python >= 3.11 with venv', python !== undefined, python ?? '', 'install python3 and python3-venv'),
    check('cargo', cargo !== undefined, cargo ?? '', 'install Rust: it builds AVML'),
    check(
      'Go >= 1.24',
      go !== undefined,
      go ?? '',
      'install Go for ./dev test and ./dev demo --cluster: it builds Kubernetes, CoreDNS and Helm; ./dev demo needs none',
    ),
    {
      what: 'packages of the lab',
      state: missing.length === 0 ? 'ok' : 'later',
      note:
        missing.length === 0
          ? hostPackages.map((entry) => entry.package).join(', ')
          : `to install: ${missing.join(', ')}`,
    },
    {
      what: 'dwarf2json, to compare with',
      state: dwarf2json || existsSync(join(cacheDir, 'dwarf2json/dwarf2json')) ? 'ok' : 'later',
      note: dwarf2json ?? (findProgram('go') ? 'built with Go' : 'needs Go: golang-go is installed for it'),
    },
    check(
      'disk',
      freeDiskBytes > 20e9,
      `${formatBytes(freeDiskBytes)} free`,
      `${formatBytes(freeDiskBytes)} free: make it 20000 MB`,
    ),
    check(
      'memory',
      freemem() > 5e9,
      `${formatBytes(freemem())} free`,
      `${formatBytes(freemem())} free: a node needs 1 GB, dwarf2json in the tests 5 GB`,
    ),
    { what: 'KVM', state: 'ok', note: kvmNote() },
  ];
}

function cacheChecks(): Check[] {
  const made = (what: string, folder: string, pattern: RegExp): Check => {
    const path = join(cacheDir, folder);
    const names = existsSync(path) ? readdirSync(path).filter((name) => pattern.test(name)) : [];
    return {
      what,
      state: names.length > 0 ? 'ok' : 'later',
      note: names.length > 0 ? names.join(', ') : 'made when first needed',
    };
  };
  return [
    made(`AVML ${avmlVersion}`, `avml-${avmlVersion}`, /^avml$/),
    made('QEMU', 'qemu', /^[\d.]+$/),
    made('kernels', 'kernels', /-amd64$/),
    made('vmlinux, for tests and --symbols dwarf', 'vmlinux', /-amd64$/),
    made('ISF by dwarf2json, for tests', 'isf', /\.json$/),
    made('Volatility 3', '.', /^volatility-[0-9a-f]+$/),
    made('drgn, for tests', '.', /^drgn-[0-9a-f]+$/),
    made('root disk of the lab nodes', 'lab/root-images', /^[0-9a-f]+$/),
    made('Kubernetes and CoreDNS', '.', /^(kubernetes|coredns)-[\d.]+$/),
    made('Helm and other programs of Go', 'go', /-\d+\.\d+\.\d+$/),
    made('Prometheus and Alertmanager', 'prometheus', /^\d[^/]*\d$/),
    made('container images', 'images', /^(agent|collector)$/),
    made("runtime of the agent's container", 'agent-runtimes', /\.ext4$/),
  ];
}

function check(what: string, there: boolean, found: string, todo: string): Check {
  return { what, state: there ? 'ok' : 'missing', note: there ? found : todo };
}

function kvmNote(): string {
  if (!existsSync('/dev/kvm')) return 'not offered by this machine: lab nodes run under TCG';
  const path = join(cacheDir, 'lab/accelerator');
  const known = existsSync(path) ? readFileSync(path, 'utf8').split(' ')[1] : undefined;
  if (known === undefined) return 'offered; tried when the first lab node boots';
  return known === 'kvm'
    ? 'works: lab nodes use it'
    : 'offered, but a guest does not come to life: lab nodes run under TCG';
}
