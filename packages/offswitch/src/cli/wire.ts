// wire.ts: what running processes answer, read with care: one may be of another version, or hang, or lie.

import { type Stop, type Subject, tiers } from '@offswitch/core';
import type { Left, PathSegment, Receipt } from '@offswitch/runtime';
import type { Place } from './place.ts';
import { clean } from './print.ts';

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
export const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
export const number = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isFinite(value) ? value : undefined;
export const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const record = (value: unknown): Record<string, unknown> => (isRecord(value) ? value : {});

export interface Answered<T> {
  readonly process: string;
  readonly pid: number;
  readonly value: T;
}
export interface Silent {
  readonly process: string;
  readonly pid: number;
  readonly code: string;
  readonly message: string;
}
export interface Answers<T> {
  readonly answered: readonly Answered<T>[];
  readonly silent: readonly Silent[];
}

/** Asks every process, or one, and sorts the answers from the failures. */
export async function askAll<T>(
  place: Place,
  method: string,
  params: Readonly<Record<string, unknown>>,
  decode: (value: unknown) => T,
  process?: string,
): Promise<Answers<T>> {
  const answered: Answered<T>[] = [];
  const silent: Silent[] = [];
  for (const one of await place.ask(method, params, process)) {
    if ('error' in one) silent.push({ process: one.process, pid: one.pid, ...one.error });
    else answered.push({ process: one.process, pid: one.pid, value: decode(one.result) });
  }
  return { answered, silent };
}

/** Processes that run and did not answer, as sentences. */
export function silentOnes(answers: Answers<unknown>): readonly string[] {
  return answers.silent.map((one) =>
    clean(one.process === '' ? one.message : `process ${one.pid} did not answer (${one.code}): ${one.message}`),
  );
}

export interface Preview {
  readonly sessions: number;
  readonly byWorkflow: Readonly<Record<string, number>>;
  readonly byUser: Readonly<Record<string, number>>;
  readonly nearest: readonly string[];
}

export function previewIn(value: unknown): Preview {
  const one = record(value);
  const counts = (of: unknown): Record<string, number> =>
    Object.fromEntries(Object.entries(record(of)).map(([name, n]) => [name, number(n) ?? 0]));
  return {
    sessions: number(one.sessions) ?? 0,
    byWorkflow: counts(one.byWorkflow),
    byUser: counts(one.byUser),
    nearest: list(one.nearest).filter((id): id is string => typeof id === 'string'),
  };
}

export interface SessionLine {
  readonly id: string;
  readonly path: readonly string[];
  readonly agent: string;
  readonly workflow: string;
  readonly user?: string;
  readonly conversation?: string;
  /** Whom the root of its graph was detached from. */
  readonly left?: Left;
  /** Those above it in other processes, who may have ended, or be in one that does not answer. */
  readonly above?: readonly PathSegment[];
  readonly state: string;
  readonly turn: number;
  readonly costMicros: number;
  /** What applies to it: `run`, or what holds it and why. */
  readonly action: string;
  readonly tier?: string;
  readonly cause?: string;
  readonly reason?: string;
  readonly unknownCalls: readonly { readonly id: string; readonly name: string; readonly why?: string }[];
  /** Under way. `startedAt`: epoch milliseconds. */
  readonly calls?: readonly { readonly id: string; readonly name: string; readonly startedAt: number }[];
}

export function sessionsIn(value: unknown): readonly SessionLine[] {
  return list(value).flatMap((item) => {
    const one = record(item);
    const id = text(one.id);
    if (!id) return [];
    const decision = record(one.decision);
    const path = list(one.path).filter((step): step is string => typeof step === 'string');
    return [
      {
        id,
        path: path.length > 0 ? path : [id],
        agent: text(one.agent) ?? '?',
        workflow: text(one.workflow) ?? '?',
        ...optional('user', text(one.user)),
        ...optional('conversation', text(one.conversation)),
        ...(one.left === undefined ? {} : { left: leftIn(one.left) }),
        ...(one.above === undefined ? {} : { above: aboveIn(one.above) }),
        state: text(one.state) ?? 'unknown',
        turn: number(one.turn) ?? 0,
        costMicros: number(one.costMicros) ?? 0,
        action: text(decision.action) ?? 'unknown',
        ...optional('tier', text(decision.tier)),
        ...optional('cause', text(decision.cause)),
        ...optional('reason', text(decision.reason)),
        unknownCalls: list(one.unknownCalls).map((call) => ({
          id: text(record(call).id) ?? '?',
          name: text(record(call).name) ?? '?',
          ...optional('why', text(record(call).why)),
        })),
        calls: list(one.calls).map((call) => ({
          id: text(record(call).id) ?? '?',
          name: text(record(call).name) ?? '?',
          startedAt: number(record(call).startedAt) ?? 0,
        })),
      },
    ];
  });
}

function leftIn(value: unknown): Left {
  return list(value).map((one) => ({
    ...optional('workflow', text(record(one).workflow)),
    ...optional('user', text(record(one).user)),
  }));
}

function aboveIn(value: unknown): readonly PathSegment[] {
  return list(value).flatMap((one) => {
    const { session, workflow, user, conversation } = record(one);
    if (typeof session !== 'string') return [];
    return [
      {
        session,
        ...optional('workflow', text(workflow)),
        ...optional('user', text(user)),
        ...optional('conversation', text(conversation)),
      },
    ];
  });
}

/** Each session once: told by the process that has it, where several know of it. */
export function mergeSessions(answers: readonly Answered<readonly SessionLine[]>[]): readonly SessionLine[] {
  const byId = new Map<string, SessionLine>();
  for (const { value } of answers) {
    for (const one of value) {
      const known = byId.get(one.id);
      if (!known || known.state === 'elsewhere') byId.set(one.id, one);
    }
  }
  return [...byId.values()];
}

const ended: ReadonlySet<string> = new Set(['completed', 'failed', 'terminated']);
export const isEnded = (session: SessionLine): boolean => ended.has(session.state);

export interface Status {
  readonly source: {
    readonly name: string;
    readonly location?: string;
    readonly state: string;
    readonly since?: number;
    readonly why?: string;
  };
  readonly store: { readonly state: string; readonly why?: string };
  readonly switches: readonly {
    readonly key: string;
    readonly state: string;
    readonly cause?: string;
    readonly message?: string;
    readonly readAt?: number;
    readonly series?: string;
    readonly n?: number;
    readonly isKnown: boolean;
  }[];
  readonly stops: readonly Stop[];
  readonly sessions: Readonly<Record<string, number>>;
  readonly ungoverned: readonly string[];
  /** How long an effect gets to end after a terminate. Milliseconds. */
  readonly effectDeadlineMs?: number;
  /** When it was said, by the clock of the process. Epoch milliseconds. */
  readonly at?: number;
}

export function statusIn(value: unknown): Status {
  const one = record(value);
  const source = record(one.source);
  const sourceHealth = record(source.health);
  const store = record(record(one.store).health);
  return {
    source: {
      name: text(source.name) ?? 'unknown',
      ...optional('location', text(source.location)),
      state: text(sourceHealth.state) ?? 'unknown',
      ...optional('since', number(sourceHealth.since)),
      ...optional('why', text(sourceHealth.why)),
    },
    store: { state: text(store.state) ?? 'unknown', ...optional('why', text(store.why)) },
    switches: list(one.switches).map((item) => {
      const line = record(item);
      return {
        key: text(record(line.flag).key) ?? text(line.key) ?? '?',
        state: text(line.state) ?? 'unknown',
        ...optional('cause', text(line.cause)),
        ...optional('message', text(line.message)),
        ...optional('readAt', number(line.readAt)),
        ...optional('series', text(record(line.position).series)),
        ...optional('n', number(record(line.position).n)),
        isKnown: line.isKnown === true,
      };
    }),
    stops: stopsIn(one.stops),
    sessions: previewIn({ byUser: one.sessions }).byUser,
    ungoverned: list(one.ungoverned).filter((item): item is string => typeof item === 'string'),
    ...optional('effectDeadlineMs', number(one.effectDeadlineMs)),
    ...optional('at', number(one.at)),
  };
}

export function stopsIn(value: unknown): readonly Stop[] {
  return list(value).filter(
    (item): item is Stop =>
      isRecord(item) && typeof item.id === 'string' && isRecord(item.subject) && tiers.some((tier) => tier === item.tier),
  );
}

export function receiptsIn(value: unknown): readonly Receipt[] {
  return list(value).filter(isReceipt);
}

export function isReceipt(value: unknown): value is Receipt {
  return (
    isRecord(value) &&
    typeof value.id === 'string' &&
    isRecord(value.stages) &&
    Array.isArray(value.sessions) &&
    stopsIn([value.stop]).length === 1
  );
}

/** The one id a stop is against, for people. */
export function subjectName(subject: Subject): string {
  return subject.sessionId ?? subject.conversationId ?? subject.userId ?? subject.workflow ?? '';
}

function optional<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]?: V });
}
