import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type Content, contentOf, differences, digestsOf } from '../../isf/fixtures/canonical.ts';
import { ensureIsf } from '../../tools/setup/isf.ts';
import { ensureKernel } from '../../tools/setup/kernel.ts';
import { ensureVmlinux } from '../../tools/setup/vmlinux.ts';
import { contentByUs } from './dwarf2json.ts';
import golden from './golden.json' with { type: 'json' };

/** dwarf2json's ISF of the kernel, undefined where there is no dwarf2json or not enough memory for it (5 GB). */
async function isfByDwarf2json(series: string): Promise<Content | undefined> {
  const path = await ensureIsf(await ensureKernel(series)).catch(() => undefined);
  return path === undefined ? undefined : contentOf(readFileSync(path, 'utf8'));
}

test.each(['6.1', '6.12'])('the ISF of Debian %s is that of dwarf2json', async (series) => {
  const kernel = await ensureKernel(series);
  const found = contentByUs(await ensureVmlinux(kernel), { likeDwarf2json: true });
  const expected = await isfByDwarf2json(series);
  const digests = new Map(Object.entries(golden)).get(kernel.release);
  if (!expected && !digests) {
    throw new Error(
      `${kernel.release} could not be compared with anything: it is not in golden.json, and there is no dwarf2json`,
    );
  }
  if (expected) expect(differences(expected, found)).toEqual([]);
  if (digests) expect(digestsOf(found)).toEqual(digests);
});

/** Symbols whose types Volatility reads by name. */
const readByName =
  'init_task init_files init_pid_ns prog_idr tty_drivers iomem_resource mod_tree modules prb idt_table'.split(' ');

test.each(['6.1', '6.12'])(
  'mended, the ISF of Debian %s keeps types, addresses and what Volatility reads',
  async (series) => {
    const path = await ensureVmlinux(await ensureKernel(series));
    const [plain, mended] = [contentByUs(path, { likeDwarf2json: true }), contentByUs(path, {})];
    expect(Object.keys(mended.user_types).sort()).toEqual(Object.keys(plain.user_types).sort());
    expect(mended.base_types).toEqual(plain.base_types);
    const address = (entry: unknown) => (entry as { address: unknown }).address;
    for (const [name, entry] of Object.entries(mended.symbols))
      expect(address(entry)).toBe(address(plain.symbols[name]));
    for (const name of readByName) expect([name, mended.symbols[name]]).toEqual([name, plain.symbols[name]]);
    // functions that dwarf2json gives the type of a variable elsewhere
    for (const name of ['schedule', 'strlen', 'kthread']) {
      expect(mended.symbols[name]).toMatchObject({ type: { kind: 'base', name: 'void' } });
    }
  },
);
