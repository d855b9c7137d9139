import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type Content, contentOf, digestsOf, type Section } from '../../isf/fixtures/canonical.ts';
import { ensureIsf } from '../../tools/setup/isf.ts';
import { ensureKernel } from '../../tools/setup/kernel.ts';
import { ensureVmlinux } from '../../tools/setup/vmlinux.ts';
import { contentByUs } from './dwarf2json.ts';
import golden from './golden.json' with { type: 'json' };

/** Digests of dwarf2json's ISF of the kernel; golden ones but of a build that Debian offers since. */
async function digestsByDwarf2json(series: string): Promise<Record<Section, string>> {
  const kernel = await ensureKernel(series);
  const known = new Map(Object.entries(golden)).get(kernel.release);
  return known ?? digestsOf(contentOf(readFileSync(await ensureIsf(kernel), 'utf8')));
}

/** Symbols whose types Volatility reads by name. */
const readByName =
  'init_task init_files init_pid_ns prog_idr tty_drivers iomem_resource mod_tree modules prb idt_table'.split(' ');

describe.each(['6.1', '6.12'])('the ISF of Debian %s', (series) => {
  let plain: Content;

  test('is that of dwarf2json', async () => {
    plain = contentByUs(await ensureVmlinux(await ensureKernel(series)), { likeDwarf2json: true });
    expect(digestsOf(plain)).toEqual(await digestsByDwarf2json(series));
  });

  test('keeps types, addresses and what Volatility reads when it is mended', async () => {
    const mended = contentByUs(await ensureVmlinux(await ensureKernel(series)), {});
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
  });
});
