import { type ChildProcess, spawn } from 'node:child_process';

export interface ContainerOptions {
  /** `UID:GID`. */
  readonly user: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Folders of this machine, and where the container sees them. */
  readonly mounts?: Readonly<Record<string, string>>;
  readonly stdin?: string;
}

export interface ContainerEnd {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

// As a runtime does it for a pod that may do little: read-only root, own /proc, no new privileges. The shell stays: were the program the first
// process, it would lose the order to end with us when it becomes another user.
const script = `
set -e
root=$1 user=$2
shift 2
mount --bind "$root" "$root"
mount -o remount,bind,ro,nosuid "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
while [ "$1" != -- ]; do mount --bind "$1" "$root$2"; shift 2; done
shift
code=0
/usr/sbin/chroot --userspec="$user" "$root" "$@" || code=$?
exit $code
`;

/** Starts a program in an unpacked image. It ends with this process. Needs root. */
export function startInImage(root: string, argv: readonly string[], options: ContainerOptions): ChildProcess {
  const apart = ['--no-new-privs', '--pdeathsig', 'KILL', 'unshare', '--mount', '--pid', '--fork', '--kill-child=KILL'];
  const mounts = Object.entries(options.mounts ?? {}).flat();
  const child = spawn('setpriv', [...apart, 'sh', '-c', script, 'sh', root, options.user, ...mounts, '--', ...argv], {
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin?.on('error', () => {});
  child.stdin?.end(options.stdin ?? '');
  return child;
}

/** Runs a program in an unpacked image to its end. */
export async function runInImage(
  root: string,
  argv: readonly string[],
  options: ContainerOptions,
): Promise<ContainerEnd> {
  const child = startInImage(root, argv, options);
  let [stdout, stderr] = ['', ''];
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}
