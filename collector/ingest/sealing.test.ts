import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { EvidenceDirectory } from '../evidence/evidence-directory.ts';
import { CaptureJournal } from '../journal/capture-journal.ts';
import { openDatabase } from '../journal/database.ts';
import { makeScratch } from '../testing/files.ts';
import { limeImage } from '../testing/lime-image.ts';
import { events, request } from '../testing/states.ts';
import { makeTinyDisk, mayMount } from '../testing/tiny-disk.ts';
import { Acquisitions } from './acquisitions.ts';

const image = limeImage(1, [5_000]);

/** Fills a disk to its last byte. */
function fillUp(path: string): void {
  for (let bytes = 1 << 20; bytes >= 1; bytes >>= 1) {
    try {
      for (;;) writeFileSync(path, Buffer.alloc(bytes), { flag: 'a' });
    } catch {
      // Half of it may still fit.
    }
  }
}

test.skipIf(!mayMount)(
  'on a full disk a sealing is tried for as long as it is full, and then succeeds (needs the right to mount)',
  async () => {
    using scratch = makeScratch();
    using disk = makeTinyDisk();
    const database = openDatabase(scratch.dir);
    const journal = new CaptureJournal(database);
    const evidence = new EvidenceDirectory(disk.dir);
    const acquisitions = new Acquisitions(journal, evidence, '0.1.0');
    journal.create(request, 'key', 10_000);
    journal.apply('c-1', events.opened, 'node/n1');
    const writer = await evidence.openWriter('c-1', 0);
    await writer.append(image);
    await writer.sync();
    await writer.close();
    journal.advance('c-1', image.length);
    journal.apply('c-1', events.canceled, 'operator/alice');
    const filler = join(disk.dir, 'filler');
    fillUp(filler);
    for (let attempt = 1; attempt <= 20; attempt += 1)
      await expect(acquisitions.sealUp('c-1')).rejects.toMatchObject({ code: 'ENOSPC' });
    expect(journal.get('c-1').state.phase).toBe('sealing');
    rmSync(filler);
    expect(await acquisitions.sealUp('c-1')).toMatchObject({ bytes: image.length });
    expect(journal.get('c-1').state).toMatchObject({ phase: 'sealed', outcome: { kind: 'canceled' } });
    database.close();
  },
);
