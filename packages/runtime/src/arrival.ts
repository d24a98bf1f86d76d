// arrival.ts: a path that came from another process, verified; and the path of one of ours, signed to go to another.

import { RuntimeError } from './error.ts';
import type { Above } from './journal.ts';
import { hasEnded, type LineageStore } from './lineage-store.ts';
import type { Node } from './node.ts';
import { tokenIn } from './path/carrier.ts';
import type { PathKeys } from './path/path-keys.ts';
import type { PathSegment } from './path/segment.ts';
import { expired, extend, type OpenedPath, openToken, type SignedPath, signRoot } from './path/signed-path.ts';

/**
 * A verified path from another process: pass it as `parent`, and what begins is a child of the session that carried it, wherever
 * that lives (S2).
 */
export interface Arrival {
  /** Root first, the session that carried it last. */
  readonly path: readonly string[];
  readonly workflow: string;
  readonly userId: string | undefined;
  readonly conversationId: string | undefined;
  /** The call it was carried for: it has one child. */
  readonly call: string | undefined;
}

/** How long a carrier may be used to start a child. Milliseconds, default 600,000 (10 min): long enough for a queue, short enough for a thief. */
export const carryForMs = 600_000;

interface Opened {
  readonly path: OpenedPath;
  readonly above: Above;
  /** Why nothing began under it, or could be waited for. */
  readonly failures: WeakSet<RuntimeError>;
}

const opened = new WeakMap<Arrival, Opened>();

/** Verifies a token, and asks the store whether its root is known and lives. Throws the path's codes, `root_unknown`, `root_settled`. */
export async function openArrival(keys: PathKeys, token: string, now: number, lineage: LineageStore): Promise<Arrival> {
  const path = openToken(keys, token, now);
  const root = path.segments[0]!.session;
  const known = await lineage.find(root, root);
  if (!known) throw refused('root_unknown', root);
  if (hasEnded(known.state)) throw refused('root_settled', root);
  const last = path.segments.at(-1)!;
  if (last.workflow === undefined) throw new RuntimeError('path_malformed', `the path of ${last.session} names no workflow`);
  const arrival: Arrival = {
    path: path.segments.map((segment) => segment.session),
    workflow: last.workflow,
    userId: last.user,
    conversationId: last.conversation,
    call: path.call,
  };
  const { left } = known;
  const above: Above = { segments: path.segments, ...(left === undefined ? {} : { left }) };
  opened.set(arrival, { path, above, failures: new WeakSet() });
  return arrival;
}

/** Begins something under an arrival, and keeps why it could not: its door answers that (`acceptRequest`), and leaves all else to the application. */
export async function under<T>(arrival: Arrival, begin: () => Promise<T>): Promise<T> {
  try {
    return await begin();
  } catch (error) {
    if (RuntimeError.is(error)) opened.get(arrival)?.failures.add(error);
    throw error;
  }
}

/** Is this why something did not begin under that arrival? Not for one of another request, nor for what is no arrival. */
export function failedUnder(arrival: unknown, error: RuntimeError): boolean {
  return opened.get(arrival as Arrival)?.failures.has(error) ?? false;
}

/** The token in what came. Throws `path_missing` where there is none. */
export function tokenOf(carrier: string | object): string {
  const token = typeof carrier === 'string' ? carrier : tokenIn(carrier);
  if (token === undefined)
    throw new RuntimeError('path_missing', 'what came carries no path; the caller sends what carry() gives');
  return token;
}

/**
 * Who is above. Throws `invalid_option` for something that no `accept` of this process gave, `path_expired` for what waited
 * here until the path was good no more, which `refusing` records.
 */
export function aboveOf(arrival: Arrival, now: number, refusing: (error: RuntimeError) => RuntimeError): Above {
  const known = opened.get(arrival);
  if (!known) throw new RuntimeError('invalid_option', 'parent is no arrival; get one from accept');
  const { path, above } = known;
  if (!(now < path.expiresAt)) throw refusing(expired(path.expiresAt));
  return above;
}

/** The path of a session by its place. Throws `path_keys_missing`, `path_too_long`. */
export function signNode(keys: PathKeys, node: Node): SignedPath {
  const nodes: Node[] = [];
  for (let at: Node | undefined = node; at; at = at.parent) nodes.unshift(at);
  const [root, ...rest] = nodes.map(segmentOf);
  return rest.reduce(extend, signRoot(keys, root!));
}

function segmentOf(node: Node): PathSegment {
  return {
    session: node.id,
    ...(node.workflow === undefined ? {} : { workflow: node.workflow }),
    ...(node.userId === undefined ? {} : { user: node.userId }),
    ...(node.conversationId === undefined ? {} : { conversation: node.conversationId }),
  };
}

/** The topmost of a place in a graph, or of a loop at a gate. */
export function rootOf<One extends { readonly parent: One | undefined }>(one: One): One {
  let root = one;
  while (root.parent) root = root.parent;
  return root;
}

export function refused(code: 'root_unknown' | 'root_settled', root: string): RuntimeError {
  return new RuntimeError(
    code,
    code === 'root_unknown'
      ? `nobody knows the session ${root} that this path begins with, so nothing may begin under it`
      : `session ${root}, with which this path begins, has ended, so nothing may begin under it`,
  );
}
