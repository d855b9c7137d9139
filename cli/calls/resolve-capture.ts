import { Fault } from '@kcorder/proto/fault.ts';
import { type Capture, Phase } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { isComplete } from '../render/capture-words.ts';
import { isDeleted } from '../render/storage.ts';
import type { Session } from '../session.ts';
import { getCapture, listCaptures } from './captures.ts';

const wholeId = /^c\d{8}t\d{6}-[0-9a-f]{8}$/;
/** Of an id: fewer characters say too little. */
const fewestCharacters = 4;
const mostCandidates = 5;

/** Something that a command needs of the capture that a node's name stands for. */
export interface Need {
  has(capture: Capture): boolean | Promise<boolean>;
  /** It in words, after "has no": `process list`. */
  readonly words: string;
}

export const sealedImage: Need = { has: ({ sha256 }) => sha256 !== '', words: 'sealed image' };

/** One that the collector analyzes again. */
export const completeImage: Need = {
  has: (capture) => capture.phase === Phase.DONE && isComplete(capture),
  words: 'complete image',
};

/**
 * Returns the one capture that a word on the command line stands for: its full id; a node's name, for the newest capture of the node that has what
 * is needed and is not deleted; the beginning of an id. Throws Fault capture_unknown, evidence_deleted, and invalid_argument for a beginning of several ids.
 */
export async function resolveCapture(session: Session, word: string, need?: Need): Promise<Capture> {
  // A node can be named like an id.
  const isId = wholeId.test(word);
  return (
    (await withId(session, word)) ??
    (isId ? undefined : await newestOf(session, word, need)) ??
    (await withBeginning(session, word))
  );
}

/** Returns its id alone, as resolveCapture: whoever names it in full needs no right but that of the command. */
export async function resolveId(session: Session, word: string, need?: Need): Promise<string> {
  return wholeId.test(word) ? word : (await resolveCapture(session, word, need)).id;
}

async function withId(session: Session, word: string): Promise<Capture | undefined> {
  try {
    return await getCapture(session, word);
  } catch (error) {
    const fault = Fault.from(error);
    if (fault.code !== 'capture_unknown' && fault.code !== 'invalid_argument') throw fault;
    return undefined;
  }
}

/** Undefined for what is no node with captures. */
async function newestOf(session: Session, node: string, need: Need | undefined): Promise<Capture | undefined> {
  let newest: Capture | undefined;
  let gone: Capture | undefined;
  for await (const capture of listCaptures(session, node)) {
    newest ??= capture;
    if (need === undefined) return capture;
    if (!(await need.has(capture))) continue;
    if (isDeleted(capture.storage)) {
      gone ??= capture;
      continue;
    }
    if (newest !== capture)
      session.warn(`capture ${newest.id} of ${node} is newer, but has no ${need.words}; this is ${capture.id}`);
    return capture;
  }
  if (newest === undefined || need === undefined) return undefined;
  if (gone !== undefined)
    throw new Fault(
      'evidence_deleted',
      `no capture of node ${node} has a ${need.words}: the evidence of capture ${gone.id}, the newest that had one, is deleted. See \`kcorder get captures ${gone.id}\`.`,
    );
  throw new Fault(
    'capture_unknown',
    `no capture of node ${node} has a ${need.words}; the newest is ${newest.id}. See \`kcorder get captures ${newest.id}\`.`,
  );
}

async function withBeginning(session: Session, word: string): Promise<Capture> {
  const found: Capture[] = [];
  if (word.length >= fewestCharacters) {
    for await (const capture of listCaptures(session, '')) {
      if (capture.id.startsWith(word)) found.push(capture);
      if (found.length > mostCandidates) break;
    }
  }
  const [only] = found;
  if (only === undefined)
    throw new Fault(
      'capture_unknown',
      `"${word}" is neither a capture's id nor the beginning of one (at least ${fewestCharacters} characters) nor a node with captures. See \`kcorder get captures\` and \`kcorder get nodes\`.`,
    );
  if (found.length === 1) return only;
  const named = found.slice(0, mostCandidates).map(({ id, nodeName }) => `${id} (${nodeName})`);
  const more = found.length > mostCandidates ? ' and more' : '';
  throw new Fault(
    'invalid_argument',
    `"${word}" is the beginning of several captures: ${named.join(', ')}${more}. Give more characters of the id.`,
  );
}
