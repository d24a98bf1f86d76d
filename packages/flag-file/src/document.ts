// document.ts: the text of a flag file as strict JSON with positions, or the one fault for which nothing in it can be read.
//
// flagd reads the file with a plain JSON parser: comments and trailing commas are refused, and of two equal keys the last
// silently wins. The tree parser tells where such a thing stands; the values themselves come from `JSON.parse`, to which
// `__proto__` is a key like any other.

import { type Node, type ParseError, parseTree, printParseErrorCode } from 'jsonc-parser';
import type { LintCode, LintFinding } from './finding.ts';

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

/** The metadata key of the flag set that carries the position. Flat: flagd metadata holds no objects. */
export const revisionKey = 'offswitch.revision';

export interface FlagDocument {
  readonly text: string;
  readonly root: JsonObject;
  readonly flags: JsonObject;
  readonly metadata: JsonObject;
  readonly evaluators: JsonObject;
  /** The flag set's revision; 0 where there is none. */
  readonly revision: number;
  readonly rootNode: Node;
  readonly flagsNode: Node;
  readonly at: Locate;
}

export type Locate = (offset: number) => { readonly line: number; readonly column: number };
export type ParsedDocument =
  | { readonly ok: true; readonly document: FlagDocument }
  | { readonly ok: false; readonly finding: LintFinding };

export interface Member {
  readonly key: string;
  readonly keyNode: Node;
  readonly value: Node;
}

/** The members of an object node in the order of the text, duplicates included. */
export function members(node: Node): readonly Member[] {
  const known = listed.get(node);
  if (known) return known;
  const list = node.type === 'object' ? listMembers(node) : [];
  listed.set(node, list);
  return list;
}

const listed = new WeakMap<Node, readonly Member[]>();

function listMembers(node: Node): readonly Member[] {
  return (node.children ?? []).flatMap((property) => {
    const [keyNode, value] = property.children ?? [];
    return keyNode && value ? [{ key: String(keyNode.value), keyNode, value }] : [];
  });
}

/** The value of the last member of that name: the one `JSON.parse` keeps. */
export function member(node: Node, key: string): Node | undefined {
  return members(node).findLast((one) => one.key === key)?.value;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function parseDocument(text: string): ParsedDocument {
  const at = locator(text);
  const fault = (code: LintCode, offset: number, message: string): ParsedDocument => ({
    ok: false,
    finding: { code, severity: 'error', message, ...at(offset) },
  });
  if (text.trim() === '')
    return fault('empty-file', 0, 'the file is empty; restore it, or provision it again with the `offswitch` command');
  let root: unknown;
  let node: Node | undefined;
  const errors: ParseError[] = [];
  try {
    node = parseTree(text, errors, { disallowComments: true });
    root = JSON.parse(text);
  } catch (cause) {
    return syntaxFault(text, errors[0], cause, fault);
  }
  if (!node || !isObject(root)) return fault('wrong-root', 0, 'the file must be one JSON object with a member "flags"');
  const first = new Set<string>();
  for (const one of members(node)) {
    if (first.has(one.key))
      return fault(
        'duplicate-key',
        one.keyNode.offset,
        `${JSON.stringify(one.key)} is there twice, and only the last counts; merge the two`,
      );
    first.add(one.key);
  }
  const flagsNode = member(node, 'flags');
  if (!flagsNode) return fault('missing-flags', node.offset, 'there is no member "flags"; add "flags": { ... }');
  if (!isObject(root.flags)) {
    return fault(
      'wrong-root',
      flagsNode.offset,
      '"flags" must be an object from key to flag (the array form is for the flagd daemon only)',
    );
  }
  const metadataNode = member(node, 'metadata');
  const metadata = isObject(root.metadata) ? root.metadata : {};
  if (metadataNode) {
    const revisions = members(metadataNode).filter((one) => one.key === revisionKey);
    const [, second] = revisions;
    if (second)
      return fault('duplicate-key', second.keyNode.offset, `${JSON.stringify(revisionKey)} is there twice; keep the higher one`);
    const [revision] = revisions;
    const value = metadata[revisionKey];
    if (
      revision &&
      !(typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value < Number.MAX_SAFE_INTEGER)
    ) {
      return fault(
        'bad-revision',
        revision.value.offset,
        `${JSON.stringify(revisionKey)} must be a whole number from 0 up, not ${text.slice(revision.value.offset, revision.value.offset + Math.min(revision.value.length, 40))}`,
      );
    }
  }
  const revision = Object.hasOwn(metadata, revisionKey) ? Number(metadata[revisionKey]) : 0;
  const evaluators = isObject(root.$evaluators) ? root.$evaluators : {};
  return {
    ok: true,
    document: { text, root, flags: root.flags, metadata, evaluators, revision, rootNode: node, flagsNode, at },
  };
}

function syntaxFault(
  text: string,
  first: ParseError | undefined,
  cause: unknown,
  fault: (code: LintCode, offset: number, message: string) => ParsedDocument,
): ParsedDocument {
  if (text.startsWith('\uFEFF'))
    return fault('not-json', 0, 'the file starts with a byte order mark; save it as UTF-8 without one');
  if (!first)
    return fault('not-json', 0, `the file is no JSON: ${cause instanceof Error ? cause.message.slice(0, 200) : 'unreadable'}`);
  const what = printParseErrorCode(first.error);
  if (what === 'InvalidCommentToken')
    return fault('comment', first.offset, 'comments are not JSON, and flagd refuses them; put the note into a "description"');
  if (first.offset >= text.trimEnd().length || what.startsWith('UnexpectedEnd')) {
    return fault(
      'half-written',
      first.offset,
      'the file ends in the middle: a save that was cut off; save it again or restore it',
    );
  }
  return fault('not-json', first.offset, `the file is no JSON here (${what}); a missing or a trailing comma is the usual cause`);
}

function locator(text: string): Locate {
  let starts: number[] | undefined;
  return (offset) => {
    if (!starts) {
      starts = [0];
      for (let i = text.indexOf('\n'); i >= 0; i = text.indexOf('\n', i + 1)) starts.push(i + 1);
    }
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (starts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - starts[low]! + 1 };
  };
}
