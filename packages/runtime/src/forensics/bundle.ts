// bundle.ts: what is known of a terminated session, in one document that stands for itself.

import type { Decision, Reading, Stop, SwitchFlag } from '@offswitch/core';
import { canonical, sha256 } from '../audit/canonical.ts';
import { type Versions, versions } from '../audit/versions.ts';
import type { GrantRecord } from '../grants/grant-record.ts';
import type { CallClass, CallKind, CallOutcome } from '../journal.ts';
import type { Saved } from '../saved.ts';
import type { SubjectReading } from '../tracked.ts';
import type { RuntimeStatus } from '../view.ts';
import type { Redact } from './redact.ts';

/** What the switches said, and how well they could be read. A scoped one is read for nobody in particular here: this is of the whole flag. */
export interface ReadingsThen extends Pick<RuntimeStatus, 'source' | 'store'> {
  readonly switches: readonly (Omit<RuntimeStatus['switches'][number], 'flag'> & Pick<SwitchFlag, 'key' | 'tier'>)[];
  /** Epoch milliseconds: when the first session of this stop was marked. */
  readonly at: number;
}

/** What a scoped switch said of the session, of one above it, or of a user of theirs. */
export type ReadingOf = Pick<SwitchFlag, 'key' | 'tier'> & { readonly subject: string } & Reading;

/** A stop, and where in its source's history. */
export interface StopThen extends Stop {
  readonly position: { readonly series?: string; readonly n: number };
}

export interface BundleCall {
  readonly id: string;
  readonly key: string;
  readonly kind: CallKind;
  readonly name: string;
  readonly class: CallClass;
  readonly idempotencyKey: string;
  readonly child?: string;
  readonly outcome?: CallOutcome;
  /** Redacted. */
  readonly value?: unknown;
  /** Redacted. */
  readonly error?: unknown;
}

export interface ForensicBundle {
  readonly format: 'offswitch-forensics/1';
  readonly session: string;
  /** Root first, itself last. */
  readonly path: readonly string[];
  readonly workflow: string;
  readonly user?: string;
  readonly conversation?: string;
  /** Epoch milliseconds: born, and marked terminated. */
  readonly bornAt: number;
  readonly terminatedAt: number;
  /** Who marked it. */
  readonly process: string;
  readonly decision: Decision;
  readonly stop?: StopThen;
  readonly checkpoint: {
    readonly turn: number;
    /** SHA-256, hex, over the canonical JSON of the state as it was; none where there is no state, or where the hook left it out. */
    readonly digest?: string;
    /** Redacted. */
    readonly state?: unknown;
  };
  /** What its journal comes to: what a resume, or a restart of its work, would read. */
  readonly journal: {
    readonly epoch: number;
    readonly costMicros: number;
    /** Redacted. */
    readonly input?: unknown;
    /** The last is the one that was interrupted; those before the checkpoint are there for an agent that is replayed. */
    readonly turns: readonly { readonly number: number; readonly calls: readonly BundleCall[]; readonly failed?: unknown }[];
  };
  readonly readings: ReadingsThen & { readonly subjects: readonly ReadingOf[] };
  readonly versions: Versions & { readonly agent: { readonly name: string; readonly version?: string } };
  /** By reference, as they were then; what became of them is in the receipt. */
  readonly grants: readonly Pick<GrantRecord, 'id' | 'broker' | 'audience' | 'scope' | 'state' | 'expiresAt'>[];
}

/** What is looked at in the moment of the mark; the rest of the session does not change any more. */
export interface Marked {
  readonly saved: Saved;
  readonly process: string;
  readonly decision: Decision;
  readonly stop: StopThen | undefined;
  readonly readings: ReadingsThen;
  readonly subjects: readonly SubjectReading[];
  readonly version: string | undefined;
  readonly grants: readonly GrantRecord[];
}

export function bundleOf(
  { saved, process, decision, stop, readings, subjects, version, grants }: Marked,
  redact: Redact,
): ForensicBundle {
  const { record } = saved;
  const of = { session: record.s, agent: record.agent } as const;
  const kept = <Name extends string>(name: Name, value: unknown): { readonly [Key in Name]?: unknown } =>
    (value === undefined ? {} : { [name]: value }) as { readonly [Key in Name]?: unknown };
  const state = redact(saved.state, { ...of, field: 'state' });
  return {
    format: 'offswitch-forensics/1',
    session: record.s,
    path: record.path,
    workflow: record.workflow,
    ...(record.user === undefined ? {} : { user: record.user }),
    ...(record.conversation === undefined ? {} : { conversation: record.conversation }),
    bornAt: record.at,
    terminatedAt: saved.settled?.at ?? readings.at,
    process,
    decision,
    ...(stop ? { stop } : {}),
    checkpoint: {
      turn: saved.checkpointTurn,
      // Of what is left out not even the digest: of a yes or no both can be tried.
      ...(state === undefined ? {} : { digest: sha256(canonical(saved.state)) }),
      ...kept('state', state),
    },
    journal: {
      epoch: saved.epoch,
      costMicros: saved.costMicros,
      ...kept('input', redact(record.input, { ...of, field: 'input' })),
      turns: saved.turns.map(({ number, calls, failed }) => ({
        number,
        calls: calls.map(({ value, error, id, key, kind, name, class: is, idempotencyKey, child, outcome }) => ({
          id,
          key,
          kind,
          name,
          class: is,
          idempotencyKey,
          ...(child === undefined ? {} : { child }),
          ...(outcome === undefined ? {} : { outcome }),
          ...kept('value', redact(value, { ...of, field: 'value', call: { id, name } })),
          ...kept('error', redact(error, { ...of, field: 'error', call: { id, name } })),
        })),
        ...kept('failed', redact(failed, { ...of, field: 'error' })),
      })),
    },
    readings: {
      ...readings,
      subjects: subjects.map(({ flag: { key, tier }, subject, reading }) => ({ key, tier, subject, ...reading })),
    },
    versions: { ...versions, agent: { name: record.agent, ...(version === undefined ? {} : { version }) } },
    grants: grants.map(({ id, broker, audience, scope, state, expiresAt }) => ({
      id,
      broker,
      audience,
      scope,
      state,
      expiresAt,
    })),
  };
}
