import { afterAll, beforeAll } from 'vitest';
import { type LabNode, startNode } from '../../tools/lab/node.ts';
import { describeNode } from '../lab/node.ts';
import { describeStory } from '../story/story.ts';

// Booting is slow, so one node serves all, in this order; the first run of all also fetches and builds what a node is made of.
const setupLimitMs = 900_000;

let node: LabNode;
beforeAll(async () => {
  node = await startNode({ name: `test-${process.pid}`, memoryMiB: 512 });
}, setupLimitMs);
afterAll(async () => {
  await node?.stop();
});

describeNode(() => node);
describeStory(() => node);
