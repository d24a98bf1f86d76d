// view.ts: sessions, status and previews as people and the command line see them. Plain data.

import { type Decision, type Position, run, type Stop, type SwitchFlag, type Tier } from '@offswitch/core';
import { leftAbove } from './detached.ts';
import type { Graph, Member } from './graph.ts';
import type { Left } from './journal.ts';
import type { Node } from './node.ts';
import type { PathSegment } from './path/segment.ts';
import { unknownCalls } from './saved.ts';
import type { World } from './world.ts';

export interface SessionView {
  readonly id: string;
  readonly root: string;
  readonly path: readonly string[];
  readonly parent?: string;
  readonly agent: string;
  readonly workflow: string;
  readonly user?: string;
  readonly conversation?: string;
  /** Whom the root of its graph was detached from: the switches of their workflows and users reach it. */
  readonly left?: Left;
  /** Those above it that came by its path from other processes, root first: what their switches stop, they stop here. */
  readonly above?: readonly PathSegment[];
  /**
   * `running`; `paused`: rests in place; `parked`: rests with its memory freed; `stopping`: terminated, something of it is still in
   * flight; the rest are ends. `elsewhere`: another process has it.
   */
  readonly state: 'running' | 'paused' | 'parked' | 'stopping' | 'terminated' | 'completed' | 'failed' | 'elsewhere';
  /** The turn that is open, or was begun last. */
  readonly turn: number;
  readonly checkpointTurn: number;
  readonly costMicros: number;
  readonly decision: Decision;
  /** Calls under way. */
  readonly calls: readonly { readonly id: string; readonly kind: string; readonly name: string; readonly startedAt: number }[];
  /** Calls whose outcome a person must tell. */
  readonly unknownCalls: readonly {
    readonly id: string;
    readonly name: string;
    readonly idempotencyKey: string;
    readonly why?: string;
  }[];
  /** Epoch milliseconds of birth. */
  readonly since: number;
}

export function viewOf(world: World, graph: Graph, member: Member): SessionView {
  const { record } = member.saved;
  const { live } = member;
  const left = leftAbove(member.node);
  const waiting = [...(live?.calls ?? [])].filter((call) => call.waitsForPerson !== undefined);
  const unknown = live
    ? waiting.map((call) => ({ id: call.id, name: call.name, idempotencyKey: call.idempotencyKey, why: call.waitsForPerson! }))
    : unknownCalls(member.saved)
        .filter((call) => world.resolution(record.s, call.id) === undefined)
        .map((call) => ({ id: call.id, name: call.name, idempotencyKey: call.idempotencyKey }));
  return {
    id: record.s,
    root: record.root,
    path: record.path,
    ...(member.node.parent ? { parent: member.node.parent.id } : {}),
    agent: record.agent,
    workflow: record.workflow,
    ...(record.user === undefined ? {} : { user: record.user }),
    ...(record.conversation === undefined ? {} : { conversation: record.conversation }),
    ...(left === undefined ? {} : { left }),
    ...aboveOf(member.node, (id) => graph.get(id) !== undefined),
    state: stateOf(graph, member),
    turn: live?.open?.number ?? member.saved.turns.at(-1)?.number ?? member.saved.checkpointTurn,
    checkpointTurn: member.saved.checkpointTurn,
    costMicros: member.saved.costMicros,
    decision: member.saved.settled && member.saved.settled.status !== 'terminated' ? run : world.decide(member.node),
    calls: [...(live?.calls ?? [])].map((call) => ({ id: call.id, kind: call.kind, name: call.name, startedAt: call.startedAt })),
    unknownCalls: member.saved.settled ? [] : unknown,
    since: record.at,
  };
}

/** `isHere`: this process tells of it itself. */
export function aboveOf(node: Node, isHere: (session: string) => boolean): Pick<SessionView, 'above'> {
  const above: PathSegment[] = [];
  for (let at = node.parent; at; at = at.parent) {
    if (isHere(at.id)) continue;
    const { id, workflow, userId, conversationId } = at;
    above.unshift({
      session: id,
      ...(workflow === undefined ? {} : { workflow }),
      ...(userId === undefined ? {} : { user: userId }),
      ...(conversationId === undefined ? {} : { conversation: conversationId }),
    });
  }
  return above.length > 0 ? { above } : {};
}

function stateOf(graph: Graph, { saved, live }: Member): SessionView['state'] {
  if (saved.settled) return saved.settled.status;
  if (live?.stopping) return 'stopping';
  if (live) return live.isAtRest ? 'paused' : 'running';
  return graph.isElsewhere ? 'elsewhere' : 'parked';
}

/** What a flip would stop right now. */
export interface Preview {
  readonly sessions: number;
  readonly byWorkflow: Readonly<Record<string, number>>;
  readonly byUser: Readonly<Record<string, number>>;
  /** For a subject nobody has: the live ones whose names are nearest, since ids that differ in one character matter. */
  readonly nearest: readonly string[];
}

/** What a subject of the instance tier is. One id may be a session's and a conversation's, and a stop of the one is none of the other. */
export type SubjectKind = 'session' | 'conversation';

/** Counts the sessions that a stop of this tier and subject covers. */
export function previewOf(nodes: Iterable<Node>, tier: Tier, subject: string | undefined, kind: SubjectKind): Preview {
  const byWorkflow: Record<string, number> = Object.create(null);
  const byUser: Record<string, number> = Object.create(null);
  let sessions = 0;
  const seen = new Set<string>();
  for (const node of nodes) {
    const own = subjectOf(tier, kind, node);
    if (own !== undefined) seen.add(own);
    if (!isCovered(tier, kind, subject, node)) continue;
    sessions++;
    const workflow = node.workflow ?? '(no workflow)';
    const user = node.userId ?? '(no user)';
    byWorkflow[workflow] = (byWorkflow[workflow] ?? 0) + 1;
    byUser[user] = (byUser[user] ?? 0) + 1;
  }
  const nearest = sessions === 0 && subject !== undefined ? [...seen].filter((one) => isNear(one, subject)).slice(0, 5) : [];
  return { sessions, byWorkflow, byUser, nearest };
}

/** The places in their graphs of all sessions that have not ended. */
export function* unsettled(world: World): Generator<Node> {
  for (const graph of world.graphs.values()) for (const { node, saved } of graph.members()) if (!saved.settled) yield node;
}

function subjectOf(tier: Tier, kind: SubjectKind, node: Node): string | undefined {
  switch (tier) {
    case 'global':
      return undefined;
    case 'feature':
      return node.workflow;
    case 'user':
      return node.userId;
    case 'instance':
      return kind === 'session' ? node.id : node.conversationId;
  }
}

function isCovered(tier: Tier, kind: SubjectKind, subject: string | undefined, node: Node): boolean {
  if (tier === 'global') return true;
  for (let at: Node | undefined = node; at; at = at.parent ?? (tier === 'instance' ? undefined : at.detachedFrom)) {
    if (subjectOf(tier, kind, at) === (subject ?? '')) return true;
  }
  return false;
}

function isNear(a: string, b: string): boolean {
  if (a.startsWith(b) || b.startsWith(a)) return true;
  if (Math.abs(a.length - b.length) > 2) return false;
  let differences = Math.abs(a.length - b.length);
  for (let i = 0; i < Math.min(a.length, b.length) && differences <= 2; i++) if (a[i] !== b[i]) differences++;
  return differences <= 2;
}

export interface RuntimeStatus {
  readonly process: { readonly pid: number; readonly id: string };
  readonly source: {
    readonly name: string;
    readonly location?: string;
    readonly health: { readonly state: string; readonly since: number; readonly why?: string };
  };
  readonly store: {
    readonly name: string;
    readonly location?: string;
    readonly health: { readonly state: string; readonly why?: string };
  };
  readonly switches: readonly {
    readonly flag: SwitchFlag;
    readonly state: 'engaged' | 'released' | 'unknown';
    /** Why it is unknown. */
    readonly cause?: string;
    readonly message?: string;
    /** Epoch milliseconds of the last live definite reading. */
    readonly readAt?: number;
    /** Where the source's history stood at the last definite reading. */
    readonly position?: Position;
    readonly isKnown: boolean;
  }[];
  readonly stops: readonly Stop[];
  /** Live sessions by state. */
  readonly sessions: Readonly<Record<string, number>>;
  readonly agents: readonly string[];
  /** What is not governed and never promised (S9). */
  readonly ungoverned: readonly string[];
  /** How long an effect gets to end after a terminate. Milliseconds; a gate has none. */
  readonly effectDeadlineMs?: number;
  /** When this was said, by the clock of the process. Epoch milliseconds; a gate says none. */
  readonly at?: number;
}
