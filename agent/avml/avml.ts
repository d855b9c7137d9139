import { PreflightReason } from '@kcorder/proto/gen/kcorder/v1/node_pb.ts';
import type { Refusal } from '../refusal.ts';
import { fileFingerprint, openProgram } from './checksum.ts';
import { output, type RunningProcess, startOpenFile } from './process.ts';

/** The acquiring program as the contract names it. */
export interface Acquirer {
  readonly name: string;
  readonly version: string;
  /** Lower-case hex. */
  readonly sha256: string;
}

/** AVML at work, or why it was not started. */
export type AvmlStart =
  | { readonly kind: 'started'; readonly process: RunningProcess; readonly argv: readonly string[] }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

/** AVML of this image: never run unless its bytes are the ones that were expected. */
export class Avml {
  readonly path: string;
  readonly #expectedSha256: string;
  #acquirer: Acquirer;
  #checkedFingerprint: string | undefined;
  #refusal: Refusal | undefined;

  /** `expectedSha256` in lower-case hex. */
  constructor(path: string, expectedSha256: string) {
    this.path = path;
    this.#expectedSha256 = expectedSha256;
    this.#acquirer = { name: 'avml', version: '', sha256: expectedSha256 };
  }

  /** The program as it was when it was checked; without a version when it must not even be asked for it. */
  get acquirer(): Acquirer {
    return this.#acquirer;
  }

  /** Why it must not run now, if so. The bytes are hashed again only when the file has changed in any way. */
  check(): Refusal | undefined {
    const fingerprint = fileFingerprint(this.path);
    if (fingerprint === '' || fingerprint !== this.#checkedFingerprint) {
      const check = openProgram(this.path, this.#expectedSha256);
      this.#refusal = check.kind === 'refused' ? check.refusal : undefined;
      if (check.kind === 'intact') check.program.close();
      this.#checkedFingerprint = fingerprint;
    }
    return this.#refusal;
  }

  /** Asks the program for its version, if it may run. Once, when the agent starts. */
  async learnVersion(): Promise<void> {
    const check = openProgram(this.path, this.#expectedSha256);
    if (check.kind === 'refused') return;
    try {
      const version = (await output('avml', ['--version'], check.program.fd)).trim().split(/\s+/).at(-1) ?? '';
      this.#acquirer = { ...this.#acquirer, version };
    } finally {
      check.program.close();
    }
  }

  /** Hashes the program once more and starts exactly those bytes to write the memory behind `kcore` to `fifoPath`. */
  async start(kcore: string, fifoPath: string): Promise<AvmlStart> {
    const check = openProgram(this.path, this.#expectedSha256);
    if (check.kind === 'refused') return check;
    const { program } = check;
    try {
      // Without --source AVML may fall through to other devices.
      const args = ['acquire', '--source', kcore, fifoPath];
      const process = await startOpenFile(program.fd, 'avml', args);
      if (!program.changed()) return { kind: 'started', process, argv: ['avml', ...args] };
      // Written between the hash and the start, in the same file: what runs is not what was hashed.
      process.kill();
      await process.ended;
      const message = `AVML at ${this.path} was changed at the moment of its start; find out who changes it`;
      return { kind: 'refused', refusal: { reason: PreflightReason.AVML_ALTERED, message } };
    } finally {
      program.close();
    }
  }
}
