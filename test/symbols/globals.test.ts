import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Btf } from '../../isf/btf/btf.ts';
import { globals } from '../../isf/btf/globals.ts';
import { buildFromKernel } from '../../isf/build-from-kernel.ts';
import { contentOf } from '../../isf/fixtures/canonical.ts';
import { unresolvedGlobals } from '../../isf/testing/unresolved-globals.ts';
import { ensureKernel } from '../../tools/setup/kernel.ts';
import { ensureVmlinux } from '../../tools/setup/vmlinux.ts';
import { contentByUs } from './dwarf2json.ts';
import { btfOfImage } from './kernel-image.ts';
import { isSameType } from './same-type.ts';

interface Symbol {
  readonly address: number | string;
  readonly type: unknown;
}

// rows.test.ts compares those of 6.1 and of the newest with an image beside
test.each(['6.12'])(
  'the variables of Debian %s that are known by name have the types of its vmlinux',
  async (series) => {
    const kernel = await ensureKernel(series);
    const btf = btfOfImage(readFileSync(kernel.vmlinuzPath));
    const { symbols } = contentByUs(await ensureVmlinux(kernel), {}) as { symbols: Record<string, Symbol> };
    expect(unresolvedGlobals(new Btf(btf), kernel.release, Object.keys(symbols))).toEqual([]);

    const lines = Object.entries(symbols).map(([name, { address }]) => {
      const digits = BigInt(String(address).replace('#', '')).toString(16).padStart(16, '0');
      return name.length <= 512 ? `${digits} D ${name}\n` : '';
    });
    const pieces: Buffer[] = [];
    const input = { btf, moduleBtf: [], kallsyms: Buffer.from(lines.join('')), kernelOffset: 0n, banner: 'b' };
    buildFromKernel({ ...input, release: kernel.release }, (piece) => pieces.push(piece));
    const found = contentOf(Buffer.concat(pieces).toString()).symbols as Record<string, Symbol>;
    const rows = Object.keys(globals).filter((name) => symbols[name] !== undefined);
    expect(rows.length).toBeGreaterThan(60);
    expect(rows.filter((name) => !isSameType(found[name]?.type, symbols[name]?.type))).toEqual([]);
  },
);
